"""A store: interactions as flat arrays on disk, opened in an instant by mapping them into memory.

A folder of ``.npy`` files (user, item, time and where it is finer its fraction, the offsets of users and the counts of items),
``users.parquet`` and ``items.parquet`` with ids and features, and ``store.json``, which is written last and says what belongs there.
Nothing in it is unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recpref.data.interactions import Columns, Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.workplace import refuse_unwritable, workplace

FILE = "store.json"
FORMAT = 1
SPARE = 64 * 2**20  # bytes that stay free


class Facts(NamedTuple):
    """What ``store.json`` says. ``files``: the bytes of each."""

    format: int
    name: str
    rows: int
    clock: str
    columns: dict[str, str | None]
    report: list[str]
    digest: str
    files: dict[str, int]


def is_store(path: Path) -> bool:
    """Whether the folder says that it is one."""
    return (path / FILE).is_file()


def open_store(path: str | Path) -> Interactions:
    """The data of a store, whose arrays are mapped, not read.

    Raises: FileNotFoundError where there is none; ValueError where it is of another format, or lacks a file or a part of one.
    """
    path = Path(path)
    if not is_store(path):
        raise FileNotFoundError(f"{path} is no store: it has no {FILE}; python -m recpref.prepare data=... out={path} makes one")
    facts = _facts(path)
    for name, size in facts.files.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found != size:
            state = "is not there" if found is None else f"has {found:,} of {size:,} bytes"
            raise ValueError(f"{path} is not a complete store: {name} {state}; prepare it again")
    time, fraction = (mapped(path / name) if name in facts.files else None for name in ("time.npy", "fraction.npy"))
    data = Interactions(
        user=mapped(path / "user.npy"),
        item=mapped(path / "item.npy"),
        time=time,
        fraction=fraction,
        clock=facts.clock,  # type: ignore[arg-type]
        extra=None,
        users=Vocabulary.read(path / "users.parquet"),
        items=Vocabulary.read(path / "items.parquet"),
        name=facts.name,
        columns=Columns(**facts.columns),  # type: ignore[arg-type]
        report=(*facts.report, f"opened in place: {path}"),
    )
    # what would otherwise be computed from all rows
    vars(data).update(offsets=mapped(path / "offsets.npy"), item_counts=mapped(path / "item_counts.npy"), digest=facts.digest)
    return data


def _facts(path: Path) -> Facts:
    try:
        content = json.loads((path / FILE).read_text())
        found = content.get("format")
        if found == FORMAT:
            return Facts(**content)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{path / FILE} is damaged: {error}") from error
    raise ValueError(f"{path} is a store of format {found}, and this recpref reads format {FORMAT}; prepare it again")


def mapped(file: Path) -> Any:
    """An array on disk, for reading only. Raises: ValueError where it is none."""
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def refuse_place(out: Path) -> None:
    """Raises: ValueError where something else stands at ``out``; PermissionError where nothing can be written there."""
    if os.path.lexists(out) and not is_store(out):
        raise ValueError(f"out={out} exists and is no store; it is left as it is: say another folder, or remove it")
    refuse_unwritable(out)


@contextmanager
def new_store(out: Path, needed: int) -> Iterator[Path]:
    """The folder to write a store of about so many bytes into; it takes its place when all went well.

    Raises: as ``refuse_place``, and ValueError where another process writes there, or where the disk is too full.
    """
    refuse_place(out)
    parent = next(folder for folder in (out.absolute().parent, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed + SPARE:
        raise ValueError(f"{parent} has {free / 1e9:.1f} GB left, and preparing needs about {needed / 1e9:.1f}; say out=FOLDER elsewhere")
    with workplace(out) as place:
        yield place


def write_facts(place: Path, data: Interactions) -> None:
    """Writes vocabularies, offsets and counts, and at last what makes the folder a store. The arrays of ``data`` are there already."""
    np.save(place / "offsets.npy", data.offsets)
    np.save(place / "item_counts.npy", data.item_counts)
    data.users.write(place / "users.parquet")
    data.items.write(place / "items.parquet")
    files = {file.name: file.stat().st_size for file in sorted(place.iterdir()) if file.suffix in (".npy", ".parquet")}
    columns = data.columns._asdict()
    facts = Facts(FORMAT, data.name, len(data), data.clock, columns, list(data.report), data.digest, files)
    (place / FILE).write_text(json.dumps(facts._asdict(), indent=1))


def write_store(data: Interactions, out: Path) -> None:
    """Data that are in memory as a store; their other columns are left out. Raises: as ``new_store``."""
    arrays = {"user": data.user, "item": data.item, "time": data.time, "fraction": data.fraction}
    with new_store(out, sum(array.nbytes for array in arrays.values() if array is not None)) as place:
        for name, array in arrays.items():
            if array is not None:
                np.save(place / f"{name}.npy", array)
        write_facts(place, data)


class Arrays:
    """Arrays of a known length that are written part by part."""

    def __init__(self, place: Path, names: tuple[str, ...], rows: int):
        self.files = [(place / f"{name}.npy").open("wb") for name in names]
        for file in self.files:
            np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (rows,)})

    def add(self, *parts: np.ndarray) -> None:
        """The next rows of each."""
        for file, part in zip(self.files, parts, strict=True):
            part.astype("<i8", copy=False).tofile(file)

    def close(self) -> None:
        """Every row was added."""
        for file in self.files:
            file.close()
