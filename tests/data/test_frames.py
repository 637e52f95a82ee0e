"""Frames: see test_columns.py and test_interactions.py for every kind; here what is refused."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from recpref.data.frames import arrow_table


def test_a_table_is_itself() -> None:
    table = pa.table({"a": [1]})
    assert arrow_table(table) is table


@pytest.mark.parametrize("frame", [pd.DataFrame([[1, 2]], columns=["t", "t"]), pa.Table.from_arrays([pa.array([1])] * 2, names=["t", "t"])])
def test_two_columns_of_one_name(frame: object) -> None:
    with pytest.raises(ValueError, match="two columns are called 't'"):
        arrow_table(frame)


def test_mixed_types_name_two_rows() -> None:
    with pytest.raises(ValueError, match=r"row 1 holds 2 \(int\) and row 3 holds 'x' \(str\)"):
        arrow_table(pd.DataFrame({"a": pd.Series([None, 2, None, "x"], dtype=object)}))
