"""Guessing columns: well-known names in any spelling, never one of two, and errors that list what there is."""

from __future__ import annotations

import pandas as pd
import pytest

from recpref.data.asked import Asked
from recpref.data.guess import columns_of, is_id, is_kept, is_time, rating_of
from recpref.data.interactions import Columns, Interactions

KNOWN = {
    "MovieLens": (["userId", "movieId", "rating", "timestamp"], ("userId", "movieId", "timestamp")),
    "Amazon 2014": (
        ["reviewerID", "asin", "reviewerName", "overall", "unixReviewTime", "reviewTime"],
        ("reviewerID", "asin", "unixReviewTime"),
    ),
    "Amazon 2023": (["rating", "title", "asin", "parent_asin", "user_id", "timestamp"], ("user_id", "parent_asin", "timestamp")),
    "Yelp": (["review_id", "user_id", "business_id", "stars", "date"], ("user_id", "business_id", "date")),
    "a shop": (["Customer-ID", "SKU", "Created At"], ("Customer-ID", "SKU", "Created At")),
    "sessions": (["session_id", "item_id", "order"], ("session_id", "item_id", "order")),
    "a user and a session": (["user_id", "session_id", "item_id", "ts"], ("user_id", "item_id", "ts")),
    "no time": (["uid", "iid", "rating"], ("uid", "iid", None)),
}


@pytest.mark.parametrize("source", KNOWN)
def test_well_known_files(source: str) -> None:
    names, expected = KNOWN[source]
    assert columns_of(names, Asked(), "x.csv")[0] == Columns(*expected)


def test_what_was_guessed_is_said() -> None:
    line = columns_of(["reviewerID", "what", "date"], Asked(item="what"), "x.csv")[1]
    assert line == "columns: user=reviewerID (guessed), item=what, time=date (guessed)"
    assert columns_of(["u", "i", "date"], Asked("u", "i", "none"), "x.csv")[1].endswith("time=none")
    assert "none found" in columns_of(["user", "item"], Asked(), "x.csv")[1]


@pytest.mark.parametrize(
    ("names", "asked", "says"),
    [
        (["user_id", "customer_id", "item"], Asked(), r"x\.csv: 'user_id', 'customer_id' could each be the user; say data\.user=NAME"),
        (["user", "movie", "book_id"], Asked(), r"'movie', 'book_id' could each be the item; say data\.item=NAME"),
        (["user", "item", "date", "time"], Asked(), r"'date', 'time' could each be the time; say data\.time=NAME"),
        (["who", "item"], Asked(), r"no column looks like the user; it has 'who', 'item'; say data\.user=NAME"),
        (["user", "what"], Asked(), r"no column looks like the item; it has 'user', 'what'; say data\.item=NAME"),
        (["user", "item", "when"], Asked(), r"no column looks like the time, .* 'when'; say data\.time=NAME or data\.time=none"),
        (["user", "item"], Asked(user="usr"), r"x\.csv has no column 'usr'; it has 'user', 'item'"),
        (["user", "item"], Asked(time="when"), r"x\.csv has no column 'when'"),
    ],
)
def test_what_is_refused(names: list[str], asked: Asked, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        columns_of(names, asked, "x.csv")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["overall", "reviewText", "verified"], "overall"),
        (["stars", "useful"], "stars"),
        (["review", "Rating", "score"], "Rating"),
        (["Book-Rating"], "Book-Rating"),
    ],
)
def test_ratings_of_well_known_files(names: list[str], expected: str) -> None:
    """Amazon's of 2014, Yelp's, a name that goes before others, and that of Book-Crossing."""
    assert rating_of(names, None, "x.csv") == (expected, f"columns: rating={expected} (guessed)")
    assert rating_of(names, names[-1], "x.csv") == (names[-1], f"columns: rating={names[-1]}")


def test_a_named_column_is_not_guessed_again() -> None:
    assert columns_of(["user_id", "customer_id", "item"], Asked(user="user_id", time="none"), "x")[0] == Columns("user_id", "item", None)


def test_not_strict_takes_the_order_of_the_rows() -> None:
    assert columns_of(["user", "item", "when"], Asked(), "x", strict=False)[0].time is None


def test_kinds_of_names() -> None:
    assert is_id("Parent_ASIN")
    assert is_time("Unix Review Time")
    assert not is_id("timestamp")
    assert not is_time("rating")


def test_a_frame_whose_columns_are_not_named() -> None:
    frame = pd.DataFrame({"reviewerID": [1, 1], "asin": ["b", "a"], "date": ["2020-01-02", "2020-01-01"]})
    data = Interactions.from_dataframe(frame)
    assert (data.columns, data.item.tolist()) == (Columns("reviewerID", "asin", "date"), [1, 2])
    assert data.report[0].startswith("columns: user=reviewerID (guessed)")


def test_a_time_that_may_be_lacking() -> None:
    """Named and not there: none. Named and there, or not named: as ever."""
    asked = Asked(time="when", may_lack_time=True)
    assert columns_of(["user", "item", "date"], asked, "x")[0] == Columns("user", "item", None)
    assert columns_of(["user", "item", "when"], asked, "x")[0] == Columns("user", "item", "when")
    assert columns_of(["user", "item", "date"], asked._replace(time=None), "x")[0] == Columns("user", "item", "date")


def test_what_is_kept_where_only_what_is_needed_is_read() -> None:
    """Columns that were asked for, and with ``rated`` those of ratings."""
    assert is_kept("price", Asked(also=("price",)))
    assert not is_kept("price", Asked(rated=True))
    assert is_kept("stars", Asked(rated=True))
    assert not is_kept("stars", Asked())
