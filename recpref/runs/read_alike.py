"""Other histories for a run, read as its own data were: a card's, a file's, a folder's or a store's, by the options of its plan.

``min_rating`` and ``duplicates`` hold for them as they held in training; ``k_core`` does not, because who is recommended for may be new
and have few interactions. What is said beside them wins.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recpref.data import cards
from recpref.data.asked import READING, Asked
from recpref.data.filters import filter_by
from recpref.data.forms import form_of
from recpref.data.guess import is_rating
from recpref.data.ids import as_written
from recpref.data.interactions import Interactions
from recpref.data.readers import SUFFIXES, read_file, suffix_of
from recpref.data.store import is_store
from recpref.data.vocabulary import Vocabulary
from recpref.runs.lacking import tell_of_no_times
from recpref.runs.run import Run
from recpref.suggest import unknown

RULES = ("missing_time=", "duplicates=", "min_rating=")


def read_alike(name: str, run: Run, said: dict[str, str]) -> Interactions:
    """The histories in ``name``; ``said`` are options of ``READING`` as texts. ``min_rating=none`` keeps all ratings.

    Rows of a file that lacks the times of training are taken to be in order, and one without ratings is not filtered by them; a warning
    says so. Cards and stores have columns of their own.

    Raises: ValueError for an unknown option or value, and as ``open_data``.
    """
    options = {key: value for key, value in run.experiment.data.options.items() if key in (*READING[3:], "extra")} | _values(said)
    if options.get("min_rating") is None and "rating" not in said:
        options |= {"rating": None}
    if name in cards.names():
        time = {"time": "none"} if run.columns.time is None else {}
        data = cards.load(name, **_filters(options), asked=_asked({**time, **said}, options))
    else:
        columns = {} if is_store(Path(name)) else {role: column or "none" for role, column in run.columns._asdict().items()}
        asked = _asked(columns | said, options)._replace(may_lack_time="time" not in said)
        data = _filtered(cards.open_path(name, asked), options, said)
    if run.columns.time is not None and data.columns.time is None and "time" not in said and len(data) > data.n_users:
        there = ", ".join(map(repr, [*data.columns[:2], *(data.extra.columns if data.extra is not None else [])]))
        tell_of_no_times(name, run.columns.time, there, "recommend data.time=NAME", stacklevel=3)
    return replace(data, items=alike(data.items, run.items))


def read_pairs(name: str, run: Run, histories: Interactions) -> Interactions:
    """The users and items in a file, a folder or a store, in columns called as in training: candidates for the users of ``histories``."""
    data = cards.open_path(name, Asked(run.columns.user, run.columns.item, "none", extra=False))
    return replace(data, users=alike(data.users, histories.users), items=alike(data.items, run.items))


def alike(ids: Vocabulary, others: Vocabulary) -> Vocabulary:
    """Integers as texts where the others are texts: they come only of ids written as such, so that nothing is lost."""
    return Vocabulary(ids.ids.astype(str).astype(object)) if others.kind == "str" and ids.kind == "int" else ids


def read_ids(name: str, run: Run) -> list[Any]:
    """The item ids in a file: in the item column of a table (called as in training), or one a line of any other text.

    Raises: FileNotFoundError; ValueError for an empty file, or a table without that column.
    """
    path, item = Path(name), run.columns.item
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if suffix_of(path) in SUFFIXES and suffix_of(path) != ".txt":
        table = read_file(path, Asked(item=item))
        if item not in table.column_names:
            there = ", ".join(map(repr, table.column_names))
            raise ValueError(f"{path} has no column {item!r}; it has {there}; a text of one id a line may end in .txt")
        column = table[item]
    else:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        column = as_written(pa.chunked_array([pa.array([line for line in lines if line], pa.string())]))
    if not len(column):
        raise ValueError(f"{path} is empty")
    return (column.cast(pa.string()) if run.items.kind == "str" else column).to_pylist()


def rules(name: str, data: Interactions) -> str | None:
    """In one line, which rules kept how much of ``data``; None where there were none."""
    kept = [line for line in data.report if line.startswith(RULES)]
    return f"{name} is read as the run's data were: {'; '.join(kept)}" if kept else None


def files_of(name: str) -> list[Path]:
    """The files of interactions that ``name`` stands for; none for a card or a store."""
    path = Path(name)
    if name in cards.names() or is_store(path):
        return []
    return form_of(path).files if path.is_dir() else [path]


def _values(said: dict[str, str]) -> dict[str, Any]:
    for key in said:
        if key not in READING:
            raise ValueError(unknown("option", f"data.{key}", [f"data.{option}" for option in READING]))
    if (policy := said.get("missing_time", "refuse")) not in ("refuse", "drop"):
        raise ValueError(unknown("data.missing_time", policy, ("refuse", "drop")))
    return {key: _least(value) if key == "min_rating" else value for key, value in said.items()}


def _least(text: str) -> float | None:
    if text in ("none", "null"):
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"data.min_rating={text} must be a number, or none") from None


def _asked(columns: dict[str, str], options: dict[str, Any]) -> Asked:
    rating = options.get("rating")
    return Asked(
        columns.get("user"),
        columns.get("item"),
        columns.get("time"),
        separator=options.get("separator"),
        encoding=options.get("encoding", "utf-8"),
        extra=options.get("extra", True),
        also=("split", *(() if rating is None else (rating,))),
        missing_time=options.get("missing_time", "refuse"),
        rated=options.get("min_rating") is not None,
    )


def _filters(options: dict[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in ("min_rating", "rating", "duplicates", "ties") if options.get(key) is not None}


def _filtered(data: Interactions, options: dict[str, Any], said: dict[str, str]) -> Interactions:
    """What the rules of training keep; ratings that training had and these have not are no rule for them."""
    filters, there = _filters(options), [] if data.extra is None else list(data.extra.columns)
    lacks = filters.get("rating") not in there and not any(map(is_rating, there))
    if "min_rating" in filters and lacks and not {"min_rating", "rating"} & said.keys():
        least, filters = filters["min_rating"], {key: value for key, value in filters.items() if key not in ("min_rating", "rating")}
        warnings.warn(
            f"{data.name} has no column of ratings, so all its rows are taken, and training took those of {least:g} or more; "
            "say data.rating=NAME, or data.min_rating=none",
            stacklevel=3,
        )
    return filter_by(data, **filters)
