"""Which files of a folder are its interactions, which their parts, and which describe users and items.

Six forms: our own (``interactions*``), train, valid and test files (RecBole's and NBPO's too), a Hugging Face data set
(Parquet shards, or what ``save_to_disk`` wrote), one atomic file, MovieLens's ``ratings`` or ``u.data``, and any Parquet files, as
engines write them.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import NamedTuple

from recpref.data.guess import is_id, is_time
from recpref.data.movielens import layout_of
from recpref.data.readers import JSON, SUFFIXES, TEXT, suffix_of

SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
OWN = re.compile(r"interactions([._-]?(part)?[._-]?\d+)?")
SPLIT = re.compile(rf"(?:.*[._-])?({'|'.join(SPLITS)})(?:[._-]data)?")
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})")
FEATURES = {"item": ("items", "movies"), "user": ("users",)}


class Form(NamedTuple):
    """``parts``: the name of a split (None where there is none) and its files, in order. ``strict``: a time must be named."""

    parts: list[tuple[str | None, list[Path]]]
    items: Path | None = None
    users: Path | None = None
    strict: bool = True

    @property
    def files(self) -> list[Path]:
        """Every file of interactions."""
        return [file for _, files in self.parts for file in files]


def form_of(folder: Path) -> Form:
    """The form of a folder. Raises: FileNotFoundError where it has none; ValueError where parts are missing or ambiguous."""
    files = sorted((file for file in folder.iterdir() if file.is_file() and suffix_of(file) in SUFFIXES), key=_natural)
    form = _own(files) or _split(files, folder) or _hugging_face(folder) or _atomic(files, folder) or _ratings(files) or _shards(files)
    form = form or _partitioned(folder)
    if form is None:
        part = next((f"; to read {file.name} alone, say data={file}" for file in files if SPLIT.fullmatch(stem(file).lower())), "")
        raise FileNotFoundError(
            f"{folder} has no interactions*.csv, .csv.gz or .parquet, no train and test files, no Parquet shards, there or in folders "
            f"column=value, no .inter file and no ratings file{part}"
        )
    if form.items or form.users:
        return form
    return form._replace(items=_features(files, "item"), users=_features(files, "user"))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Part 10 comes after part 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def stem(path: Path) -> str:
    """The name without any suffix that says what is in the file."""
    name = path.name[:-3] if path.suffix.lower() == ".gz" else path.name
    return name[: len(name) - len(suffix_of(path))]


def _own(files: list[Path]) -> Form | None:
    parts = [file for file in files if OWN.fullmatch(stem(file)) and suffix_of(file) in (*TEXT, *JSON, ".parquet", ".arrow")]
    return Form([(None, parts)], strict=False) if parts else None


def _split(files: list[Path], folder: Path) -> Form | None:
    found: dict[str, list[Path]] = {}
    for file in files:
        if (match := SPLIT.fullmatch(stem(file).lower())) and suffix_of(file) not in (".item", ".user"):
            found.setdefault(SPLITS[match[1]], []).append(file)
    if not {"train", "test"} <= set(found):
        return None
    for name, candidates in found.items():
        if len(candidates) > 1:
            raise ValueError(f"{folder}: {', '.join(file.name for file in candidates)} could each be the {name} file; leave one")
    return Form(_ordered(found))._replace(items=_only(files, ".item"), users=_only(files, ".user"))


def _ordered(found: dict[str, list[Path]]) -> list[tuple[str | None, list[Path]]]:
    """Training first, then validation, then test; a single split needs no name."""
    first = [name for name in ("train", "valid", "test") if name in found]
    names = [*first, *(name for name in found if name not in first)]
    return [(name if len(names) > 1 else None, found[name]) for name in names]


def _only(files: list[Path], suffix: str) -> Path | None:
    fitting = [file for file in files if suffix_of(file) == suffix]
    return fitting[0] if len(fitting) == 1 else None


def _hugging_face(folder: Path) -> Form | None:
    if (folder / "dataset_dict.json").is_file():
        names = json.loads((folder / "dataset_dict.json").read_text())["splits"]
        return Form(_ordered({SPLITS.get(name, name): _saved(folder / name) for name in names}))
    if (folder / "state.json").is_file():
        return Form([(None, _saved(folder))])
    found: dict[str, list[Path]] = {}
    for file in sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]):
        if match := SHARD.fullmatch(file.stem):
            found.setdefault(SPLITS.get(match[1], match[1]), []).append(file)
    for name, files in found.items():
        expected = int(SHARD.fullmatch(files[0].stem)[3])  # type: ignore[index]  # it matched above
        if len(files) != expected:
            raise ValueError(f"{folder}: {name} has {len(files)} of {expected} shards; the download is not complete")
    return Form(_ordered(found)) if found else None


def _saved(folder: Path) -> list[Path]:
    """The Arrow files of one split that ``save_to_disk`` wrote."""
    try:
        return [folder / entry["filename"] for entry in json.loads((folder / "state.json").read_text())["_data_files"]]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} is no complete data set of save_to_disk: {error}") from error


def _atomic(files: list[Path], folder: Path) -> Form | None:
    inter = [file for file in files if suffix_of(file) == ".inter"]
    if len(inter) > 1:
        raise ValueError(f"{folder} has several .inter files ({', '.join(file.name for file in inter)}); name one of them")
    return atomic_form(inter[0]) if inter else None


def atomic_form(inter: Path) -> Form:
    """An atomic file with those of the same name beside it."""
    beside = {suffix: file if (file := inter.with_suffix(suffix)).is_file() else None for suffix in (".item", ".user")}
    return Form([(None, [inter])], beside[".item"], beside[".user"], strict=False)


def _ratings(files: list[Path]) -> Form | None:
    found = [file for file in files if stem(file) == "ratings" or file.name == "u.data"]
    if not found:
        return None
    without_header = {layout.what: file for file in files if (layout := layout_of(file))}
    items, users = (_features(files, what) or without_header.get(what) for what in ("item", "user"))
    return Form([(None, found[:1])], items, users)


def _shards(files: list[Path]) -> Form | None:
    """Parquet files that say nothing by their names, as Spark (``part-00000-....snappy.parquet``), Ray and Dask write them."""
    found = [file for file in files if file.suffix == ".parquet" and stem(file) not in itertools.chain(*FEATURES.values())]
    return Form([(None, found)]) if found else None


def _partitioned(folder: Path) -> Form | None:
    """Parquet files in folders that are called ``column=value``, as Spark's ``partitionBy`` writes them. What the folders say is not read.

    Raises: ValueError where that would be a user, an item, a time or a split.
    """
    found = sorted(folder.glob("*=*/**/*.parquet"), key=lambda file: [_natural(folder / part) for part in file.relative_to(folder).parts])
    for column in dict.fromkeys(part.partition("=")[0] for file in found for part in file.relative_to(folder).parts[:-1]):
        if is_id(column) or is_time(column) or column == "split":
            raise ValueError(
                f"{folder} is partitioned by {column!r}, which is in the names of its folders and not in its files; write it anew without, "
                "or partitioned by another column"
            )
    return Form([(None, found)]) if found else None


def _features(files: list[Path], what: str) -> Path | None:
    fitting = [file for file in files if stem(file) in FEATURES[what] and suffix_of(file) not in (".dat", ".data", ".txt")]
    return fitting[0] if fitting else None
