"""The checkup: counts by hand, and a warning for each thing to beware of."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from recpref.data.checkup import facts, unused_split, warnings
from recpref.data.interactions import Interactions

T = 1_600_000_000


def of(rows: list[tuple[int, int, int]], time: str | None = "t") -> Interactions:
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time=time)


ROWS = [(1, 7, T), (1, 7, T), (1, 8, T + 86_400), (1, 9, T + 90_000), (2, 7, T)]


def test_facts_by_hand() -> None:
    found = dict(facts(of(ROWS)))
    assert found["interactions"] == "5"
    assert found["clock"] == "2020-09-13 to 2020-09-14"
    assert found["tied neighbours"] == "33.3%"
    assert found["rows that repeat a user and item"] == "1"
    assert found["users too short for leave-one-out"] == "1"
    assert found["lengths of histories"].startswith("0%: 1, ")
    assert found["lengths of histories"].endswith("100%: 4")


def test_each_warning() -> None:
    found = " | ".join(warnings(of(ROWS)))
    for part in ("33% of neighbours", "1 rows repeat", "50.0% of users have fewer than 3", "100% of items", "3 items are few"):
        assert part in found
    assert "there is no time" in warnings(of(ROWS, None))[0]


@pytest.mark.parametrize(
    ("values", "split", "said"),
    [
        (["train", "test", "valid"], "leave_one_out", "(train, valid, test) that split=leave_one_out"),
        (["train", "train", "test"], "random", "(train, test) that split=random"),
        (["train", "dev", "test"], "none", "(train, dev, test) that split=none"),  # split=given says what they are to be called
        (["train", "valid", "test"], "given", None),
        (["train", "train", "train"], "leave_one_out", None),
        (["train", "test", "banana"], "leave_one_out", None),
        (["valid", "test", "test"], "leave_one_out", None),
        ([1, 2, 3], "leave_one_out", None),
        (["train", None, "test"], "leave_one_out", None),
    ],
)
def test_a_split_that_is_there_and_not_used(values: list[object], split: str, said: str | None) -> None:
    """Only a column that split=given could mean, and only where another split was said."""
    frame = pd.DataFrame({"u": [1, 1, 1], "i": [7, 8, 9], "t": [T, T + 1, T + 2], "split": values})
    data = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    found = unused_split(data, split)
    assert found == (None if said is None else f"the data has a column 'split' {said} does not use; split=given does")
    if split == "leave_one_out":
        assert (found in warnings(data)) is (said is not None)


def test_good_data_have_none() -> None:
    assert warnings(of([(u, i, T + i) for u in range(60) for i in range(60)])) == []


def test_only_a_clock_has_dates() -> None:
    """Numbers of an order lie on no day, and no times on none, either."""
    assert dict(facts(of([(1, 7, 1), (1, 8, 2)])))["clock"] == "order"
    assert dict(facts(of(ROWS, None)))["clock"] == "none"


def test_features_are_named_where_there_are_some() -> None:
    data = of(ROWS)
    users = dataclasses.replace(data.users, features=pd.DataFrame({"age": [30, 40], "sex": ["f", "m"]}))
    found = dict(facts(dataclasses.replace(data, users=users)))
    assert (found["user features"], found["item features"]) == ("age, sex", "none")


def test_an_item_of_five_interactions_is_not_rare() -> None:
    """Item 7 has five, item 8 four."""
    rows = [(u, 7, T + u) for u in range(5)] + [(u, 8, T + 100 + u) for u in range(4)]
    assert dict(facts(of(rows)))["items with fewer than 5 interactions"] == "1"
    assert "50% of items have fewer than 5 interactions" in " | ".join(warnings(of(rows)))


@pytest.mark.parametrize(("n_items", "few"), [(49, True), (50, False)])
def test_items_are_few_below_fifty(n_items: int, few: bool) -> None:
    found = warnings(of([(u, i, T + i) for u in range(6) for i in range(n_items)]))
    assert found == ([f"{n_items} items are few: metrics at 10 and 20 are high for any model"] if few else [])


@pytest.mark.parametrize(("tied", "said"), [(1, False), (2, True)])
def test_more_than_a_tenth_of_neighbours_must_be_tied(tied: int, said: bool) -> None:
    """Eleven rows are ten neighbours."""
    found = warnings(of([(1, i, T + max(i, tied)) for i in range(11)]))
    assert any("of neighbours carry the same time" in line for line in found) is said
