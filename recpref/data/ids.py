"""A column of ids to numbers from 1: by a table of flags where integers lie close together, else by hashing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

CLOSE = 4  # a table of flags may be this many times as long as the column
MOST = str(2**63 - 1)  # of 64 bits with a sign; the least is one further
BELOW = "|".join(f"{MOST[:i]}[{0 if i else 1}-{int(MOST[i]) - 1}][0-9]{{{18 - i}}}" for i in range(19) if int(MOST[i]) > (not i))
CANONICAL = rf"^(0|-?([1-9][0-9]{{0,17}}|{BELOW}|{MOST})|-{2**63})$"


def numbered(column: pa.ChunkedArray, name: str) -> tuple[np.ndarray, Int64[np.ndarray, " n"]]:
    """The sorted distinct ids, and each row's number (from 1).

    Raises: ValueError naming the column and the row for ids that are missing, and for what is neither integers nor strings.
    """
    column = plain(column)
    if column.null_count or (pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py()):
        missing = pc.is_null(column, nan_is_null=True)
        row = pc.index(missing, True).as_py()
        raise ValueError(f"column {name!r} has {pc.sum(missing).as_py()} missing ids, the first in row {row}")
    if pa.types.is_integer(column.type):
        return _of_integers(int64s(column, name))
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ValueError(f"column {name!r} holds {column.type} (such as {column[0].as_py()!r}); ids must be integers or strings")
    return _hashed(column, object)


def as_written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids read as texts: an empty one is missing, and they are integers if each is one of 64 bits and written as one (not ``007``)."""
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    canonical = pc.all(pc.match_substring_regex(column, CANONICAL)).as_py()
    return column.cast(pa.int64()) if canonical else column


def plain(column: Any) -> pa.ChunkedArray:
    """The column without dictionaries and string views."""
    if pa.types.is_dictionary(column.type):
        chunks = [plain(pa.chunked_array([chunk.dictionary])).combine_chunks().take(chunk.indices) for chunk in column.chunks]
        return pa.chunked_array(chunks) if chunks else column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def int64s(column: pa.ChunkedArray, name: str, first: int = 0) -> np.ndarray:
    """Integers of a column from row ``first``. Raises: ValueError for those that 64 bits with a sign do not hold."""
    values = column.to_numpy()
    if values.dtype == np.uint64 and values.max() > np.iinfo(np.int64).max:
        row = int(values.argmax())
        raise ValueError(
            f"column {name!r}, row {first + row}: {values[row]} is too large for an id (64 bits with a sign); make the ids strings"
        )
    return values


def _of_integers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    least, most = int(values.min()), int(values.max())
    if most - least >= max(CLOSE * len(values), 1 << 16):
        return _hashed(pa.chunked_array([pa.array(values)]), np.int64)
    values = values.astype(np.int64) if most - least > np.iinfo(values.dtype).max else values  # the difference of two int8 may be none
    place = values - np.asarray(least, values.dtype) if least else values
    present = np.zeros(most - least + 1, dtype=bool)
    present[place] = True
    return np.flatnonzero(present) + least, np.cumsum(present, dtype=np.int64)[place]


def _hashed(column: pa.ChunkedArray, kind: Any) -> tuple[np.ndarray, np.ndarray]:
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.combine_chunks()
    ids = encoded.dictionary.to_numpy(zero_copy_only=False).astype(kind)
    order = np.argsort(ids, kind="stable")
    number = np.empty(len(ids), np.int64)
    number[order] = np.arange(1, len(ids) + 1)
    return ids[order], number[encoded.indices.to_numpy(zero_copy_only=False)]
