"""The checkup: counts by hand, and a warning for each thing to beware of."""

from __future__ import annotations

import pandas as pd

from recpref.data.checkup import facts, warnings
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


def test_good_data_have_none() -> None:
    assert warnings(of([(u, i, T + i) for u in range(60) for i in range(60)])) == []
