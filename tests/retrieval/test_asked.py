"""What a caller asks for: ids of every container in one row, counts, yes or no."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from recpref.retrieval.asked import ids_of, refuse_no_count, refuse_no_truth

TEXTS = ["b", "a", "b"]
NUMBERS = [3, 1, 3]


@pytest.mark.parametrize("values", [TEXTS, NUMBERS])
@pytest.mark.parametrize(
    "container", [list, tuple, iter, np.array, pd.Series, pd.Index, pl.Series, pa.array, lambda values: pa.chunked_array([values])]
)
def test_ids_of_every_container_are_a_row(values: list[Any], container: Any) -> None:
    found = ids_of(container(values), "items")
    assert found.shape == (3,)
    assert found.tolist() == values


@pytest.mark.parametrize("one", ["a", 3, np.int64(3), np.str_("a"), np.array(3)])
def test_one_id_is_a_row_of_one(one: Any) -> None:
    assert ids_of(one, "items").tolist() == [np.asarray(one).item()]


def test_sets_and_nothing() -> None:
    assert sorted(ids_of({"a", "b"}, "items").tolist()) == ["a", "b"]
    assert ids_of({3: "three"}, "items").tolist() == [3]
    assert ids_of([], "items").tolist() == []


def test_what_is_mixed_stays_mixed() -> None:
    """numpy would make the text "3" of the number, and find it."""
    assert ids_of(["a", 3], "items").tolist() == ["a", 3]


@pytest.mark.parametrize("table", [np.ones((2, 2)), [["a"], ["b"]], [["a", "b"], "c"], pl.DataFrame({"item": ["a"]})])
def test_a_table_is_refused(table: Any) -> None:
    with pytest.raises(ValueError, match="items are ids in one row, and a table of them was passed"):
        ids_of(table, "items")


@pytest.mark.parametrize("value", [0, -1, 2.5, 3.0, None, float("inf"), float("nan"), "3"])
def test_what_is_no_count(value: Any) -> None:
    with pytest.raises(ValueError, match=f"k={value} must be a whole number of at least 1"):
        refuse_no_count(batch_size=np.int64(5), k=value)


@pytest.mark.parametrize("value", ["false", "", 0, 1, 1.0])
def test_what_is_neither_true_nor_false(value: Any) -> None:
    with pytest.raises(ValueError, match=f"filter_seen={value!r} must be True or False, or None"):
        refuse_no_truth(filter_seen=value)
    refuse_no_truth(one=True, two=False, three=None, four=np.bool_(False))
