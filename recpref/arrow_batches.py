"""Recommendations over a stream of Arrow batches, as Spark's ``mapInArrow`` and Ray Data's ``map_batches`` hand them.

Every user's rows must come one after the other; they may go on in the next batch. What is held is one batch and one user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recpref.data.frames import refuse_twice
from recpref.data.interactions import Columns, Interactions
from recpref.data.vocabulary import Vocabulary

WHO = "the batches of histories"


@runtime_checkable
class Recommends(Protocol):
    """A run, or what answers like one."""

    @property
    def items(self) -> Vocabulary: ...

    @property
    def columns(self) -> Columns: ...

    def histories(self, frame: Any, *, name: str) -> Interactions: ...

    def recommend(self, histories: Any, k: int = 10, *, filter_seen: bool = True) -> pd.DataFrame: ...


def recommend_batches(
    run: Recommends, batches: Iterable[pa.RecordBatch], k: int = 10, *, filter_seen: bool = True
) -> Iterator[pa.RecordBatch]:
    """The k best items for every user, as ``run.recommend`` finds them: batches of user, item, rank (from 1) and score.

    Columns are called as in training; the time may be left out, and rows are then in order (a warning says so). The users' type is that
    of the batches.

    Raises: ValueError for a column that is missing, and as ``run.recommend``.
    """
    for table in whole_users(batches, run.columns.user):
        yield from recommended(run, table, k, filter_seen=filter_seen)


def recommended(run: Recommends, table: pa.Table, k: int, *, filter_seen: bool = True) -> list[pa.RecordBatch]:
    """The recommendations for all users of a table."""
    histories = run.histories(table.select([name for name in run.columns if name in table.column_names]), name="a batch of histories")
    frame = run.recommend(histories, k, filter_seen=filter_seen)
    schema = result(table.schema.field(run.columns.user).type, run)
    columns = [pa.array(frame[name].to_numpy(), kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema).to_batches()


def result(users: pa.DataType, run: Recommends) -> pa.Schema:
    """What the columns of the result are, where users are of that type."""
    users = users.value_type if pa.types.is_dictionary(users) else users
    items = pa.int64() if run.items.kind == "int" else pa.string()
    return pa.schema([("user", users), ("item", items), ("rank", pa.int64()), ("score", pa.float32())])


def whole_users(batches: Iterable[pa.RecordBatch], user: str) -> Iterator[pa.Table]:
    """The same rows in tables that hold all rows of each of their users, as long as these come one after the other.

    Raises: ValueError where the column is missing, or two have one name.
    """
    held: list[pa.Table] = []  # of the user who may go on
    for batch in batches:
        refuse_twice(batch.schema.names, WHO)
        if user not in batch.schema.names:
            raise ValueError(f"{WHO} have no column {user!r}; they have {', '.join(map(repr, batch.schema.names)) or 'none'}")
        if not batch.num_rows:
            continue
        table = pa.Table.from_batches([batch])
        last = table[user][-1]
        goes_on = held and held[-1][user][-1].as_py() == last.as_py()
        other = pc.fill_null(pc.not_equal(table[user], last), True)  # what has no user is refused where it is read
        first = table.filter(other)
        if first.num_rows or not goes_on:
            if whole := [part for part in (*held, first) if part.num_rows]:
                yield pa.concat_tables(whole)
            held = []
        held.append(table.filter(pc.invert(other)) if first.num_rows else table)
    if held:
        yield pa.concat_tables(held)
