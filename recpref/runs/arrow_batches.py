"""Recommendations over a stream of Arrow batches, as Spark's ``mapInArrow`` and Ray Data's ``map_batches`` hand them.

Every user's rows must come one after the other; they may go on in the next batch. What is held is one batch, one user, and eight
bytes for each user that has been there, by which one who comes again is refused: he would get a second list, of half a history.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recpref.data.frames import refuse_twice, without_views
from recpref.data.ids import plain
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

    def recommend(self, histories: Any, k: int = 10, *, filter_seen: bool | None = None) -> pd.DataFrame: ...


def recommend_batches(run: Recommends, batches: Any, k: int = 10, *, filter_seen: bool | None = None) -> Iterator[pa.RecordBatch]:
    """The k best items for every user, as ``run.recommend`` finds them: batches of user, item, rank (from 1) and score.

    ``batches`` are Arrow record batches, or a table. Columns are called as in training; the time may be left out, and rows are then in
    order (a warning says so). The type of the users is that of the batches (``large_string`` for texts as views). Where nobody is left to
    recommend for, one batch without rows says so, so that engines find the columns; nothing comes of no batches at all.

    Raises: ValueError for what are no batches, for a column that is missing, for a user whose rows come again after another user's, and
    as ``run.recommend``.
    """
    seen: list[pa.Schema] = [batches.schema] if isinstance(batches, pa.Table) else []
    served = False
    for table in whole_users(_noted(batches, seen), run.columns.user):
        for found in recommended(run, table, k, filter_seen=filter_seen):
            served = True
            yield found
    if seen and not served:
        refuse_missing(seen[0], run.columns.user)
        users = without_views(seen[0].empty_table()).schema.field(run.columns.user).type
        yield pa.RecordBatch.from_pylist([], schema=result(users, run))


def _noted(batches: Any, seen: list[pa.Schema]) -> Iterator[Any]:
    """The same batches; the schema of the first one is put into ``seen``."""
    for batch in batches.to_batches() if isinstance(batches, pa.Table) else batches:
        if not seen and isinstance(batch, pa.RecordBatch):
            seen.append(batch.schema)
        yield batch


def recommended(run: Recommends, table: pa.Table, k: int, *, filter_seen: bool | None = None) -> list[pa.RecordBatch]:
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


class Seen:
    """Which users have been there: a 64-bit hash of each, in sorted parts of which each is more than twice as long as the next.

    No two integers share a hash. Of n texts some two do with a chance of n^2 / 2^65: for ten million, one in 300,000.
    """

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []

    def add(self, users: pa.ChunkedArray) -> int | None:
        """The place of the first of ``users`` who has been there already, among them too; if there is none, they have been there now."""
        if not len(users):
            return None
        ids = users.to_numpy()
        hashes = pd.util.hash_array(ids.astype(np.int64) if ids.dtype.kind in "iu" else ids, categorize=False)
        order = np.argsort(hashes, kind="stable")
        new = hashes[order]
        again = np.append(False, new[1:] == new[:-1])
        for part in self.parts:
            again |= part[np.minimum(np.searchsorted(part, new), len(part) - 1)] == new
        if again.any():
            return int(order[again].min())
        self.parts.append(new)
        while len(self.parts) > 1 and len(self.parts[-2]) <= 2 * len(self.parts[-1]):
            self.parts.append(np.sort(np.concatenate([self.parts.pop(), self.parts.pop()]), kind="stable"))
        return None


def together(batches: Any, user: str) -> Iterator[pa.RecordBatch]:
    """The batches that have rows.

    Raises: ValueError where the column is missing, two have one name, or a user's rows come again after another user's.
    """
    seen, last = Seen(), None
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch):
            raise ValueError(f"{WHO} are of {type(batch).__name__}; they must be Arrow record batches, or one Arrow table")
        refuse_twice(batch.schema.names, WHO)
        refuse_missing(batch.schema, user)
        if not batch.num_rows:
            continue
        users = plain(pa.chunked_array([batch[user]])).drop_null()  # rows without a user are refused where they are read
        if len(users):
            another = pc.not_equal(users.slice(1), users.slice(0, len(users) - 1)).to_numpy()
            begun = users.filter(pa.array(np.append(users[0].as_py() != last, another)))
            last, again = users[-1].as_py(), seen.add(begun)
            if again is not None:
                raise ValueError(
                    f"{WHO}: rows of user {begun[again].as_py()!r} come again after those of another; sort them by {user!r}, so that every "
                    "user's rows are together, or pass a whole frame to run.recommend"
                )
        yield batch


def refuse_missing(schema: pa.Schema, user: str) -> None:
    """Raises: ValueError where the column of users is missing."""
    if user not in schema.names:
        raise ValueError(f"{WHO} have no column {user!r}; they have {', '.join(map(repr, schema.names)) or 'none'}")


def whole_users(batches: Any, user: str) -> Iterator[pa.Table]:
    """The same rows in tables that hold all rows of each of their users. Raises: as ``together``."""
    held: list[pa.Table] = []  # of the user who may go on
    for batch in together(batches, user):
        table = without_views(pa.Table.from_batches([batch]))
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
