"""Next item: inputs and targets shifted by one, and windows in which every pair of neighbours is learned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.examples.next_item import NextItem
from recpref.data.randomness import Draw
from recpref.data.windows import Spans
from recpref.types import PAD, History


def offsets(lengths: list[int]) -> np.ndarray:
    """Where each user's rows begin, and the end."""
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def pairs_of(spans: Spans) -> list[tuple[int, int]]:
    """(start, stop) of each row."""
    return list(zip(spans.start.tolist(), spans.stop.tolist(), strict=True))


def draw(n: int) -> Draw:
    """The randomness of n rows."""
    return Draw(0, 0, torch.arange(n))


def test_shifted_by_one_by_hand() -> None:
    """7 8 9 gives 7 -> 8 and 8 -> 9; the padding before 4 5 is not asked to predict 4."""
    history = History(torch.tensor([[7, 8, 9], [0, 4, 5], [0, 0, 3]]), torch.tensor([1, 2, 3]))
    batch = NextItem(5)(history, draw(3))
    assert batch.history.items.tolist() == [[7, 8], [0, 4], [0, 0]]
    assert batch.targets.tolist() == [[8, 9], [0, 5], [0, 0]]
    assert batch.history.user.tolist() == [1, 2, 3]
    assert batch.history.time is None


def test_times_are_those_of_the_inputs() -> None:
    """The time of the target is not shown: nobody knows it before it comes."""
    history = History(torch.tensor([[7, 8, 9]]), torch.tensor([1]), torch.tensor([[10, 20, 30]]))
    assert NextItem(5)(history, draw(1)).history.time.tolist() == [[10, 20]]


@given(st.lists(st.lists(st.integers(1, 9), min_size=2, max_size=10), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_loss_at_every_real_input_and_nowhere_else(histories: list[list[int]]) -> None:
    """Real inputs and real targets stand in the same places, and the pairs are those of each list with its own tail."""
    width = max(map(len, histories))
    items = torch.tensor([[PAD] * (width - len(row)) + row for row in histories])
    batch = NextItem(20)(History(items, torch.arange(len(histories))), draw(len(histories)))
    assert torch.equal(batch.history.items != PAD, batch.targets != PAD)
    for row, inputs, targets in zip(histories, batch.history.items.tolist(), batch.targets.tolist(), strict=True):
        assert [pair for pair in zip(inputs, targets, strict=True) if pair[0]] == list(pairwise(row))


def test_windows_by_hand() -> None:
    """max_len 4 takes 5 rows at a time, 2 apart: of 8 rows [3, 8), [1, 6), [0, 5); one row is left out, two rows are kept."""
    assert pairs_of(NextItem(4).spans(offsets([8, 1, 2, 0]))) == [(3, 8), (1, 6), (0, 5), (9, 11)]


def test_stride_zero_keeps_the_newest_window_of_each_user() -> None:
    """As SASRec's authors do: the last max_len + 1 rows of everybody, and nothing of who has only one."""
    assert pairs_of(NextItem(4, stride=0.0).spans(offsets([8, 1, 2, 0, 30, 5]))) == [(3, 8), (9, 11), (36, 41), (41, 46)]


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_stride_zero_is_one_row_for_everybody_with_two_items(lengths: list[int], max_len: int) -> None:
    """The loop that says so."""
    edges = offsets(lengths).tolist()
    expected = [(max(last - max_len - 1, first), last) for first, last in pairwise(edges) if last - first > 1]
    assert pairs_of(NextItem(max_len, stride=0.0).spans(offsets(lengths))) == expected


def learned(spans: Spans) -> list[int]:
    """The rows that are targets: all of a span but its first."""
    return [row for start, stop in pairs_of(spans) for row in range(start + 1, stop)]


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(2, 12), st.sampled_from([0.5, 0.75, 1.0]))
@settings(max_examples=50, deadline=None)
def test_every_pair_of_neighbours_is_learned(lengths: list[int], max_len: int, stride: float) -> None:
    """Every row but each user's first is a target in some window, and no window is longer than max_len inputs."""
    edges = offsets(lengths)
    spans = NextItem(max_len, stride=stride).spans(edges)
    assert set(learned(spans)) == set(range(edges[-1])) - set(edges[:-1].tolist())
    assert (spans.stop - spans.start <= max_len + 1).all()


def test_at_stride_one_no_pair_is_learned_twice() -> None:
    """Windows that overlap in one row: 41 rows of max_len 10 make four windows and 40 targets."""
    spans = NextItem(10, stride=1.0).spans(offsets([41]))
    assert len(pairs_of(spans)) == 4
    assert sorted(learned(spans)) == list(range(1, 41))


@pytest.mark.parametrize(("max_len", "stride"), [(50, 0.01), (1, 0.5)])
def test_a_stride_below_one_item_is_one_item(max_len: int, stride: float) -> None:
    """As for Cloze; now the newest and the oldest window are kept and the rows between are never learned."""
    assert set(learned(NextItem(max_len, stride=stride).spans(offsets([300])))) == set(range(1, 300))


def test_histories_too_short_leave_nothing() -> None:
    """Users of one row and of none, and no users at all."""
    assert pairs_of(NextItem(4).spans(offsets([1, 0, 1]))) == []
    assert pairs_of(NextItem(4).spans(offsets([]))) == []
    assert pairs_of(NextItem(4, stride=0.0).spans(offsets([]))) == []


def test_crop_leaves_an_input_and_a_target() -> None:
    """Two rows at least; without crop the spans are the same object."""
    spans = Spans(np.zeros(300, np.int64), np.full(300, 6, np.int64))
    assert NextItem(5).cut(spans, draw(300)) is spans
    assert sorted(set(NextItem(5, crop=1.0).cut(spans, draw(300)).stop.tolist())) == [2, 3, 4, 5, 6]


def test_it_is_for_causal_models() -> None:
    """A model that sees the next item would copy it."""
    assert NextItem.causal


@pytest.mark.parametrize(("option", "value"), [("stride", -0.1), ("stride", 1.5), ("crop", -0.5), ("crop", 2.0), ("crop", float("nan"))])
def test_shares_outside_their_range_are_refused(option: str, value: float) -> None:
    """The option, the value and the range."""
    with pytest.raises(ValueError, match=rf"examples\.{option}={value} must lie in \[0, 1\]"):
        NextItem(5, **{option: value})
