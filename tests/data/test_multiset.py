"""Row multisets: by hand, then against a Counter."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.interactions import Interactions
from recpref.data.multiset import Excess, among, excesses
from recpref.data.vocabulary import Vocabulary

USERS, ITEMS = Vocabulary(np.arange(3)), Vocabulary(np.arange(3))
rows_strategy = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2)), max_size=20)


def data_of(rows: list[tuple[int, int, int]], timed: bool = True) -> Interactions:
    table = np.array(sorted(rows, key=lambda row: (row[0], row[2])), dtype=np.int64).reshape(-1, 3)
    return Interactions(table[:, 0], table[:, 1], table[:, 2] if timed else None, "seconds", None, USERS, ITEMS)


def test_by_hand() -> None:
    data = data_of([(1, 1, 0), (1, 1, 0), (1, 2, 1), (2, 1, 0)])
    fine = data_of([(1, 1, 0), (2, 1, 0)])
    assert excesses(data, [fine, data_of([(1, 1, 0)])]) == []
    assert excesses(data, [fine, fine]) == [Excess(1, 2, 1, (1, 1, 1))]  # user 1 has the row twice, user 2 once
    assert excesses(data, [data_of([(2, 1, 2)])]) == [Excess(1, 2, 1, (0, 1))]  # another time


@settings(max_examples=50, deadline=None)
@given(rows_strategy, rows_strategy, rows_strategy)
def test_excesses_are_those_of_a_counter(whole: list, one: list, other: list) -> None:
    over = (Counter(one) + Counter(other)) - Counter(whole)
    found = excesses(data_of(whole), [data_of(one), data_of(other)])
    assert sum(excess.n for excess in found) == sum(over.values())
    for excess in found:
        assert (excess.user, excess.item) in {row[:2] for row in over}


@settings(max_examples=50, deadline=None)
@given(rows_strategy)
def test_a_multiset_holds_itself_in_any_two_parts(rows: list) -> None:
    for timed in (True, False):
        assert excesses(data_of(rows, timed), [data_of(rows[::2], timed), data_of(rows[1::2], timed)]) == []


@settings(max_examples=50, deadline=None)
@given(rows_strategy, rows_strategy)
def test_among(rows: list, asked: list) -> None:
    pairs = {row[:2] for row in rows}
    user, item = (np.array([row[n] for row in asked], dtype=np.int64) for n in (0, 1))
    assert among(user, item, data_of(rows)).tolist() == [row[:2] in pairs for row in asked]


@settings(max_examples=50, deadline=None)
@given(rows_strategy, st.dictionaries(st.integers(1, 3), st.integers(1, 3)))
def test_among_with_one_item_a_user(rows: list, asked: dict) -> None:
    pairs = {row[:2] for row in rows}
    user, item = (np.array(list(part), dtype=np.int64) for part in (asked, asked.values()))
    assert among(user, item, data_of(rows)).tolist() == [pair in pairs for pair in asked.items()]
