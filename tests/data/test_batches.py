"""Batches: each row once an epoch, an epoch is a function of (seed, epoch), and little padding."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.batches import Batches, Loader
from recpref.data.examples.cloze import Cloze
from recpref.data.examples.next_item import NextItem
from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw
from recpref.data.windows import Spans
from recpref.types import PAD, Batch, History


class Whole:
    """Each user's whole history, unchanged, with the row's number as its only target."""

    causal = False

    def spans(self, offsets: np.ndarray) -> Spans:
        """One span a user."""
        kept = np.diff(offsets) > 0
        return Spans(offsets[:-1][kept], offsets[1:][kept])

    def cut(self, spans: Spans, draw: Draw) -> Spans:
        """Nothing is cut."""
        return spans

    def __call__(self, history: History, draw: Draw) -> Batch:
        """The row's number stands in the last column."""
        targets = torch.zeros_like(history.items)
        targets[:, -1] = draw.row + 1
        return Batch(history, targets)


def of(histories: list[list[int]]) -> Interactions:
    """One user a list; the catalogue is that of the lists."""
    rows = [(user, item) for user, items in enumerate(histories, 1) for item in items]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["user_id", "item_id"]), user="user_id", item="item_id")


def lengths(*sizes: int) -> Interactions:
    """Users of these lengths over twenty items."""
    rng = np.random.default_rng(0)
    return of([rng.integers(1, 21, size).tolist() for size in sizes] + [list(range(1, 21))])


def epoch_of(data: Interactions, *, epoch: int = 0, seed: int = 0, batch_size: int = 4) -> list[Batch]:
    """All batches of an epoch."""
    return list(Batches(data, Whole(), Loader(batch_size=batch_size), seed=seed, place=lambda: (epoch, 0)))


def rows_of(batches: list[Batch]) -> list[list[int]]:
    """The rows of each batch."""
    return [(batch.targets[:, -1] - 1).tolist() for batch in batches]


def test_history_by_hand() -> None:
    """Spans [0, 3) and [3, 4) of the flat items 7 8 9 5: as long as the longest, left-padded, with the users of the rows."""
    batches = Batches(of([[2, 3, 4], [1]]), Whole(), Loader(batch_size=2), seed=0, place=lambda: (0, 0))
    history = batches.history(batches.item, torch.tensor([0, 3, 1]), torch.tensor([3, 4, 3]))
    assert history.items.tolist() == [[2, 3, 4], [0, 0, 1], [0, 3, 4]]
    assert history.user.tolist() == [1, 2, 1]


@pytest.mark.parametrize("timed", [True, False])
def test_times_stand_beside_the_items_where_they_are_asked_for(timed: bool) -> None:
    """User 1 at 1 and 1.1 billion seconds, user 2 at 1.2; zero at padding, and nothing at all for those who do not ask."""
    rows = pd.DataFrame({"u": [1, 1, 2], "i": [4, 5, 6], "t": [10**9, 11 * 10**8, 12 * 10**8]})
    data = Interactions.from_dataframe(rows, user="u", item="i", time="t")
    (batch,) = Batches(data, Whole(), Loader(batch_size=2), seed=0, place=lambda: (0, 0), timed=timed)
    if timed:
        assert sorted(batch.history.time.tolist()) == [[0, 12 * 10**8], [10**9, 11 * 10**8]]
        assert torch.equal(batch.history.time == 0, batch.history.items == PAD)
    else:
        assert batch.history.time is None


def test_an_order_is_no_time() -> None:
    """Data without a clock has no times to give."""
    (batch,) = Batches(of([[1, 2]]), Whole(), Loader(batch_size=2), seed=0, place=lambda: (0, 0), timed=True)
    assert batch.history.time is None


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=8), st.data())
@settings(max_examples=50, deadline=None)
def test_history_equals_a_loop(histories: list[list[int]], data: st.DataObject) -> None:
    """Lists cut and padded one by one, over spans that begin and end anywhere inside a user."""
    train = of(histories)
    spans = []
    for user in data.draw(st.lists(st.integers(1, train.n_users), min_size=1, max_size=5)):
        first, last = int(train.offsets[user - 1]), int(train.offsets[user])
        start = data.draw(st.integers(first, last - 1))
        spans.append((start, data.draw(st.integers(start + 1, last)), user))
    longest = max(stop - start for start, stop, _ in spans)
    start, stop, user = (list(part) for part in zip(*spans, strict=True))
    found = Batches(train, Whole(), Loader(batch_size=2), seed=0, place=lambda: (0, 0)).history(
        torch.from_numpy(train.item), torch.tensor(start), torch.tensor(stop)
    )
    assert found.items.tolist() == [[PAD] * (longest - (b - a)) + train.item[a:b].tolist() for a, b, _ in spans]
    assert found.user.tolist() == user


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_each_row_stands_in_exactly_one_batch(sizes: list[int], batch_size: int, seed: int, epoch: int) -> None:
    """And the batches are as many as ``len`` says, all but one of them full."""
    data = lengths(*sizes)
    batches = Batches(data, Whole(), Loader(batch_size=batch_size), seed=seed, place=lambda: (epoch, 0))
    rows = rows_of(list(batches))
    assert sorted(row for batch in rows for row in batch) == list(range(len(sizes) + 1))
    assert len(rows) == len(batches)
    assert sorted(map(len, rows))[1:] == [batch_size] * (len(rows) - 1)


def test_a_row_carries_its_own_user_and_items() -> None:
    """Row r of whole histories is user r + 1."""
    data = lengths(3, 1, 8, 5, 2)
    for batch in epoch_of(data, batch_size=2):
        assert (batch.targets[:, -1]).tolist() == batch.history.user.tolist()
        for user, items in zip(batch.history.user.tolist(), batch.history.items.tolist(), strict=True):
            assert [item for item in items if item != PAD] == data.item[data.user == user].tolist()


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    """The same batches each time, whatever was read before; others for another seed or epoch."""
    data = lengths(*range(1, 40))
    current = [0]
    batches = Batches(data, Whole(), Loader(batch_size=4), seed=3, place=lambda: (current[0], 0))
    first, again = rows_of(list(batches)), rows_of(list(batches))
    current[0] = 1
    second = rows_of(list(batches))
    current[0] = 0
    assert first == again == rows_of(list(batches)) == rows_of(epoch_of(data, seed=3))
    assert second == rows_of(epoch_of(data, seed=3, epoch=1))
    assert len({str(rows) for rows in (first, second, rows_of(epoch_of(data, seed=4)), rows_of(epoch_of(data, seed=1, epoch=3)))}) == 4


@pytest.mark.parametrize("done", [0, 1, 3, 10])
def test_an_interrupted_epoch_goes_on_where_it_stood(done: int) -> None:
    """After ``done`` batches come those that an uninterrupted epoch has there; after the last comes none."""
    data = lengths(*range(1, 40))
    whole = list(Batches(data, Cloze(20, 50), Loader(batch_size=4), seed=3, place=lambda: (2, 0)))
    rest = list(Batches(data, Cloze(20, 50), Loader(batch_size=4), seed=3, place=lambda: (2, done)))
    assert len(whole) == 10
    assert len(rest) == 10 - done
    for batch, expected in zip(rest, whole[done:], strict=True):
        assert torch.equal(batch.history.items, expected.history.items)
        assert torch.equal(batch.targets, expected.targets)


def test_the_epoch_does_not_depend_on_global_randomness() -> None:
    """Neither torch's nor numpy's global generator is read, and neither is advanced."""
    data = lengths(*range(1, 20))
    torch.manual_seed(1)
    first = rows_of(epoch_of(data))
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(2)
    assert rows_of(epoch_of(data)) == first


def test_neighbours_change_from_epoch_to_epoch() -> None:
    """200 users of similar lengths: who shares a batch with user 1 is not always the same."""
    data = lengths(*(10 + n % 5 for n in range(200)))
    mates = [next(frozenset(batch) for batch in rows_of(epoch_of(data, epoch=epoch)) if 0 in batch) for epoch in range(5)]
    assert len(set(mates)) == 5


def test_the_order_of_batches_is_not_that_of_their_lengths() -> None:
    """A model that saw short histories first in every epoch would be trained on a curriculum."""
    widths = [batch.history.items.shape[1] for batch in epoch_of(lengths(*range(1, 200)), batch_size=8)]
    rising = sum(a < b for a, b in pairwise(widths))
    assert 0.25 < rising / len(widths) < 0.75


def waste(items: list[torch.Tensor]) -> float:
    """The share of padding."""
    return sum(int((part == PAD).sum()) for part in items) / sum(part.numel() for part in items)


def test_little_of_a_batch_is_padding() -> None:
    """Log-normal lengths up to 200 in batches of 32: below 12 %, where batches of random rows waste more than half."""
    rng = np.random.default_rng(0)
    data = lengths(*np.clip(rng.lognormal(3, 1, 2000), 1, 200).astype(int).tolist())
    bucketed = waste([batch.history.items for batch in epoch_of(data, batch_size=32)])
    batches = Batches(data, Whole(), Loader(batch_size=32), seed=0, place=lambda: (0, 0))
    start, stop = torch.from_numpy(batches.spans.start), torch.from_numpy(batches.spans.stop)
    mixed = torch.randperm(len(start), generator=torch.Generator().manual_seed(0)).split(32)
    assert bucketed < 0.12 < 0.5 < waste([batches.history(batches.item, start[rows], stop[rows]).items for rows in mixed])


def test_cropped_rows_are_bucketed_by_their_cropped_length() -> None:
    """The batches of an epoch are made of the spans of that epoch."""
    rng = np.random.default_rng(0)
    data = lengths(*rng.integers(2, 100, 500).tolist())
    batches = Batches(data, NextItem(100, crop=1.0), Loader(batch_size=16), seed=0, place=lambda: (0, 0))
    assert waste([batch.history.items for batch in batches]) < 0.15


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_masks_of_a_row_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    """Cloze under batches of any size hides the same items of the same rows, once each epoch."""
    data = lengths(*range(1, 30))

    def hidden(size: int) -> list[tuple[int, list[int]]]:
        batches = Batches(data, Cloze(20, 50), Loader(batch_size=size), seed=1, place=lambda: (2, 0))
        pairs = [pair for batch in batches for pair in zip(batch.history.user.tolist(), batch.targets.tolist(), strict=True)]
        return sorted((user, [0] * (40 - len(targets)) + targets) for user, targets in pairs)

    assert hidden(batch_size) == hidden(32)


def test_nothing_to_learn_from_is_refused() -> None:
    """Next item needs histories of two; the data are named."""
    with pytest.raises(ValueError, match=r"Interactions\(frame: 2 users.* leaves no sequence to train on: every history is too short"):
        Batches(of([[1], [2]]), NextItem(5), Loader(batch_size=2), seed=0, place=lambda: (0, 0))


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_nothing_is_refused(batch_size: int) -> None:
    """The option and its least value."""
    with pytest.raises(ValueError, match=rf"loader\.batch_size={batch_size} must be at least 1"):
        Loader(batch_size=batch_size)
    assert Loader(batch_size=1).batch_size == 1


def orders(rows: list[tuple[int, int, int]], *, shuffle_ties: bool | Literal["auto"] = True, epochs: int = 40) -> set[tuple[int, ...]]:
    """The orders of all items that some epochs show, of rows (user, item, time)."""
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    batches = Batches(data, Whole(), Loader(shuffle_ties=shuffle_ties), seed=1, place=lambda: (0, 0))
    return {tuple(data.items.originals(batches.items(epoch).numpy()).tolist()) for epoch in range(epochs)}


def test_rows_of_equal_time_change_places_and_no_others() -> None:
    """Items 2 and 3 are tied, and 5 and 6, but 3 and 4 are not, nor 1 with another user's 4: four orders, all of them."""
    rows = [(1, 1, 5), (1, 2, 7), (1, 3, 7), (2, 4, 7), (2, 5, 9), (2, 6, 9)]
    assert orders(rows) == {(1, *a, 4, *b) for a in ((2, 3), (3, 2)) for b in ((5, 6), (6, 5))}
    assert orders(rows, shuffle_ties=False) == {(1, 2, 3, 4, 5, 6)}


def test_without_ties_nothing_changes() -> None:
    """Nor where time is unknown: the order of rows is then all there is."""
    assert orders([(1, 1, 5), (1, 2, 7), (2, 3, 7)]) == {(1, 2, 3)}
    data = of([[1, 2, 3]])
    assert Batches(data, Whole(), Loader(shuffle_ties=True), seed=1, place=lambda: (0, 0)).items(3).tolist() == data.item.tolist()


def test_auto_leaves_the_order_of_a_rule_and_shuffles_what_has_none() -> None:
    """200 users like two of four items in one second: in the order of their numbers, or in either."""
    rng = np.random.default_rng(0)
    pairs = [rng.choice(4, 2, replace=False) for _ in range(200)]
    ruled = [(user, item, 7) for user, pair in enumerate(pairs) for item in sorted(pair)]
    free = [(user, item, 7) for user, pair in enumerate(pairs) for item in pair]
    few = ruled[:20]
    assert len(orders(ruled, shuffle_ties="auto", epochs=4)) == 1
    assert len(orders(ruled, shuffle_ties=True, epochs=4)) == 4
    assert len(orders(free, shuffle_ties="auto", epochs=4)) == 4
    assert len(orders(few, shuffle_ties="auto", epochs=4)) == 4, "too few to know of a rule"


def test_every_order_of_a_tie_is_as_likely() -> None:
    """Three tied items have six orders; over 600 epochs each comes about 100 times (four deviations: 100 +- 37)."""
    data = Interactions.from_dataframe(pd.DataFrame({"u": 1, "i": [1, 2, 3], "t": 5}), user="u", item="i", time="t")
    batches = Batches(data, Whole(), Loader(shuffle_ties=True), seed=2, place=lambda: (0, 0))
    found = pd.Series([tuple(batches.items(epoch).tolist()) for epoch in range(600)]).value_counts()
    assert len(found) == 6
    assert found.between(63, 137).all()
