"""Frames: see test_columns.py and test_interactions.py for every kind; here what is refused."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from recpref.data.frames import arrow_table
from recpref.data.interactions import Interactions


def test_a_table_is_itself() -> None:
    table = pa.table({"a": [1]})
    assert arrow_table(table) is table


@pytest.mark.parametrize("frame", [pd.DataFrame([[1, 2]], columns=["t", "t"]), pa.Table.from_arrays([pa.array([1])] * 2, names=["t", "t"])])
def test_two_columns_of_one_name(frame: object) -> None:
    with pytest.raises(ValueError, match="two columns are called 't'"):
        arrow_table(frame)


@pytest.mark.parametrize("named", [{}, {"user": "u", "item": "i"}])
def test_interactions_of_such_a_frame_are_refused(named: dict[str, str]) -> None:
    """Whether the columns are guessed or said."""
    frame = pd.DataFrame([[1, 2, 3]], columns=["u", "i", "i"] if named else ["user_id", "item_id", "item_id"])
    with pytest.raises(ValueError, match=f"two columns are called '{'i' if named else 'item_id'}'"):
        Interactions.from_dataframe(frame, **named)


def test_mixed_types_name_two_rows() -> None:
    with pytest.raises(ValueError, match=r"row 1 holds 2 \(int\) and row 3 holds 'x' \(str\)"):
        arrow_table(pd.DataFrame({"a": pd.Series([None, 2, None, "x"], dtype=object)}))


def test_texts_as_views_are_texts() -> None:
    """As DuckDB and newer polars hand them over: the same data, ids and times alike."""
    rows = {"u": ["a", "a", "b"], "i": ["x", "y", "x"], "t": ["2024-01-01", "2024-01-02", "2024-01-03"]}
    views = pa.table({name: pa.array(values, pa.string_view()) for name, values in rows.items()})
    named = {"user": "u", "item": "i", "time": "t"}
    assert Interactions.from_dataframe(views, **named).digest == Interactions.from_dataframe(pa.table(rows), **named).digest
    assert arrow_table(views).schema.types == [pa.large_string()] * 3
