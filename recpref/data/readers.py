"""Readers: files and folders to Arrow tables and Interactions."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from recpref.data.interactions import Interactions

if TYPE_CHECKING:
    from recpref.data.vocabulary import Vocabulary

SUFFIXES = (".csv", ".tsv", ".parquet")


def read_file(path: str | Path) -> pa.Table:
    """A CSV, TSV (``.gz`` too) or Parquet file.

    Raises: FileNotFoundError; ValueError for an empty or unreadable file or an unknown suffix.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: cannot read {suffix or 'a file without suffix'}; known: {', '.join(SUFFIXES)}, .gz of the first two")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty")
    try:
        if suffix == ".parquet":
            return pa.parquet.read_table(path)
        return pa.csv.read_csv(
            path, parse_options=pa.csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",", newlines_in_values=True)
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def read_folder(path: str | Path) -> Interactions:
    """A folder of ``interactions*.csv[.gz]`` (``user_id,item_id[,timestamp|order][,...]``) with features beside it.

    Raises: FileNotFoundError where there are no interactions; ValueError as ``Interactions.from_dataframe``.
    """
    path = Path(path)
    parts = sorted(part for part in path.glob("interactions*") if re.search(r"\.(csv|tsv|parquet)(\.gz)?$", part.name))
    if not parts:
        raise FileNotFoundError(f"{path} has no interactions*.csv, .csv.gz or .parquet")
    table = pa.concat_tables([read_file(part) for part in parts], promote_options="permissive")
    time = next((column for column in ("timestamp", "order") if column in table.column_names), None)
    data = Interactions.from_dataframe(table, user="user_id", item="item_id", time=time, name=path.name)
    return replace(data, users=_described(data.users, path, "user"), items=_described(data.items, path, "item"))


def _described(vocabulary: Vocabulary, folder: Path, what: str) -> Vocabulary:
    """The vocabulary with the features of ``users.csv`` or ``items.csv``, row-aligned; missing ones stay missing."""
    files = sorted(folder.glob(f"{what}s.csv*"))
    if not files:
        return vocabulary
    frame = read_file(files[0]).to_pandas().set_index(f"{what}_id")
    if not frame.index.is_unique:
        raise ValueError(f"{files[0]}: {what}_id {frame.index[frame.index.duplicated()][0]!r} stands in more than one row")
    return replace(vocabulary, features=frame.reindex(pd.Index(vocabulary.ids)).reset_index(drop=True))


def read_separated(source: Path, columns: list[str], separator: str, *, member: str | None = None, header: bool = False) -> pa.Table:
    """A text file, perhaps inside a zip archive, whose fields stand between separators of one or more characters.

    Raises: ValueError where the archive is damaged or has no such member.
    """
    try:
        text = zipfile.ZipFile(source).read(member) if member else source.read_bytes()
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{source} cannot be read: {error}") from error
    if len(separator) > 1:
        text, separator = text.replace(separator.encode(), b"\t"), "\t"
    return pa.csv.read_csv(
        io.BytesIO(text),
        read_options=pa.csv.ReadOptions(column_names=columns, skip_rows=int(header)),
        parse_options=pa.csv.ParseOptions(delimiter=separator),
    )
