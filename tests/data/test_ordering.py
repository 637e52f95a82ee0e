"""The order of rows equals ``np.lexsort``'s, in each of the ways in which it is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.ordering import stable_order

ROWS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=40)


@pytest.mark.parametrize("scale", [1, 2**52, 2**60, 0.5], ids=["one sort", "two sorts", "lexsort", "floats"])
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_it_is_that_of_lexsort(scale: float, rows: list[tuple[int, int]]) -> None:
    user, moment = np.array(rows).T
    moment = moment * scale
    order = stable_order(user, moment)
    expected = np.lexsort((moment, user))
    assert (np.arange(len(rows)) if order is None else order).tolist() == expected.tolist()


@given(rows=ROWS)
@settings(max_examples=20, deadline=None)
def test_without_moments_rows_keep_their_order(rows: list[tuple[int, int]]) -> None:
    user = np.array(rows)[:, 0]
    order = stable_order(user, None)
    assert (np.arange(len(rows)) if order is None else order).tolist() == np.argsort(user, kind="stable").tolist()


def test_rows_in_order_are_not_sorted() -> None:
    assert stable_order(np.array([1, 1, 2]), np.array([3, 3, 1])) is None
    assert stable_order(np.array([1, 1, 2]), None) is None
    assert stable_order(np.array([1]), np.array([3])) is None
