"""Prefix: every item but a user's first is a target once, read from what came before it and nothing else."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.examples.prefix import Prefix
from recpref.data.randomness import Draw
from recpref.data.windows import Spans
from recpref.types import History


def offsets(lengths: list[int]) -> np.ndarray:
    """Where each user's rows begin, and the end."""
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def pairs_of(spans: Spans) -> list[tuple[int, int]]:
    """(start, stop) of each row."""
    return list(zip(spans.start.tolist(), spans.stop.tolist(), strict=True))


def epoch_of(prefix: Prefix, lengths: list[int], epoch: int = 0) -> list[tuple[int, int]]:
    """The rows of an epoch."""
    spans = prefix.spans(offsets(lengths))
    return pairs_of(prefix.cut(spans, Draw(7, epoch, torch.arange(len(spans.start)))))


def test_by_hand() -> None:
    """4 5 6 has the prefixes 4 -> 5 and 4 5 -> 6; with max_len 1 the second is 5 -> 6; one item teaches nothing."""
    assert epoch_of(Prefix(9), [3, 1, 0]) == [(0, 3), (0, 2)]
    assert epoch_of(Prefix(1), [3, 1, 0]) == [(1, 3), (0, 2)]


def test_the_last_item_is_the_target_and_its_time_is_not_shown() -> None:
    """Inputs lose their last column, and targets stand in the last one only."""
    items, time = torch.tensor([[0, 4, 5], [7, 8, 9]]), torch.tensor([[0, 10, 20], [30, 40, 50]])
    batch = Prefix(5)(History(items, torch.tensor([1, 2]), time), Draw(0, 0, torch.arange(2)))
    assert batch.history.items.tolist() == [[0, 4], [7, 8]]
    assert batch.history.time.tolist() == [[0, 10], [30, 40]]
    assert batch.targets.tolist() == [[0, 5], [0, 9]]


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_every_prefix_once_equals_a_loop(lengths: list[int], max_len: int) -> None:
    """The loop that says so."""
    edges = offsets(lengths).tolist()
    expected = [(max(first, stop - 1 - max_len), stop) for first, last in pairwise(edges) for stop in range(last, first + 1, -1)]
    assert epoch_of(Prefix(max_len), lengths) == expected


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 12), st.floats(0, 1), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_a_row_of_a_stride_is_one_of_the_prefixes(lengths: list[int], max_len: int, stride: float, epoch: int) -> None:
    """Whatever the epoch draws is a prefix as long as may be, of one user, and none is drawn twice."""
    all_of_them = set(epoch_of(Prefix(max_len), lengths))
    drawn = epoch_of(Prefix(max_len, stride=stride), lengths, epoch)
    assert set(drawn) <= all_of_them
    assert len(set(drawn)) == len(drawn)


def test_in_time_every_prefix_is_learned_equally_often() -> None:
    """20 items, a step of .5 x 8 = 4: targets 1..19 in five rows of 4, 4, 4, 4 and 3; each has a chance of 1/4 or 1/3."""
    count: Counter[int] = Counter()
    for epoch in range(600):
        count.update(stop - 1 for _, stop in epoch_of(Prefix(8, stride=0.5), [20], epoch))
    assert sorted(count) == list(range(1, 20))
    for target, found in count.items():
        share = 1 / 3 if target <= 3 else 1 / 4
        assert abs(found / 600 - share) < 4 * (share * (1 - share) / 600) ** 0.5


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    """Twice the same, and another one next time."""
    prefix = Prefix(10, stride=1.0)
    assert epoch_of(prefix, [50, 40], 3) == epoch_of(prefix, [50, 40], 3)
    assert epoch_of(prefix, [50, 40], 3) != epoch_of(prefix, [50, 40], 4)


@pytest.mark.parametrize("stride", [-0.1, 1.5])
def test_a_share_outside_is_refused(stride: float) -> None:
    """By its name and its range."""
    with pytest.raises(ValueError, match=rf"examples\.stride={stride} must lie in \[0, 1\]"):
        Prefix(5, stride=stride)


def test_rows_are_read_at_one_place():
    """Who asks for that may have these rows, and Cloze's where only the last item is hidden; not those of ``next_item``."""
    from recpref.data.examples.cloze import Cloze
    from recpref.data.examples.next_item import NextItem

    assert Prefix(5).one_place
    assert Cloze(9, 5, last_ratio=1.0).one_place
    assert not Cloze(9, 5).one_place
    assert not getattr(NextItem(5), "one_place", False)
