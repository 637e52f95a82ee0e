"""A file or a folder to Interactions: read, columns found, features joined, and all of it said in the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from recpref.data.asked import Asked
from recpref.data.columns import interactions_of
from recpref.data.forms import Form, atomic_form, form_of
from recpref.data.guess import columns_of, is_kept
from recpref.data.interactions import Interactions
from recpref.data.movielens import layout_of, read_movielens
from recpref.data.readers import read_files, read_part, suffix_of
from recpref.data.store import is_store, open_store
from recpref.data.vocabulary import Vocabulary


def open_file(path: str | Path, asked: Asked | None = None) -> Interactions:
    """One file. Raises: as ``read_file``, ``columns_of`` and ``Interactions.from_dataframe``."""
    path = Path(path)
    form = atomic_form(path) if suffix_of(path) == ".inter" else Form([(None, [path])])
    return _opened(form, asked or Asked(), path.name.split(".")[0], path)


def read_folder(path: str | Path, asked: Asked | None = None) -> Interactions:
    """A folder in one of the forms of ``forms.py``, or a store. Splits become a column ``split``, features those of the vocabularies.

    Raises: FileNotFoundError where there are no interactions; ValueError as ``open_file``, or for ids described twice.
    """
    path, asked = Path(path), asked or Asked()
    return _of_store(path, asked) if is_store(path) else _opened(form_of(path), asked, path.name, path)


def _of_store(path: Path, asked: Asked) -> Interactions:
    """What is in a store was decided when it was made. Raises: ValueError where something else is asked for."""
    data = open_store(path)
    for role, column, there in zip(data.columns._fields, (asked.user, asked.item, asked.time), data.columns, strict=True):
        if column is not None and column != (there or "none"):
            raise ValueError(f"data.{role}={column}: {path} was prepared with {role}={there or 'none'}; prepare it again, or leave it out")
    return data


def _opened(form: Form, asked: Asked, name: str, path: Path) -> Interactions:
    splits = [split for split, files in form.parts for _ in files] if len(form.parts) > 1 else None
    table = read_files(form.files, asked, path, splits)
    columns, line = columns_of(table.column_names, asked, str(path), strict=form.strict)
    if not asked.extra:
        table = table.select([column for column in table.column_names if column in columns or is_kept(column, asked)])
    files = f" from {len(form.files)} files" if len(form.files) > 1 else ""
    kept = [column for column in table.column_names if column not in columns]
    report = (f"{name}: {table.num_rows:,} rows read{files}", line + (f"; kept beside them: {', '.join(kept)}" if kept else ""))
    data = interactions_of(table, columns, name=name, report=report, missing_time=asked.missing_time)
    return replace(
        data,
        users=described(data.users, form.users, columns.user, asked.encoding),
        items=described(data.items, form.items, columns.item, asked.encoding),
    )


def described(vocabulary: Vocabulary, file: Path | None, column: str, encoding: str = "utf-8") -> Vocabulary:
    """The vocabulary with the features in ``file``, row-aligned; missing ones stay missing. Ids are compared as they are written.

    Raises: ValueError where the file has no such column, or describes an id twice.
    """
    if file is None:
        return vocabulary
    layout, asked = layout_of(file), Asked(column, column, encoding=encoding)
    if layout is not None and column in layout.columns:
        return vocabulary  # items by their titles: the file describes numbers
    frame = (read_part(file, asked) if layout is None else read_movielens(file, layout, column, encoding)).to_pandas()
    if column not in frame:
        raise ValueError(f"{file} has no column {column!r}; it has {', '.join(map(repr, frame.columns))}")
    frame = frame.set_index(frame.pop(column).astype(str))
    if not frame.index.is_unique:
        raise ValueError(f"{file}: {column} {frame.index[frame.index.duplicated()][0]!r} stands in more than one row")
    return replace(vocabulary, features=frame.reindex(pd.Index(list(map(str, vocabulary.ids.tolist())))).reset_index(drop=True))
