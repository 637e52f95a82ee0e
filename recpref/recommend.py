"""python -m recpref.recommend run=runs/... out=recs.parquet [k=10] [data=...] [filter_seen=true]: write recommendations.

Without ``data`` every user of the run's own data is served from the whole history, held-out items included. ``data`` is
the path of other histories with the same column names. ``out`` ends in .parquet or .csv.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from recpref import console
from recpref.suggest import unknown

OPTIONS = {"run": None, "out": None, "k": "10", "data": None, "filter_seen": "true"}


def recommend(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for unknown or missing options."""
    given, overrides = console.switches(arguments, set())
    if given:
        print(__doc__)
        return
    from recpref.composition import chosen

    pairs = {**OPTIONS, **chosen(overrides)}
    for key in pairs:
        if key not in OPTIONS:
            raise ValueError(unknown("option", key, OPTIONS))
    for key in ("run", "out"):
        if pairs[key] is None:
            raise ValueError(f"{key}= is missing; say python -m recpref.recommend run=runs/... out=recs.parquet")
    _write(pairs)


def _write(pairs: dict[str, Any]) -> None:
    out = Path(pairs["out"])
    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"out={out} must end in .parquet or .csv")
    k = _number("k", pairs["k"])
    seen = pairs["filter_seen"].lower()
    if seen not in ("true", "false"):
        raise ValueError(unknown("filter_seen", seen, ("true", "false")))
    from recpref.run import Run

    run = Run.load(pairs["run"])
    frame = run.recommend(_histories(run, pairs["data"]), k, filter_seen=seen == "true")
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(partial, index=False) if out.suffix == ".parquet" else frame.to_csv(partial, index=False)
    partial.replace(out)
    print(f"{len(frame):,} recommendations for {frame['user'].nunique():,} users in {out}")


def _number(key: str, text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{key}={text} must be a whole number of at least 1")
    return int(text)


def _histories(run: Any, data: str | None) -> Any:
    from recpref.experiment import opened

    if data is not None:
        return _read(data, run)
    section = run.experiment["data"]
    if section.get("source") == "frame":
        raise ValueError(f"{run.path} was trained on a frame that is not kept with it; say data=histories.csv")
    return opened(section)


def _read(data: str, run: Any) -> Any:
    """A file's rows, its items as texts where the run's are. Integers come only of ids written as such: nothing is lost."""
    from recpref.data.asked import Asked
    from recpref.data.readers import read_file

    user, item, _ = run.columns
    frame = read_file(data, Asked(user, item)).to_pandas()
    if item in frame and run.items.kind == "str" and frame[item].dtype.kind in "iu":
        frame[item] = frame[item].astype(str)
    return frame


if __name__ == "__main__":
    console.main(recommend)
