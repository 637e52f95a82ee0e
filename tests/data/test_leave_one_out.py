"""Leave-one-out: a partition, in time, that training cannot see across."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.batches import Batches, Examples, Loader
from recpref.data.examples.cloze import Cloze
from recpref.data.examples.next_item import NextItem
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.models.popular import Popular


def of(rows: list[tuple[int, int, int]]) -> Interactions:
    """Interactions of (user, item, time) that carry their row number."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).assign(row=range(len(rows)))
    return Interactions.from_dataframe(frame, user="user_id", item="item_id", time="timestamp")


def numbers(data: Interactions) -> list[int]:
    """The row numbers of the frame."""
    assert data.extra is not None
    return data.extra["row"].tolist()


def test_by_hand() -> None:
    """User 1 has items 10, 20, 30, 40 in time: train 10 20, validate 30, test 40. User 2 has two and is only trained on."""
    split = LeaveOneOut()(of([(1, 40, 9), (1, 10, 1), (2, 10, 1), (1, 30, 5), (2, 20, 2), (1, 20, 3)]))
    assert numbers(split.train) == [1, 5, 2, 4]
    assert (numbers(split.valid.history), numbers(split.valid.targets)) == ([1, 5, 2, 4], [3])
    assert (numbers(split.test.history), numbers(split.test.targets)) == ([1, 5, 3, 2, 4], [0])
    assert (split.valid.users.tolist(), split.test.users.tolist()) == ([1], [1])


def test_without_its_test_a_split_has_the_rest() -> None:
    split = LeaveOneOut()(of([(1, 40, 9), (1, 10, 1), (2, 10, 1), (1, 30, 5), (2, 20, 2), (1, 20, 3)]))
    blind = split.without_test
    assert (len(split.test.targets), len(blind.test.targets)) == (1, 0)
    assert (numbers(blind.train), numbers(blind.valid.targets)) == (numbers(split.train), numbers(split.valid.targets))


def test_of_tied_rows_the_later_in_the_file_is_the_later() -> None:
    """Four rows at one time: the last row is the test, the one before it the validation."""
    split = LeaveOneOut()(of([(1, item, 7) for item in (4, 3, 2, 1)]))
    assert (numbers(split.train), numbers(split.valid.targets), numbers(split.test.targets)) == ([0, 1], [2], [3])


def test_three_interactions_are_just_enough() -> None:
    """One to train on, one to validate, one to test."""
    split = LeaveOneOut()(of([(1, 1, 1), (1, 2, 2), (1, 3, 3)]))
    assert [len(part) for part in (split.train, split.valid.targets, split.test.targets)] == [1, 1, 1]


def test_nobody_with_three_interactions_is_refused() -> None:
    """The data are named."""
    with pytest.raises(ValueError, match=r"leave_one_out needs users with at least 3 interactions, and Interactions\(frame: 2 users"):
        LeaveOneOut()(of([(1, 1, 1), (1, 2, 2), (2, 1, 1)]))


def test_an_item_that_is_only_held_out_keeps_its_number() -> None:
    """The catalogue is that of all rows, so that a cold item can still be a target."""
    split = LeaveOneOut()(of([(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 1)]))
    assert split.train.n_items == split.test.targets.n_items == 3
    assert split.train.item_counts.tolist() == [0, 2, 0, 0]
    assert split.test.targets.item.tolist() == [3]


some_rows = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(0, 5)), min_size=1, max_size=40)


@given(some_rows)
@settings(max_examples=50, deadline=None)
def test_a_partition_in_which_the_held_out_comes_last(rows: list[tuple[int, int, int]]) -> None:
    """pandas' stable sort and the ends of its groups are the oracle."""
    frame = pd.DataFrame(rows, columns=["user", "item", "time"]).sort_values(["user", "time"], kind="stable")
    groups = [group.index.tolist() for _, group in frame.groupby("user")]
    long = [group for group in groups if len(group) >= 3]
    if not long:
        with pytest.raises(ValueError, match="at least 3 interactions"):
            LeaveOneOut()(of(rows))
        return
    split = LeaveOneOut()(of(rows))
    assert numbers(split.test.targets) == [group[-1] for group in long]
    assert numbers(split.valid.targets) == [group[-2] for group in long]
    assert sorted(numbers(split.train) + numbers(split.valid.targets) + numbers(split.test.targets)) == list(range(len(rows)))
    assert numbers(split.valid.history) == numbers(split.train)
    assert sorted(numbers(split.test.history)) == sorted(numbers(split.train) + numbers(split.valid.targets))
    assert numbers(split.test.history) == [row for group in groups for row in (group[:-1] if len(group) >= 3 else group)]


def histories(seed: int = 0) -> Interactions:
    """Forty users of 1 to 25 interactions with 30 items, every item at least once."""
    rng = np.random.default_rng(seed)
    rows = [(user, int(item), time) for user in range(1, 41) for time, item in enumerate(rng.integers(1, 31, rng.integers(1, 26)))]
    return of([*rows, *((50, item, item) for item in range(1, 31))])


def other(items: np.ndarray, where: np.ndarray, n_items: int) -> np.ndarray:
    """The items, with the next item of the catalogue where ``where`` is true."""
    return np.where(where, items % n_items + 1, items)


def trained_on(train: Interactions, examples: Examples) -> list[torch.Tensor]:
    """Every tensor of three epochs of training."""
    epochs = (iter(Batches(train, examples, Loader(batch_size=8), seed=5, place=lambda e=epoch: (e, 0))) for epoch in range(3))
    return [tensor for epoch in epochs for batch in epoch for tensor in (batch.history.items, batch.history.user, batch.targets)]


def alike(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    """Whether two lists hold the same tensors."""
    return len(one) == len(two) and all(map(torch.equal, one, two))


def popular(split: Split) -> list[float]:
    """The counts that Popular learns."""
    model = Popular(split.train.n_items)
    model.fit(split.train)
    return model.counts.tolist()


def held_out(data: Interactions) -> np.ndarray:
    """Which rows are validation or test, by the definition and not by the code under test."""
    rank = pd.Series(data.user).groupby(data.user).cumcount(ascending=False).to_numpy()
    length = pd.Series(data.user).groupby(data.user).transform("size").to_numpy()
    return (rank < 2) & (length >= 3)


EXAMPLES = {
    "cloze": Cloze(30, 10),
    "cloze, cropped": Cloze(30, 10, crop=0.5),
    "next item": NextItem(10),
    "next item, cropped": NextItem(10, crop=0.5),
    "next item, newest window": NextItem(10, stride=0.0),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_training_does_not_see_what_is_held_out(name: str) -> None:
    """Every held-out item becomes another one, and no batch of any epoch changes; with one user's training items some do."""
    data = histories()
    hidden = held_out(data)
    changed = replace(data, item=other(data.item, hidden, data.n_items))
    spoiled = replace(data, item=other(data.item, ~hidden & (data.user == data.n_users), data.n_items))
    before, after, control = (trained_on(LeaveOneOut()(each).train, EXAMPLES[name]) for each in (data, changed, spoiled))
    assert alike(before, after)
    assert not alike(before, control)


def test_popularity_does_not_see_what_is_held_out() -> None:
    """Neither the counts nor Popular."""
    data = histories()
    one, two = (LeaveOneOut()(each) for each in (data, replace(data, item=other(data.item, held_out(data), data.n_items))))
    assert one.train.item_counts.tolist() == two.train.item_counts.tolist()
    assert popular(one) == popular(two)
    assert (one.test.targets.item != two.test.targets.item).all()
    assert popular(one) != np.bincount(data.item, minlength=31).tolist()


def test_validation_does_not_see_the_test() -> None:
    """With other test items validation has the same history and the same targets."""
    data = histories()
    last = np.append(data.user[1:] != data.user[:-1], True) & held_out(data)
    one, two = (LeaveOneOut()(each).valid for each in (data, replace(data, item=other(data.item, last, data.n_items))))
    assert one.history.item.tolist() == two.history.item.tolist()
    assert one.targets.item.tolist() == two.targets.item.tolist()
