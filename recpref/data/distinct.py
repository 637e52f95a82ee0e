"""The vocabulary of ids that come in parts: which there are and how often, and then the number of each.

What is held is as large as the vocabulary, not as the data: every part is counted, and counts of several parts are added up
whenever they have become twice as many.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from recpref.data.ids import as_written, int64s, plain

HELD = 1 << 20  # counts that may always be held
CLOSE = 16  # a table of numbers may be this many times as long as the vocabulary
ID, COUNT = "id", "n"


class Distinct:
    """Takes a column part by part. ``text``: ids are as they were written in a text, where an empty one is missing."""

    def __init__(self, name: str, *, text: bool):
        self.name, self.text = name, text
        self.parts: list[pa.Table] = []
        self.rows = self.missing = self.first_missing = self.merged = 0

    def add(self, column: pa.ChunkedArray) -> None:
        """Counts one more part. Raises: ValueError for ids that are neither integers nor strings."""
        column = readable(column, self.name, self.rows)
        absent = _absent(column, self.text)
        if absent is not None:
            self.first_missing = self.first_missing if self.missing else self.rows + pc.index(absent, True).as_py()
            self.missing += pc.sum(absent).as_py()
        self.rows += len(column)
        values, counts = pc.value_counts(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).flatten()
        self.parts.append(pa.table([values, counts], [ID, COUNT]))
        if sum(part.num_rows for part in self.parts) > max(HELD, 2 * self.merged):
            self._merge()

    def _merge(self) -> None:
        table = pa.concat_tables(self.parts).group_by(ID).aggregate([(COUNT, "sum")])
        self.parts = [table.rename_columns([ID, COUNT])]
        self.merged = table.num_rows

    def finished(self) -> Counted:
        """Raises: ValueError where ids are missing, naming the first row."""
        if self.missing:
            raise ValueError(f"column {self.name!r} has {self.missing} missing ids, the first in row {self.first_missing}")
        self._merge()
        ids, counts = self.parts[0].columns
        ids = as_written(ids) if self.text else ids
        order = pc.sort_indices(ids)
        sorted_ids = ids.take(order).to_numpy()
        whole = pa.types.is_integer(ids.type)
        return Counted(sorted_ids.astype(np.int64 if whole else object), counts.take(order).to_numpy().astype(np.int64))


class Counted:
    """Sorted distinct ids and how many rows each has; numbers for columns of them."""

    def __init__(self, ids: np.ndarray, counts: Int64[np.ndarray, " V"]):
        self.ids, self.counts = ids, counts
        self.least = int(ids[0]) if ids.dtype.kind == "i" else 0
        span = int(ids[-1]) - self.least + 1 if ids.dtype.kind == "i" else 0
        self.table: np.ndarray | None = None
        if 0 < span <= max(CLOSE * len(ids), 1 << 16):
            self.table = np.zeros(span, np.int64)
            self.table[ids - self.least] = np.arange(1, len(ids) + 1)

    def numbers(self, column: pa.ChunkedArray, name: str) -> Int64[np.ndarray, " n"]:
        """The number (from 1) of each id of a part."""
        column = readable(column, name, 0)
        whole = self.ids.dtype.kind == "i"
        if whole and not pa.types.is_integer(column.type):
            column = column.cast(pa.int64())
        if self.table is not None:
            return self.table[int64s(column, name).astype(np.int64, copy=False) - self.least]
        column = column.cast(pa.int64() if whole else pa.large_string())
        found = pc.index_in(column, pa.array(self.ids, pa.int64() if whole else pa.large_string()))
        return found.to_numpy().astype(np.int64) + 1


def readable(column: pa.ChunkedArray, name: str, first: int) -> pa.ChunkedArray:
    """The column as integers or strings. Raises: ValueError for anything else, and for integers that are too large."""
    column = plain(column)
    if pa.types.is_integer(column.type):
        if pa.types.is_uint64(column.type) and not column.null_count:
            int64s(column, name, first)
        return column
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ValueError(f"column {name!r} holds {column.type} (such as {column[0].as_py()!r}); ids must be integers or strings")
    return column


def _absent(column: pa.ChunkedArray, text: bool) -> pa.ChunkedArray | None:
    absent = pc.is_null(column)
    if text and not pa.types.is_integer(column.type):
        absent = pc.or_(absent, pc.fill_null(pc.equal(column, ""), False))
    return absent if pc.any(absent).as_py() else None
