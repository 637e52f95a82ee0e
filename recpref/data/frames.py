"""Any frame to an Arrow table, with errors that name the column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyarrow as pa


def arrow_table(df: Any) -> pa.Table:
    """The frame as an Arrow table.

    Raises: ValueError for what is no frame, for two columns of one name, and for a column that mixes types.
    """
    table = df if isinstance(df, pa.Table) else _of_pandas(df) if isinstance(df, pd.DataFrame) else _of_arrow(df)
    refuse_twice(table.column_names)
    return without_views(table)


def without_views(table: pa.Table) -> pa.Table:
    """Texts as views, which polars and DuckDB may hand over and Arrow's functions do not take, as texts in one piece."""
    plain = [field.with_type(pa.large_string()) if field.type == pa.string_view() else field for field in table.schema]
    return table if plain == list(table.schema) else table.cast(pa.schema(plain))


def refuse_twice(names: Iterable[str], where: object = None) -> None:
    """Raises: ValueError naming the first column whose name another one bears, too, and the table if ``where`` says which."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        of_what = "" if where is None else f"{where}: "
        raise ValueError(f"{of_what}two columns are called {twice!r}; which is meant cannot be known: rename one")


def _of_arrow(df: Any) -> pa.Table:
    if not hasattr(df, "__arrow_c_stream__"):
        raise ValueError(f"a {type(df).__name__} is no data frame; pass a pandas or polars frame or an Arrow table")
    return pa.table(df)


def _of_pandas(df: pd.DataFrame) -> pa.Table:
    names = [str(column) for column in df.columns]
    return pa.Table.from_arrays([_column(df.iloc[:, place], name) for place, name in enumerate(names)], names=names)


def _column(series: pd.Series, name: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        kinds = series[series.notna()].map(type)
        other = kinds[(kinds != kinds.iloc[0]).to_numpy()] if len(kinds) else kinds
        if other.empty:
            raise ValueError(f"column {name!r} cannot be read: {str(error).splitlines()[0]}") from error
        present = series.notna().to_numpy()
        first = int(present.argmax())
        row = int((present & (series.map(type) != kinds.iloc[0]).to_numpy()).argmax())
        raise ValueError(
            f"column {name!r} mixes types: row {first} holds {series.iloc[first]!r} ({kinds.iloc[0].__name__}) and row {row} holds "
            f"{series.iloc[row]!r} ({type(series.iloc[row]).__name__}); make them all integers or all strings"
        ) from error
