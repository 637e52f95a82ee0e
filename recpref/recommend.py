"""python -m recpref.recommend run=runs/... out=recs.parquet [k=10] [data=...] [filter_seen=true] [search=exact]: write recommendations.

Without ``data`` every user of the run's own data is served from the whole history, held-out items included. ``data`` is
the path of other histories; ``data.user=``, ``data.item=`` and ``data.time=`` (a column, or none) name its columns where they are not
called as in training. ``out`` ends in .parquet or .csv. ``search=hnsw`` or ``ivf`` looks in an index of faiss instead of scoring every
item, and prints how much of the exact lists it finds. ``trust=their.package:Thing`` allows the run of a model that is not recpref's to
import it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recpref import console
from recpref.suggest import unknown
from recpref.workplace import refuse_unwritable

if TYPE_CHECKING:
    import pandas as pd


COLUMNS = ("data.user", "data.item", "data.time")


class Asked(NamedTuple):
    """What was asked for, as texts."""

    run: str | None = None
    out: str | None = None
    k: str = "10"
    data: str | None = None
    filter_seen: str = "true"
    search: str = "exact"
    trust: str | None = None


def recommend(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for unknown or missing options."""
    pairs = console.pairs(arguments, __doc__)
    if pairs is None:
        return
    for key in pairs:
        if key not in (*Asked._fields, *COLUMNS):
            raise ValueError(unknown("option", key, (*Asked._fields, *COLUMNS)))
    columns = {key.removeprefix("data."): pairs.pop(key) for key in COLUMNS if key in pairs}
    asked = Asked(**pairs)
    for key in ("run", "out"):
        if getattr(asked, key) is None:
            raise ValueError(f"{key}= is missing; say python -m recpref.recommend run=runs/... out=recs.parquet")
    if columns and asked.data is None:
        raise ValueError(f"data.{next(iter(columns))}= names a column of other histories; say data=histories.csv, too")
    _recommend(asked, Path(str(asked.run)), Path(str(asked.out)), columns)


def _recommend(asked: Asked, path: Path, out: Path, columns: dict[str, str]) -> None:
    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"out={out} must end in .parquet or .csv")
    if os.path.isdir(out):  # False, not an error, where nobody may look
        raise ValueError(f"out={out} is a folder; say the file that is to be written")
    refuse_unwritable(out, "FILE")
    from recpref.retrieval.approximate import KINDS

    k = _number("k", asked.k)
    seen = asked.filter_seen.lower()
    if seen not in ("true", "false"):
        raise ValueError(unknown("filter_seen", seen, ("true", "false")))
    if asked.search not in ("exact", *KINDS):
        raise ValueError(unknown("search", asked.search, ("exact", *KINDS)))
    from recpref.run import Run

    run = Run.load(path, trust=asked.trust)
    frame = run.recommend(_histories(run, asked.data, columns), k, filter_seen=seen == "true", search=asked.search)
    _write(frame, out)
    print(f"{len(frame):,} recommendations for {frame.user.nunique():,} users in {out}")
    if "found" in frame.attrs:
        print(f"search={asked.search} found {frame.attrs['found']:.1%} of what exact search finds, on its first users")


def _write(frame: pd.DataFrame, out: Path) -> None:
    """The file at once or not at all."""
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        frame.to_parquet(partial, index=False) if out.suffix == ".parquet" else frame.to_csv(partial, index=False)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _number(key: str, text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{key}={text} must be a whole number of at least 1")
    return int(text)


def _histories(run: Any, data: str | None, columns: dict[str, str]) -> Any:
    from recpref.source import opened_again

    if data is not None:
        return _read(data, run, columns)
    if run.experiment.data.frame:
        raise ValueError(f"{run.path} was trained on a frame that is not kept with it; say data=histories.csv")
    return opened_again(run.experiment.data)


def _read(data: str, run: Any, columns: dict[str, str]) -> Any:
    """A file's histories, its items as texts where the run's are. Integers come only of ids written as such: nothing is lost."""
    from recpref.data.asked import Asked
    from recpref.data.readers import read_file

    item = columns.get("item", run.columns.item)
    frame = read_file(data, Asked(columns.get("user", run.columns.user), item)).to_pandas()
    if item in frame and run.items.kind == "str" and frame[item].dtype.kind in "iu":
        frame[item] = frame[item].astype(str)
    return run.histories(frame, **columns, name=data)


if __name__ == "__main__":
    console.main(recommend)
