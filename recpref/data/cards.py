"""Dataset cards: ``datasets/<name>.toml`` says where a data set is found, what it must contain and who made it.

A card's data is looked for in ``$RECPREF_DATA``, in the local cache, in the copy that RecBole's wheel carries (read as a
file, never imported), and at last downloaded. Every source must give the counts and the digest that the card names.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recpref.data.filters import at_least, k_core
from recpref.data.interactions import Interactions
from recpref.data.readers import read_file, read_folder, read_separated
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
    """What a TOML card says."""

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
        raise ValueError(unknown("data set", name, names(), hint="or the path of a .csv, .tsv or .parquet file or of a folder"))
    with (folder() / f"{name}.toml").open("rb") as file:
        content = tomllib.load(file)
    return Card(**{**content, "sources": [Source(**source) for source in content["sources"]]})


def load(name: str, *, k_core_of: int | None = None, min_rating: float | None = None) -> Interactions:
    """The data of a card, checked against it; ``k_core_of`` and ``min_rating`` replace the card's own filter.

    Raises: ValueError for an unknown name or data other than the card says; FileNotFoundError where no source has it.
    """
    description = card(name)
    data = replace(_found(description), name=name)
    card_k_core, card_rating = description.filter.get("k_core"), description.filter.get("min_rating")
    k_core_of = card_k_core if k_core_of is None else k_core_of
    min_rating = card_rating if min_rating is None else min_rating
    filtered = filter_by(data, k_core_of=k_core_of, min_rating=min_rating)
    if (k_core_of, min_rating) == (card_k_core, card_rating):
        _check(filtered, description)
    return filtered


def filter_by(data: Interactions, *, k_core_of: int | None, min_rating: float | None) -> Interactions:
    """First the rating threshold, then the k-core."""
    data = data if min_rating is None else at_least(data, min_rating)
    return data if not k_core_of else k_core(data, k_core_of)


def _found(description: Card) -> Interactions:
    for source in description.sources:
        path = _place(source)
        if path is not None:
            return _read(path, source, description)
    tried = ", ".join(f"{source.kind} {source.path}" for source in description.sources)
    raise FileNotFoundError(f"{description.name} was not found ({tried}); set RECPREF_DATA to the folder that holds it")


def _place(source: Source) -> Path | None:
    if source.kind == "folder":
        root = os.environ.get("RECPREF_DATA")
        return path if root and (path := Path(root) / source.path).is_dir() else None
    if source.kind == "recbole":
        spec = importlib.util.find_spec("recbole")  # finds the files without importing the package
        roots = list(spec.submodule_search_locations or []) if spec else []
        return next((path for root in roots if (path := Path(root) / source.path).is_file()), None)
    return downloaded(source.path, source.sha256)


def nearest(name: str) -> str | None:
    """Where ``load`` would find the data without a download, in words; None where it would have to download."""
    for source in card(name).sources:
        if source.kind != "url":
            place = _place(source)
        else:
            cached = cache() / source.path.rsplit("/", 1)[-1]
            place = cached if cached.is_file() else None
        if place is not None:
            return f"{source.kind} {place}"
    return None


def _read(path: Path, source: Source, description: Card) -> Interactions:
    if source.kind == "folder":
        return read_folder(path)
    table = read_separated(path, description.columns, source.separator, member=source.member or None, header=source.header)
    return Interactions.from_dataframe(table, user="user_id", item="item_id", time="timestamp")


def cache() -> Path:
    """The local cache of downloads."""
    import pooch

    return Path(pooch.os_cache("recpref"))


def downloaded(url: str, sha256: str) -> Path:
    """The file at ``url`` in the local cache, downloaded with a progress bar if it is not there.

    Raises: ValueError where the checksum differs (a truncated download, too); ConnectionError where nothing answers.
    """
    import pooch
    import requests

    try:
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=cache(), fname=url.rsplit("/", 1)[-1], progressbar=True))
    except requests.RequestException as error:
        raise ConnectionError(f"{url} could not be downloaded: {error}; put the data into $RECPREF_DATA instead") from error
    except ValueError as error:
        raise ValueError(f"{url} is not the file that the card describes: {error}") from error


def _check(data: Interactions, description: Card) -> None:
    found = {"users": data.n_users, "items": data.n_items, "interactions": len(data), "digest": data.digest}
    for key, expected in description.expected.items():
        if found[key] != expected:
            raise ValueError(f"{description.name}: the card expects {key} {expected} but the data found has {found[key]}")


def open_data(name: str, *, user: str = "user_id", item: str = "item_id", time: str | None = "timestamp",
              k_core: int | None = None, min_rating: float | None = None) -> Interactions:  # fmt: skip
    """A card's data, a file or a folder. The columns are those of a file; a card and a folder know their own.

    Raises: ValueError for an unknown name; otherwise as the readers.
    """
    path = Path(name)
    if name in names():
        return load(name, k_core_of=k_core, min_rating=min_rating)
    if path.is_dir():
        return filter_by(read_folder(path), k_core_of=k_core, min_rating=min_rating)
    if path.is_file() or path.suffix:
        data = Interactions.from_dataframe(read_file(path), user=user, item=item, time=time, name=path.name.split(".")[0])
        return filter_by(data, k_core_of=k_core, min_rating=min_rating)
    raise ValueError(unknown("data set", name, names(), hint="or the path of a .csv, .tsv or .parquet file or of a folder"))
