"""From a frame's columns to Interactions: checks, numbering and the stable order, with errors that name the place."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recpref.data.interactions import Columns, Interactions
from recpref.data.vocabulary import Vocabulary


def interactions_of(df: Any, *, user: str, item: str, time: str | None, name: str) -> Interactions:
    """See ``Interactions.from_dataframe``."""
    table = _arrow(df)
    for column in filter(None, (user, item, time)):
        if column not in table.column_names:
            raise ValueError(f"{name} has no column {column!r}; it has {', '.join(map(repr, table.column_names)) or 'none'}")
    if not table.num_rows:
        raise ValueError(f"{name} has no rows")
    users, user_number = _numbered(table[user], user)
    items, item_number = _numbered(table[item], item)
    clock: Literal["seconds", "order", "none"] = "none"
    moment = None
    if time is not None:
        moment, clock = _seconds(table[time], time), "order" if time == "order" else "seconds"
    order = np.lexsort((user_number,) if moment is None else (moment, user_number))  # stable: ties keep their order
    rest = [column for column in table.column_names if column not in (user, item, time)]
    extra = table.select(rest).to_pandas().iloc[order].reset_index(drop=True) if rest else None
    return Interactions(
        user=user_number[order],
        item=item_number[order],
        time=None if moment is None else moment[order],
        clock=clock,
        extra=extra,
        users=Vocabulary(users),
        items=Vocabulary(items),
        name=name,
        columns=Columns(user, item, time),
    )


def _arrow(df: Any) -> pa.Table:
    if isinstance(df, pa.Table):
        return df
    if not isinstance(df, pd.DataFrame):
        if not hasattr(df, "__arrow_c_stream__"):
            raise ValueError(f"a {type(df).__name__} is no data frame; pass a pandas or polars frame or an Arrow table")
        return pa.table(df)
    columns = {}
    for column in df.columns:
        try:
            columns[str(column)] = pa.array(df[column], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[str(column)] = _mixed(df[column], str(column))
    return pa.table(columns)


def _mixed(series: pd.Series, column: str) -> pa.Array:
    kinds = series.map(type)
    other = int((kinds != kinds.iloc[0]).to_numpy().argmax())
    first, second = series.iloc[0], series.iloc[other]
    raise ValueError(
        f"column {column!r} mixes types: row 0 holds {first!r} ({type(first).__name__}) and row {other} holds "
        f"{second!r} ({type(second).__name__}); make them all integers or all strings"
    )


def _numbered(column: pa.ChunkedArray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The sorted distinct ids, and each row's number (from 1)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count or (pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py()):
        missing = pc.is_null(column, nan_is_null=True)
        row = pc.index(missing, True).as_py()
        raise ValueError(f"column {name!r} has {pc.sum(missing).as_py()} missing ids, the first in row {row}")
    if not (
        pa.types.is_integer(column.type)
        or pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_string_view(column.type)
    ):
        raise ValueError(f"column {name!r} holds {column.type} (such as {column[0].as_py()!r}); ids must be integers or strings")
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.combine_chunks()
    ids = encoded.dictionary.to_numpy(zero_copy_only=False)
    ids = ids.astype(np.int64) if pa.types.is_integer(column.type) else ids.astype(object)
    order = np.argsort(ids, kind="stable")
    number = np.empty(len(ids), np.int64)
    number[order] = np.arange(1, len(ids) + 1)
    return ids[order], number[encoded.indices.to_numpy(zero_copy_only=False)]


def _seconds(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Whole seconds since 1970 (UTC) of numbers, timestamps or ISO 8601 texts."""
    if column.null_count or (pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column)).as_py()):
        row = pc.index(pc.is_null(column, nan_is_null=True), True).as_py()
        raise ValueError(f"time column {name!r} has missing values, the first in row {max(row, 0)}")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.to_numpy().astype(np.int64)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"), safe=False).to_numpy().astype("datetime64[s]").astype(np.int64)
    texts = column.to_pandas().astype(str)
    parsed = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if parsed.isna().any():
        row = int(parsed.isna().to_numpy().argmax())
        raise ValueError(
            f"time column {name!r}, row {row}: {texts.iloc[row]!r} is no time; use ISO 8601 (2026-11-21T09:30:00) or epoch seconds"
        )
    return parsed.dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
