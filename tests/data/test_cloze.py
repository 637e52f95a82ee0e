"""Cloze: how many items are hidden, where, and what the batch says of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recpref.data.examples.cloze import Cloze
from recpref.data.randomness import Draw
from recpref.data.windows import Spans
from recpref.types import PAD, Batch, History

V = 50
MASK = V + 1


def history(lengths: list[int], width: int | None = None) -> History:
    """Row r holds items r + 1, r + 2, ... (mod V), left-padded to ``width``."""
    width = width or max(lengths)
    rows = [[PAD] * (width - n) + [(row + place) % V + 1 for place in range(n)] for row, n in enumerate(lengths)]
    return History(torch.tensor(rows), torch.arange(1, len(lengths) + 1))


def masked(
    lengths: list[int], *, rows: list[int] | None = None, epoch: int = 0, seed: int = 0, width: int | None = None, **options
) -> Batch:  # type: ignore[no-untyped-def]
    """The batch that Cloze makes of such a history."""
    given_rows = torch.arange(len(lengths)) if rows is None else torch.tensor(rows)
    return Cloze(V, 200, **options)(history(lengths, width), Draw(seed, epoch, given_rows))


def hidden(batch: Batch) -> torch.Tensor:
    """Where [MASK] stands. Shapes: [B, L]."""
    return batch.history.items == MASK


def wanted(n: int, ratio: float) -> int:
    """max(1, n * ratio rounded half up), in exact arithmetic."""
    return max(1, int(Fraction(str(ratio)) * n + Fraction(1, 2)))


@pytest.mark.parametrize(
    ("n", "ratio", "count"),
    [
        (5, 0.5, 3),
        (5, 0.2, 1),
        (10, 0.2, 2),
        (2, 0.2, 1),
        (12, 0.2, 2),
        (13, 0.2, 3),
        (15, 0.1, 2),
        (25, 0.1, 3),
        (200, 0.2, 40),
        (7, 1.0, 7),
    ],
)
def test_counts_by_hand(n: int, ratio: float, count: int) -> None:
    """5 * 0.5 = 2.5 is 3 and 15 * 0.1 = 1.5 is 2 (half up, as in Python 2); 2 * 0.2 = 0.4 is at least 1."""
    assert hidden(masked([n] * 20, mask_ratio=ratio, last_ratio=0.0)).sum(1).tolist() == [count] * 20


ratios = st.sampled_from([0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 1.0])
some_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=8)


@given(some_lengths, ratios, st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_exactly_k_items_are_hidden_and_told(lengths: list[int], ratio: float, seed: int, epoch: int) -> None:
    """k = max(1, round(n * ratio)) in each row; the target is the hidden item; the rest is left alone; PAD is never touched."""
    batch = masked(lengths, seed=seed, epoch=epoch, mask_ratio=ratio, last_ratio=0.0)
    items, mask = history(lengths).items, hidden(batch)
    assert mask.sum(1).tolist() == [wanted(n, ratio) for n in lengths]
    assert not mask[items == PAD].any()
    assert torch.equal(batch.targets, torch.where(mask, items, PAD))
    assert torch.equal(batch.history.items[~mask], items[~mask])
    assert bool((batch.targets[mask] != PAD).all())


def test_halves_are_rounded_up_at_odd_ratios() -> None:
    """50 * 0.53 = 26.5 is 27."""
    assert hidden(masked([50], mask_ratio=0.53, last_ratio=0.0)).sum().item() == 27


def test_every_position_is_hidden_equally_often() -> None:
    """Over 4,000 rows of ten, the oldest and the newest position are hidden as often as those between (chi-square)."""
    counts = hidden(masked([10] * 4000, last_ratio=0.0)).sum(0)
    assert counts.sum().item() == 8000
    # two of ten without replacement: each cell has variance n p (1 - p) and not n p, so the plain statistic is conservative
    assert stats.chisquare(counts.numpy()).pvalue > 0.001


def test_the_first_and_the_last_column_count() -> None:
    """Index 0 is a position like any other: where it alone is hidden its target is there, and the same for L - 1."""
    batch = masked([4] * 400, last_ratio=0.0)
    for column in (0, 3):
        alone = hidden(batch)[:, column]
        assert alone.sum() > 50
        assert bool((batch.targets[alone, column] == history([4] * 400).items[alone, column]).all())
        assert bool((batch.targets[alone] != PAD).sum(1).eq(1).all())


def test_a_history_of_one_item_hides_it() -> None:
    """There is nothing else to hide, with and without padding."""
    for width in (1, 6):
        batch = masked([1], width=width)
        assert batch.history.items.tolist() == [[PAD] * (width - 1) + [MASK]]
        assert batch.targets.tolist() == [[PAD] * (width - 1) + [1]]


def last_only(batch: Batch) -> torch.Tensor:
    """Which rows hide their last item and no other."""
    mask = hidden(batch)
    return mask[:, -1] & (mask.sum(1) == 1)


@pytest.mark.parametrize("share", [1 / 11, 0.5])
def test_a_share_of_the_rows_hides_only_the_last_item(share: float) -> None:
    """With two of ten hidden no other row does by chance; 20,000 rows leave four standard errors, 0.014 at most."""
    found = last_only(masked([10] * 20_000, last_ratio=share)).double().mean().item()
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / 20_000) ** 0.5)


def test_the_default_share_is_that_of_the_authors() -> None:
    """One instance in eleven, and a fifth of the items."""
    cloze = Cloze(V, 10)
    assert (cloze.last_ratio, cloze.mask_ratio, cloze.crop, cloze.mask_id) == (1 / 11, 0.2, 0.0, MASK)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_no_row_or_every_row_hides_only_the_last_item(share: float, expected: float) -> None:
    """The two ends of the scale."""
    assert last_only(masked([50] * 300, last_ratio=share)).double().mean().item() == expected


@given(some_lengths, st.integers(0, 20), st.integers(0, 9), st.data())
@settings(max_examples=50, deadline=None)
def test_masks_depend_on_the_row_alone(lengths: list[int], padding: int, epoch: int, data: st.DataObject) -> None:
    """A row alone, unpadded, hides what it hides among others, in any order, under any padding."""
    rows = data.draw(st.permutations(range(len(lengths))))
    together = masked(lengths, epoch=epoch)
    items = torch.nn.functional.pad(history(lengths).items[list(rows)], (padding, 0))
    shuffled = Cloze(V, 200)(History(items, torch.arange(len(rows))), Draw(0, epoch, torch.tensor(rows)))
    for place, row in enumerate(rows):
        n = lengths[row]
        alone = Cloze(V, 200)(History(history(lengths).items[row : row + 1, -n:], torch.tensor([1])), Draw(0, epoch, torch.tensor([row])))
        assert alone.targets[0].tolist() == together.targets[row, -n:].tolist() == shuffled.targets[place, -n:].tolist()


def test_masks_change_with_the_epoch_the_seed_and_the_row() -> None:
    """Dynamic masking; rows of equal items are masked differently, too."""
    masks = [hidden(masked([40] * 8, seed=seed, epoch=epoch)).tolist() for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len({str(mask) for mask in masks}) == 4
    assert len({str(row) for row in masks[0]}) == 8
    assert masks[0] == hidden(masked([40] * 8)).tolist()


def test_over_many_epochs_every_item_is_hidden() -> None:
    """What one epoch shows, another asks for."""
    assert bool(torch.stack([hidden(masked([30], epoch=epoch))[0] for epoch in range(100)]).any(0).all())


def test_the_input_is_not_written_to() -> None:
    """The history that came in is whole, and user, time and preference go through."""
    given_history = History(history([9]).items, torch.tensor([4]), torch.arange(9)[None], ["short films"])
    before = given_history.items.clone()
    batch = Cloze(V, 20)(given_history, Draw(0, 0, torch.tensor([0])))
    assert torch.equal(given_history.items, before)
    assert (batch.history.user, batch.history.time, batch.history.preference) == given_history[1:]


def test_windows_by_hand() -> None:
    """max_len 200 and half of it as the stride: 250 rows start at 50 and 0, 400 at 200, 100 and 0; a single row is kept."""
    spans = Cloze(V, 200).spans(np.array([0, 250, 650, 651]))
    assert spans.start.tolist() == [50, 0, 450, 350, 250, 650]
    assert spans.stop.tolist() == [250, 200, 650, 550, 450, 651]


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 12), st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_every_item_is_in_a_window(lengths: list[int], max_len: int, stride: float) -> None:
    """Down to a stride of less than one item, which is one item."""
    edges = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    spans = Cloze(V, max_len, stride=stride).spans(edges)
    covered = {row for start, stop in zip(*spans, strict=True) for row in range(start, stop)}
    assert covered == set(range(edges[-1]))
    assert (spans.stop - spans.start <= max_len).all()


def test_crop_leaves_at_least_one_item() -> None:
    """And without crop the spans are the same object."""
    spans = Spans(np.zeros(200, np.int64), np.full(200, 5, np.int64))
    draw = Draw(0, 0, torch.arange(200))
    assert Cloze(V, 5).cut(spans, draw) is spans
    assert sorted(set(Cloze(V, 5, crop=1.0).cut(spans, draw).stop.tolist())) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("mask_ratio", value) for value in (0.0, -0.1, 1.1, float("nan"))),
        *(("last_ratio", value) for value in (-0.1, 2.0)),
        *(("stride", value) for value in (0.0, 1.5)),
        *(("crop", value) for value in (-1.0, 1.01)),
    ],
)
def test_shares_outside_their_range_are_refused(option: str, value: float) -> None:
    """The option and the value are named."""
    with pytest.raises(ValueError, match=rf"examples\.{option}={value} must be a share, at most 1"):
        Cloze(V, 10, **{option: value})
