"""JSON to Arrow tables: an object a line (Amazon's reviews), an array of objects, or a list of items a user (NBPO)."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json

from recpref.data.asked import Asked
from recpref.data.frames import refuse_twice
from recpref.data.separated import wanted_columns

BLOCK = 1 << 26  # the longest line that can be read is as long as this


def read_json(path: Path, asked: Asked) -> pa.Table:
    """The objects of a file, or rows ``user_id`` (from 0), ``item_id`` of a list of lists.

    Raises: ValueError where the file is not JSON, or damaged, or in another encoding than it is said to be.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        text = content.decode(asked.encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not written in {asked.encoding}; say data.encoding=latin-1, or what else it is written in") from error
    except LookupError as error:
        raise ValueError(f"data.encoding={asked.encoding} is unknown; utf-8, latin-1 and cp1252 are the usual ones") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    table = _array(text, path) if text.lstrip()[:1] == "[" else _lines(content if asked.encoding == "utf-8" else text.encode(), path)
    return table.select(wanted_columns(table.column_names, asked))


def _lines(content: bytes, path: Path) -> pa.Table:
    try:
        return pa.json.read_json(io.BytesIO(content), read_options=pa.json.ReadOptions(block_size=BLOCK))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        hint = "; the lines are Python, not JSON" if content[:2] in (b"{'", b"{u") else ""
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}{hint}") from error


def _array(text: str, path: Path) -> pa.Table:
    try:
        rows = json.loads(text, object_pairs_hook=_object)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if rows and all(isinstance(row, list) for row in rows):
        return _lists(rows, path)
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path} holds neither objects nor lists of items; it may hold an array of either, or an object a line")
    return pa.Table.from_pylist(rows)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        refuse_twice(key for key, _ in pairs)
    return found


def _lists(rows: list[list[Any]], path: Path) -> pa.Table:
    try:
        items = pa.array([item for row in rows for item in row])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{path}: the lists mix types of items ({str(error).splitlines()[0]})") from error
    users = [user for user, row in enumerate(rows) for _ in row]
    return pa.table({"user_id": pa.array(users, pa.int64()), "item_id": items})
