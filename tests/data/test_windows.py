"""Windows: the spans that training rows are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recpref.data.randomness import Draw
from recpref.data.windows import Spans, cropped, sliding


def offsets(*lengths: int) -> np.ndarray:
    """Where each user's rows begin, and the end."""
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def starts(n: int, size: int, stride: int) -> list[int]:
    """The starts of one user's windows."""
    return sliding(offsets(n), size, stride).start.tolist()


@pytest.mark.parametrize(
    ("n", "expected"), [(250, [50, 0]), (400, [200, 100, 0]), (200, [0]), (201, [1, 0]), (300, [100, 0]), (301, [101, 1, 0]), (1, [0])]
)
def test_the_starts_of_the_authors_by_hand(n: int, expected: list[int]) -> None:
    """Size 200, stride 100: n - 200, then 100 less each time, and 0 at last. 301: 101, 1, 0."""
    assert starts(n, 200, 100) == expected


def test_several_users_by_hand() -> None:
    """Size 3, stride 2 over 2, 0 and 6 rows: [0, 2); none; [5, 8), [3, 6), [2, 5), counted from the user's first row 2."""
    spans = sliding(offsets(2, 0, 6), 3, 2)
    assert list(zip(spans.start.tolist(), spans.stop.tolist(), strict=True)) == [(0, 2), (5, 8), (3, 6), (2, 5)]


def test_no_users_have_no_windows() -> None:
    """The first offset alone."""
    assert sliding(offsets(), 3, 2).start.tolist() == []


lengths_strategy = st.lists(st.integers(0, 30), max_size=6)


@given(lengths_strategy, st.integers(1, 12), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_the_starts_of_the_authors_code(lengths: list[int], size: int, stride: int) -> None:
    """``range(n - size, 0, -stride)`` and 0, as in the data generator of BERT4Rec."""
    expected = []
    for first, n in zip(offsets(*lengths)[:-1].tolist(), lengths, strict=True):
        own = [0] if n <= size else [*range(n - size, 0, -stride), 0]
        expected += [(first + start, first + min(n, start + size)) for start in own if n]
    spans = sliding(offsets(*lengths), size, stride)
    assert list(zip(spans.start.tolist(), spans.stop.tolist(), strict=True)) == expected


@given(lengths_strategy, st.integers(1, 12), st.data())
@settings(max_examples=50, deadline=None)
def test_every_item_is_covered_and_every_window_is_full(lengths: list[int], size: int, data: st.DataObject) -> None:
    """For a stride of at most the size: no gap, no window across users, none short but that of a short history, none twice."""
    edges = offsets(*lengths)
    spans = sliding(edges, size, data.draw(st.integers(1, size)))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    covered = [row for start, stop in zip(*spans, strict=True) for row in range(start, stop)]
    assert set(covered) == set(range(edges[-1]))
    for start, stop in zip(*spans, strict=True):
        assert len(set(owner[start:stop])) == 1
        assert stop - start == min(size, lengths[owner[start]])
    assert len(set(spans.start.tolist())) == len(spans.start)


def test_nothing_is_cropped_at_share_zero() -> None:
    """The very same spans."""
    spans = sliding(offsets(9, 4), 5, 2)
    assert cropped(spans, 0.0, 2, Draw(1, 0, torch.arange(len(spans.start)))) is spans


@given(lengths_strategy, st.integers(1, 5), st.floats(0.01, 1), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_a_crop_keeps_the_start_and_the_shortest(lengths: list[int], shortest: int, share: float, epoch: int) -> None:
    """Only the end moves, only to the front, and never below ``shortest``; shorter rows stay whole."""
    spans = sliding(offsets(*lengths), 12, 6)
    cut = cropped(spans, share, shortest, Draw(3, epoch, torch.arange(len(spans.start))))
    assert cut.start.tolist() == spans.start.tolist()
    assert (cut.stop <= spans.stop).all()
    assert (cut.stop - cut.start >= np.minimum(spans.stop - spans.start, shortest)).all()


def test_a_crop_ends_anywhere_equally_often() -> None:
    """20 items, at least 2: the 19 lengths 2 to 20 are equally likely (chi-square over 20,000 rows)."""
    rows = 20_000
    spans = Spans(np.zeros(rows, np.int64), np.full(rows, 20, np.int64))
    cut = cropped(spans, 1.0, 2, Draw(0, 0, torch.arange(rows)))
    counts = np.bincount(cut.stop, minlength=21)
    assert counts[:2].tolist() == [0, 0]
    assert stats.chisquare(counts[2:]).pvalue > 0.001


def test_a_share_of_the_rows_is_cropped() -> None:
    """A third is drawn, of which 18 in 19 lose an item: 0.316; four standard errors of 20,000 rows are 0.013."""
    rows = 20_000
    spans = Spans(np.zeros(rows, np.int64), np.full(rows, 20, np.int64))
    cut = cropped(spans, 1 / 3, 2, Draw(0, 0, torch.arange(rows)))
    assert (cut.stop < 20).mean() == pytest.approx(18 / 19 / 3, abs=0.013)


def test_each_epoch_crops_anew_and_the_same_epoch_alike() -> None:
    """A function of (seed, epoch, row)."""
    spans = sliding(offsets(*[30] * 50), 30, 15)
    ends = [cropped(spans, 1.0, 2, Draw(1, epoch, torch.arange(50))).stop.tolist() for epoch in (0, 1, 0)]
    assert ends[0] == ends[2] != ends[1]
