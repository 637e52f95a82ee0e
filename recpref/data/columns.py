"""From a frame's columns to Interactions: checks, numbering, and the stable order by user and time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa

from recpref.data.frames import arrow_table
from recpref.data.guess import refuse_shared
from recpref.data.ids import numbered
from recpref.data.interactions import Columns, Interactions
from recpref.data.ordering import stable_order
from recpref.data.times import absent, moments
from recpref.data.vocabulary import Vocabulary


def interactions_of(
    df: Any,
    columns: Columns,
    *,
    name: str,
    report: tuple[str, ...] = (),
    missing_time: Literal["refuse", "drop"] = "refuse",
) -> Interactions:
    """See ``Interactions.from_dataframe``. ``report`` is what is already known of how the frame came about.

    ``missing_time="drop"`` leaves out rows without a time, which are otherwise refused.
    """
    table = arrow_table(df)
    refuse_shared(columns, name)
    for column in columns:
        if column is not None and column not in table.column_names:
            raise ValueError(f"{name} has no column {column!r}; it has {', '.join(map(repr, table.column_names)) or 'none'}")
    if not table.num_rows:
        raise ValueError(f"{name} has no rows")
    if columns.time is not None and missing_time == "drop":
        table, report = _dated(table, columns.time, name, report)
    users, user = numbered(table[columns.user], columns.user)
    items, item = numbered(table[columns.item], columns.item)
    when = None if columns.time is None else moments(table[columns.time], columns.time)
    order = stable_order(user, None if when is None else when.seconds if when.fine is None else when.fine)
    rest = [column for column in table.column_names if column not in columns]
    extra = table.select(rest).to_pandas() if rest else None
    fraction = None if when is None else when.fraction
    return Interactions(
        user=user if order is None else np.repeat(np.arange(1, len(users) + 1), np.bincount(user)[1:]),
        item=item if order is None else item[order],
        time=None if when is None else when.seconds.copy() if order is None else when.seconds[order],
        fraction=fraction if fraction is None or order is None else fraction[order],
        clock="none" if when is None else when.clock,
        extra=extra if extra is None or order is None else extra.iloc[order].reset_index(drop=True),
        users=Vocabulary(users),
        items=Vocabulary(items),
        name=name,
        columns=columns,
        report=(*report, "times: none; a user's rows are in the order of the file" if when is None else f"times: {when.unit}"),
    )


def _dated(table: pa.Table, time: str, name: str, report: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows that have a time."""
    missing = absent(table[time])
    if missing is None:
        return table, report
    if missing.all():
        raise ValueError(f"{name}: no row has a time in column {time!r}; say data.time=none for the order of the rows")
    line = f"missing_time=drop: {missing.sum():,} of {len(missing):,} rows have no time and were dropped"
    return table.filter(pa.array(~missing)), (*report, line)
