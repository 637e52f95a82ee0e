"""A file to an Arrow table, whatever it is written in; and several files to one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from recpref.data.asked import Asked
from recpref.data.frames import refuse_twice, without_views
from recpref.data.json_lines import read_json
from recpref.data.separated import read_text, settled, wanted_columns

TEXT = (".csv", ".tsv", ".txt", ".dat", ".data")
JSON = (".jsonl", ".ndjson", ".json")
ATOMIC = (".inter", ".item", ".user")
SUFFIXES = (*TEXT, *JSON, *ATOMIC, ".parquet", ".arrow")
HINT = "or the path of a .csv, .tsv, .dat, .jsonl, .inter or .parquet file (.gz of a text, too) or of a folder"


def suffix_of(path: Path) -> str:
    """The suffix that says what is in it, with ``.gz`` taken off."""
    return (Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix).lower()


def read_file(path: str | Path, asked: Asked | None = None) -> pa.Table:
    """The table in a file. Ids are integers only where each is written as one.

    Raises: FileNotFoundError; ValueError for an empty, damaged or unreadable file, an unknown suffix, another encoding, or two
    columns of one name.
    """
    return read_files([Path(path)], asked or Asked(), Path(path))


def read_files(paths: Sequence[Path], asked: Asked, where: Path, splits: Sequence[str | None] | None = None) -> pa.Table:
    """One table of several files, in this order; ``splits`` are what a column ``split`` says in the rows of each.

    Raises: as ``read_file``, and ValueError where the files do not fit together, or have a column ``split`` of their own.
    """
    tables = [read_part(path, asked) for path in paths]
    if splits is not None:
        if any("split" in table.column_names for table in tables):
            raise ValueError(f"{where} has both files of splits and a column 'split'; which is meant cannot be known")
        tables = [
            table.append_column("split", pa.array([split] * table.num_rows, pa.string()))
            for table, split in zip(tables, splits, strict=True)
        ]
    table = joined(tables, where)
    return settled(table, asked) if any(suffix_of(path) in (*TEXT, *ATOMIC) for path in paths) else table


def read_part(path: Path, asked: Asked) -> pa.Table:
    """One file of several: its ids are still texts where it is a text, so that all parts agree. Raises: as ``read_file``."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: cannot read {suffix or 'a file without suffix'}; known: {', '.join(SUFFIXES)}, .gz of the texts")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty")
    try:
        if suffix == ".parquet":
            return pa.parquet.read_table(path, columns=wanted_columns(parquet_schema(path).names, asked))
        if suffix == ".arrow":
            return _arrow(path)
        if suffix in ATOMIC:
            from recpref.data.atomic import read_atomic_file

            return read_atomic_file(path, asked)
        return read_json(path, asked) if suffix in JSON else read_text(path, asked)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def parquet_schema(path: Path) -> pa.Schema:
    """What columns a Parquet file has. Raises: ValueError for two of one name."""
    schema = pa.parquet.read_schema(path)
    refuse_twice(schema.names, path)
    return schema


def _arrow(path: Path) -> pa.Table:
    """A stream of Arrow batches, as ``datasets`` saves it, or Arrow's file, as polars and ``to_feather`` write it; it says at its beginning
    which it is."""
    with pa.memory_map(str(path)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        batches = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        refuse_twice(batches.schema.names, path)
        return without_views(batches.read_all())


def joined(tables: Sequence[pa.Table], where: Path) -> pa.Table:
    """One table of several. What is text in one part is text in all."""
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    texts = [name for name in names if any(_is_text(table, name) for table in tables)]
    try:
        return pa.concat_tables([as_texts(table, texts) for table in tables], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"the parts of {where} do not fit together: {str(error).splitlines()[0]}") from error


def _is_text(table: pa.Table, name: str) -> bool:
    return name in table.column_names and pa.types.is_string(table[name].type)


def as_texts(table: pa.Table, names: list[str]) -> pa.Table:
    """The table with these of its columns as texts."""
    for place, name in enumerate(table.column_names):
        if name in names and not pa.types.is_string(table[name].type):
            table = table.set_column(place, name, table[name].cast(pa.string()))
    return table
