"""Warnings of what histories lack: when they come, and when not."""

from __future__ import annotations

import warnings

import pandas as pd
import pyarrow as pa
import pytest

from recpref.runs.lacking import tell_of_low_ratings, tell_of_no_times

RATED = pa.table({"who": ["a", "a", "b"], "stars": [5.0, 2.0, None], "word": ["x", "y", "z"]})


def test_low_ratings_are_counted_with_those_that_are_missing() -> None:
    """By the column that training named, or the one that looks like ratings."""
    named = RATED.rename_columns(["who", "rating", "word"])
    for table, options, column in ((RATED, {"min_rating": 4.0, "rating": "stars"}, "stars"), (named, {"min_rating": 4.0}, "rating")):
        with pytest.warns(UserWarning, match=f"^2 of 3 rows of clicks have no '{column}' of 4 or more; training left such rows out"):
            tell_of_low_ratings("clicks", table, options)


@pytest.mark.parametrize(
    "options", [{}, {"min_rating": None, "rating": "stars"}, {"min_rating": 2.0, "rating": "word"}, {"min_rating": 4.0, "rating": "gone"}]
)
def test_nothing_is_said_without_a_rule_or_numbers_to_hold_against_it(options: dict[str, object]) -> None:
    """No least rating in training; texts; no such column."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_of_low_ratings("clicks", RATED, options)
        tell_of_low_ratings("clicks", RATED.slice(0, 1), {"min_rating": 4.0, "rating": "stars"})


def test_lacking_times_are_named_with_the_way_to_say_them() -> None:
    """And what there is instead."""
    frame = pd.DataFrame({"who": ["a"], "what": ["x"]})
    with pytest.warns(UserWarning, match="^clicks has no column 'when', the times of training; it has 'who', 'what': .*; say so=NAME"):
        tell_of_no_times("clicks", "when", ", ".join(map(repr, frame.columns)), "so=NAME", stacklevel=1)
