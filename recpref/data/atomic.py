"""RecBole's atomic files, read and written: tab-separated, nothing quoted, headers such as ``user_id:token``.

Source: https://recbole.io/atomic_files.html. Reading what was written gives the same digest, unless ids are texts that
all look like integers: an atomic file cannot tell these from integers. A field with nothing in it is a missing value, as it is to RecBole.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recpref.data.asked import Asked
from recpref.data.frames import refuse_twice
from recpref.data.guess import is_time
from recpref.data.interactions import Interactions
from recpref.data.separated import beginning, parsed
from recpref.data.times import BILLION
from recpref.data.vocabulary import Vocabulary

KINDS = {"token": pa.string(), "token_seq": pa.string(), "float": pa.float64(), "float_seq": pa.string()}


def read_atomic_file(path: Path, asked: Asked) -> pa.Table:
    """An ``.inter``, ``.item`` or ``.user`` file, its columns without their types; empty fields are missing.

    Raises: ValueError for a header without types, with others than RecBole's four, or with two columns of one name.
    """
    fields = beginning(path, asked.encoding)[0].split("\t")
    typed = [field.rpartition(":") for field in fields]
    for field, (name, _, kind) in zip(fields, typed, strict=True):
        if not name or kind not in KINDS:
            raise ValueError(f"{path}: {field!r} in the header is not of the form name:type; types are {', '.join(KINDS)}")
    names = [name for name, _, _ in typed]
    refuse_twice(names, path)
    kinds = {name: KINDS[kind] for name, _, kind in typed}
    table = parsed(io.BytesIO(path.read_bytes()), path, "\t", asked, names, header=True, kinds=kinds)
    for place, name in enumerate(table.column_names):
        if pa.types.is_string(kinds[name]) and name not in (asked.user, asked.item):  # whose empty ones are found by who reads ids
            filled = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, pa.string()), table[name])
            table = table.set_column(place, name, filled)
    return table


def write_atomic(data: Interactions, folder: str | Path, name: str) -> list[Path]:
    """Writes ``name.inter``, and ``.item`` and ``.user`` where there are features, into ``folder``; gives their paths.

    Rows keep their order, so that ties stay as they are. Users and items without rows are left out. In texts, tabs, line
    breaks and quotation marks, which RecBole cannot read, become blanks and apostrophes; a text or list of nothing is a missing one.

    Raises: ValueError for ids that are empty or hold such a character, for lists with missing or empty members, and for names of columns
    that a header cannot hold, or by which what is read back would be something else. Nothing is written then.
    """
    data, folder = data.compact(), Path(folder)
    _refuse_names(data)
    frame = pd.DataFrame(
        {"user_id:token": _ids(data.users, "user")[data.user - 1], "item_id:token": _ids(data.items, "item")[data.item - 1]}
    )
    if data.time is not None:
        fraction = 0 if data.fraction is None else data.fraction / BILLION
        frame["timestamp:float" if data.clock == "seconds" else "order:float"] = data.time + fraction
    tables = {".inter": frame if data.extra is None else pd.concat([frame, _typed(data.extra)], axis=1)}
    for suffix, what, vocabulary in ((".item", "item", data.items), (".user", "user", data.users)):
        if vocabulary.features is not None:
            ids = pd.DataFrame({f"{what}_id:token": _ids(vocabulary, what)})
            tables[suffix] = pd.concat([ids, _typed(vocabulary.features)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, table in tables.items():
        partial = folder / f".{name}{suffix}.partial"
        table.to_csv(partial, sep="\t", index=False, quoting=csv.QUOTE_NONE)
        partial.replace(folder / f"{name}{suffix}")
    return [folder / f"{name}{suffix}" for suffix in tables]


def _refuse_names(data: Interactions) -> None:
    own = {"user_id": "the users", "item_id": "the items"}
    own |= {} if data.clock == "none" else {"timestamp" if data.clock == "seconds" else "order": "the times"}
    kept = [] if data.extra is None else list(map(str, data.extra.columns))
    _refuse_taken(kept, own)
    if data.clock != "seconds" and (times := [name for name in kept if is_time(name)]):
        raise ValueError(f"column {times[0]!r} would be read back as the times, and it only stands beside them; rename it or leave it out")
    for what, vocabulary in (("user", data.users), ("item", data.items)):
        if vocabulary.features is not None:
            _refuse_taken(list(map(str, vocabulary.features.columns)), {f"{what}_id": f"the {what}s"})


def _refuse_taken(names: list[str], own: dict[str, str]) -> None:
    refuse_twice(names)
    for name in names:
        if name in own:
            raise ValueError(f"column {name!r} has the name of {own[name]} in an atomic file; rename it or leave it out")
        if name.splitlines() != [name] or re.search(r'[\t:"]', name):
            raise ValueError(
                f"column {name!r}: a name in an atomic file is not empty and holds no tab, line break, colon or quotation mark"
            )


def _ids(vocabulary: Vocabulary, what: str) -> np.ndarray:
    ids = np.array(list(map(str, vocabulary.ids.tolist())), dtype=object)
    if strange := [text for text in ids if re.search(r'[\t\r\n"]', text)]:
        raise ValueError(f"{what} id {strange[0]!r} holds a tab, a line break or a quotation mark, which an atomic file cannot hold")
    if "" in ids:
        raise ValueError(f"{what} id '' is a missing one in an atomic file; give it a name")
    return ids


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns under typed names: numbers are ``float``, lists ``token_seq``, all else ``token``."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]):
            columns[f"{name}:float"] = frame[name]
            continue
        lists = frame[name].map(lambda value: isinstance(value, list | tuple | np.ndarray))
        columns[f"{name}:token_seq" if lists.any() else f"{name}:token"] = [_text(value, name) for value in frame[name]]
    return pd.DataFrame(columns)


def _text(value: Any, column: str) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        parts = [_text(part, column).replace(" ", "_") for part in value]
        if "" in parts:
            raise ValueError(f"column {column!r} holds {value!r}: an atomic file cannot say that a member of a list is missing or empty")
        return " ".join(parts)
    return "" if pd.isna(value) else " ".join(str(value).replace('"', "'").split())
