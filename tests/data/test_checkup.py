"""The checkup: counts by hand, and a warning for each thing to beware of."""

from __future__ import annotations

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
