"""Histories: items always, times where they are asked for and there is a clock."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recpref.data.histories import history_of
from recpref.data.interactions import Interactions

FRAME = pd.DataFrame({"u": ["a", "a", "a", "b"], "i": [7, 8, 7, 9], "t": [10**9 + 30, 10**9 + 10, 10**9 + 20, 10**9 + 40]})


def data(*, time: str | None = "t") -> Interactions:
    """User a saw 8, 7, 7 at 10, 20, 30 s past a billion; user b saw 9 at 40."""
    return Interactions.from_dataframe(FRAME, user="u", item="i", time=time)


def test_by_hand() -> None:
    """Items 7, 8, 9 are 1, 2, 3; both lists are padded on the left with zeros."""
    history = history_of(data(), np.array([1, 2]), timed=True)
    assert history.items.tolist() == [[2, 1, 1], [0, 0, 3]]
    assert history.time.tolist() == [[10**9 + 10, 10**9 + 20, 10**9 + 30], [0, 0, 10**9 + 40]]
    assert history.user.tolist() == [1, 2]


def test_times_are_not_given_unasked() -> None:
    """Most models have no use for them."""
    assert history_of(data(), np.array([2, 1])).time is None


def test_without_a_clock_there_are_none() -> None:
    """An order is no time."""
    assert history_of(data(time=None), np.array([1]), timed=True).time is None
