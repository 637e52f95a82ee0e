"""Sorting on disk: the same order as in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recpref.data.buckets import Buckets


def test_by_hand(tmp_path: Path) -> None:
    """Users 2, 1, 2 with keys 5, 9, 4: user 1 first, then user 2 by key; buckets of one row hold a user each."""
    buckets = Buckets(tmp_path, np.array([1, 2]), rows=1)
    buckets.add(np.array([2, 1, 2]), np.array([7, 8, 6]), np.array([5, 9, 4]))
    parts = list(buckets.sorted())
    assert [part.user.tolist() for part in parts] == [[1], [2, 2]]
    assert [part.item.tolist() for part in parts] == [[8], [6, 7]]
    assert [part.key.tolist() for part in parts] == [[9], [4, 5]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [None, np.int64, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_as_numpy_sorts(tmp_path: Path, kind: type | None, rows: int) -> None:
    """np.lexsort is stable; ties keep the order in which they were added."""
    rng = np.random.default_rng(rows)
    user, item = rng.integers(1, 9, 200), rng.integers(1, 50, 200)
    key = None if kind is None else rng.integers(0, 4, 200).astype(kind)
    counts = np.bincount(user, minlength=9)[1:]
    buckets = Buckets(tmp_path, counts, rows)
    for part in np.array_split(np.arange(200), 7):
        buckets.add(user[part], item[part], None if key is None else key[part])
    order = np.lexsort((user,) if key is None else (key, user))
    parts = list(buckets.sorted())
    assert np.concatenate([part.user for part in parts]).tolist() == user[order].tolist()
    assert np.concatenate([part.item for part in parts]).tolist() == item[order].tolist()
    if key is not None:
        assert np.concatenate([part.key for part in parts]).tolist() == key[order].tolist()
