"""Dataset cards: ``datasets/<name>.toml`` says where a data set is found, what it must contain and who made it.

A card's data is looked for in ``$RECPREF_DATA``, in the local cache, in the copy that RecBole's wheel carries (read as a
file, never imported), and at last downloaded. Every source must give the counts and the digest that the card names.

    name = "toy"                             # the file's
    title = "Toy clicks"                     # shown by --help
    homepage = "https://example.org/toy"
    licence = "CC BY 4.0"
    citation = "A. Author. Toy clicks. 2020."
    columns = ["user_id", "item_id", "rating", "timestamp"]      # in their order, for files of the sources recbole and url
    time = "timestamp"                       # the column of times (this is the default), or "none"
    verified = true                          # false: whether the counts below are right is not known

    [filter]                                 # done to the data before it is counted; without: nothing
    k_core = 5
    min_rating = 4
    duplicates = "keep"                      # or first, last, refuse

    [expected]                               # each is compared with the data, if it is there
    users = 943
    items = 1682
    interactions = 100000
    digest = "00d5..."

    [[sources]]                              # the first that is there is taken
    kind = "folder"                          # under $RECPREF_DATA: see Interactions.from_folder
    path = "toy"

    [[sources]]
    kind = "recbole"                         # a file in RecBole's wheel
    path = "dataset_example/toy/toy.inter"
    header = true                            # its first line is one, which ``columns`` stands for; by default false

    [[sources]]
    kind = "url"                             # downloaded once
    path = "https://example.org/toy.zip"
    sha256 = "50d2..."                       # of what is downloaded
    member = "toy/clicks.csv"                # of an archive
    separator = ","                          # by default a tab
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from recpref.data import downloads
from recpref.data.asked import Asked
from recpref.data.columns import interactions_of
from recpref.data.filters import Duplicates, Ties, filter_by
from recpref.data.guess import columns_of
from recpref.data.interactions import Interactions
from recpref.data.opening import open_file, read_folder
from recpref.data.readers import HINT
from recpref.data.separated import read_separated
from recpref.suggest import unknown


@dataclass(frozen=True)
class Source:
    """One place where the data may be: ``folder`` under $RECPREF_DATA, a file in the ``recbole`` wheel, or a ``url``."""

    kind: str
    path: str
    sha256: str = ""
    member: str = ""
    separator: str = "\t"
    header: bool = False


@dataclass(frozen=True)
class Card:
    """What a TOML card says. ``time`` is the column of times, or ``none``."""

    name: str
    title: str
    homepage: str
    licence: str
    citation: str
    columns: list[str]
    verified: bool
    sources: list[Source]
    expected: dict[str, Any]
    filter: dict[str, Any] = field(default_factory=dict)
    time: str = "timestamp"


def folder() -> Path:
    """Where the cards are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "cards"
    return installed if installed.is_dir() else package.parent / "datasets"


def names() -> list[str]:
    """The names of all cards."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def card(name: str) -> Card:
    """The card of that name. Raises: ValueError with the nearest and all legal names."""
    if name not in names():
        raise ValueError(unknown("data set", name, names(), hint=HINT))
    with (folder() / f"{name}.toml").open("rb") as file:
        content = tomllib.load(file)
    return Card(**{**content, "sources": [Source(**source) for source in content["sources"]]})


def load(
    name: str,
    *,
    k_core: int | None = None,
    min_rating: float | None = None,
    rating: str | None = None,
    duplicates: Duplicates | None = None,
    ties: Ties = "file",
    asked: Asked | None = None,
) -> Interactions:
    """The data of a card, checked against it; other filters and another time than the card's own are used but not checked.

    Raises: ValueError for an unknown name or data other than the card says; FileNotFoundError where no source has it.
    """
    description, asked = card(name), asked or Asked()
    own = description.filter
    asked = asked._replace(time=asked.time or description.time)
    data = filter_by(
        replace(_found(description, asked), name=name),
        k_core=own.get("k_core") if k_core is None else k_core,
        min_rating=own.get("min_rating") if min_rating is None else min_rating,
        rating=rating,
        duplicates=duplicates or own.get("duplicates", "keep"),
        ties=ties,
    )
    differs = [
        k_core not in (None, own.get("k_core")),
        min_rating not in (None, own.get("min_rating")),
        rating is not None,
        duplicates not in (None, own.get("duplicates", "keep")),
        ties != "file",
        asked.time != description.time,
        asked.missing_time != "refuse",
    ]
    if any(differs):
        return data.noted("read with other options than the card's, so its counts were not checked")
    _check(data, description)
    return data.noted("the card's counts agree" if description.verified else "the card is not verified: its counts are not known")


def _found(description: Card, asked: Asked) -> Interactions:
    for source in description.sources:
        path = _place(source)
        if path is not None:
            return _read(path, source, description, asked)
    tried = ", ".join(f"{source.kind} {source.path}" for source in description.sources)
    raise FileNotFoundError(f"{description.name} was not found ({tried}); {remedy()}")


def remedy() -> str:
    """What is said where data is in none of the places."""
    root = os.environ.get("RECPREF_DATA")
    return f"RECPREF_DATA={root} does not hold it" if root else "set RECPREF_DATA to the folder that holds it"


def _place(source: Source) -> Path | None:
    if source.kind == "folder":
        root = os.environ.get("RECPREF_DATA")
        return path if root and (path := Path(root) / source.path).is_dir() else None
    if source.kind == "recbole":
        spec = importlib.util.find_spec("recbole")  # finds the files without importing the package
        roots = list(spec.submodule_search_locations or []) if spec else []
        return next((path for root in roots if (path := Path(root) / source.path).is_file()), None)
    return downloads.downloaded(source.path, source.sha256)


def nearest(name: str) -> str | None:
    """Where ``load`` would find the data without a download, in words; None where it would have to download."""
    for source in card(name).sources:
        if source.kind != "url":
            place = _place(source)
        else:
            cached = downloads.cached(source.path)
            place = cached if cached.is_file() else None
        if place is not None:
            return f"{source.kind} {place}"
    return None


def _read(path: Path, source: Source, description: Card, asked: Asked) -> Interactions:
    if source.kind == "folder":
        return read_folder(path, asked)
    table = read_separated(path, description.columns, source.separator, member=source.member or None, header=source.header)
    columns, line = columns_of(table.column_names, asked, description.name)
    return interactions_of(table, columns, name=description.name, report=(line,), missing_time=asked.missing_time)


def _check(data: Interactions, description: Card) -> None:
    found = {"users": data.n_users, "items": data.n_items, "interactions": len(data), "digest": data.digest}
    for key, expected in description.expected.items():
        if found[key] != expected:
            raise ValueError(f"{description.name}: the card expects {key} {expected} but the data found has {found[key]}")


def open_data(
    name: str,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | None = None,
    k_core: int | None = None,
    min_rating: float | None = None,
    duplicates: Duplicates | None = None,
    ties: Ties = "file",
    missing_time: Literal["refuse", "drop"] = "refuse",
    separator: str | None = None,
    encoding: str = "utf-8",
    extra: bool = True,
) -> Interactions:
    """A card's data, a file or a folder.

    Columns that are not named are guessed; ``time="none"`` takes the order of the rows, and ``rating`` is what ``min_rating`` is held
    against. ``duplicates`` (by default those of
    the card, else ``keep``): what becomes of rows that repeat a user and item. ``ties=random`` puts rows of one user and one
    time in an order that does not come from the file: what a file orders by a rule, models learn by heart. ``separator`` may
    be spelled ``comma``, ``semicolon``, ``tab``, ``pipe`` or ``space``. Without ``extra`` no column is read that is not needed.

    Raises: ValueError for an unknown name; otherwise as the readers.
    """
    also = ("split", *(() if rating is None else (rating,)))
    asked = Asked(user, item, time, separator, encoding, extra, also, missing_time, rated=min_rating is not None)
    if name in names():
        return load(name, k_core=k_core, min_rating=min_rating, rating=rating, duplicates=duplicates, ties=ties, asked=asked)
    data = open_path(name, asked)
    return filter_by(data, k_core=k_core, min_rating=min_rating, rating=rating, duplicates=duplicates or "keep", ties=ties)


def open_path(name: str, asked: Asked) -> Interactions:
    """A file or a folder, unfiltered. Raises: ValueError for what is neither a path nor looks like one; otherwise as the readers."""
    path = Path(name)
    if not (path.exists() or path.suffix):
        raise ValueError(unknown("data set", name, names(), hint=HINT))
    return read_folder(path, asked) if path.is_dir() else open_file(path, asked)
