"""python -m recpref.recommend run=runs/... out=recs.parquet [k=10] [data=...] [filter_seen=...] [search=exact]: write recommendations.

Without ``data`` every user of the run's own data is served from the whole history, held-out items included. ``data`` is
the path of other histories, or a name, as in training: a file, a folder, a store, a card. They are read as the run's data were, by the same
columns and options, ``data.min_rating`` and ``data.duplicates`` included (``data.k_core`` is not applied); what is said here wins:
``data.user=``, ``data.item=``, ``data.time=`` (a column, or none), ``data.min_rating=`` (or none), ``data.encoding=``, ...
``out`` ends in .parquet or .csv. ``filter_seen=true|false``: whether items of the history are left out; unsaid, as the run was evaluated.
``items=FILE``: only these may be recommended; ``exclude_items=FILE``: these may not (a table's item column, or a text of one id a line).
``candidates=FILE``: a table of users and items, columns as in training: each user's own items in the model's order, all of them where
``k`` is not said, seen ones too unless ``filter_seen=true``.
``rank=posterior``, for runs of ``objective=nbpo``: by how likely an item that a user did not touch is liked all the same.
``search=hnsw`` or ``ivf`` looks in an index of faiss instead of scoring every item, and prints how much of the exact lists it finds.
``trust=their.package:Thing`` allows the run of a model that is not recpref's to import it; several names with commas between them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recpref import console
from recpref.data.asked import READING
from recpref.suggest import unknown
from recpref.workplace import refuse_unwritable

if TYPE_CHECKING:
    import pandas as pd


class Asked(NamedTuple):
    """What was asked for, as texts."""

    run: str | None = None
    out: str | None = None
    k: str | None = None
    data: str | None = None
    filter_seen: str | None = None
    search: str = "exact"
    trust: str | None = None
    items: str | None = None
    exclude_items: str | None = None
    candidates: str | None = None
    rank: str = "score"


def recommend(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for unknown or missing options."""
    pairs = console.pairs(arguments, __doc__)
    if pairs is None:
        return
    reading = [f"data.{option}" for option in READING]
    if "data.k_core" in pairs:
        raise ValueError("data.k_core is not applied to histories, whose users may be new; leave it out")
    for key in pairs:
        if key not in (*Asked._fields, *reading):
            raise ValueError(unknown("option", key, (*Asked._fields, *reading)))
    said = {key.removeprefix("data."): pairs.pop(key) for key in reading if key in pairs}
    asked = Asked(**pairs)
    for key in ("run", "out"):
        if getattr(asked, key) is None:
            raise ValueError(f"{key}= is missing; say python -m recpref.recommend run=runs/... out=recs.parquet")
    if said and asked.data is None:
        key = next(iter(said))
        what = "names a column of" if key in ("user", "item", "time", "rating") else "says how to read"
        raise ValueError(f"data.{key}= {what} other histories; say data=histories.csv, too")
    _recommend(asked, Path(str(asked.run)), Path(str(asked.out)), said)


def _recommend(asked: Asked, path: Path, out: Path, said: dict[str, str]) -> None:
    _refuse_output(out)
    k = None if asked.k is None else console.whole_number("k", asked.k)
    filter_seen = _checked(asked)
    from recpref.runs.read_alike import read_ids, read_pairs
    from recpref.runs.run import Run

    run = Run.load(path, trust=tuple((asked.trust or "").split(",")))
    run = run.posterior() if asked.rank == "posterior" else run
    own = run.experiment.data
    _refuse_input(out, [asked.data or (None if own.frame else own.name), asked.items, asked.exclude_items, asked.candidates])
    restricted: dict[str, Any] = {
        key: read_ids(name, run) for key in ("items", "exclude_items") if (name := getattr(asked, key)) is not None
    }
    histories = _histories(run, asked.data, said)
    if asked.candidates is None:
        frame = run.recommend(histories, k or 10, filter_seen=filter_seen, search=asked.search, **restricted)  # type: ignore[arg-type]  # checked above
    else:
        frame = run.rerank(histories, read_pairs(asked.candidates, run, histories), k, filter_seen=bool(filter_seen))
    _write(frame, out)
    print(f"{len(frame):,} recommendations for {frame.user.nunique():,} users in {out}")
    if "found" in frame.attrs:
        print(f"search={asked.search} found {frame.attrs['found']:.1%} of what exact search finds, on its first users")


def _refuse_output(out: Path) -> None:
    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"out={out} must end in .parquet or .csv")
    if os.path.isdir(out):  # False, not an error, where nobody may look
        raise ValueError(f"out={out} is a folder; say the file that is to be written")
    refuse_unwritable(out, "FILE")


def _checked(asked: Asked) -> bool | None:
    """What ``filter_seen`` says. Raises: ValueError for an unknown value, and for options that have nothing to say beside others."""
    from recpref.retrieval.approximate import KINDS

    seen = None if asked.filter_seen is None else asked.filter_seen.lower()
    if seen not in (None, "true", "false"):
        raise ValueError(unknown("filter_seen", str(seen), ("true", "false")))
    for key, value, known in (("search", asked.search, ("exact", *KINDS)), ("rank", asked.rank, ("score", "posterior"))):
        if value not in known:
            raise ValueError(unknown(key, value, known))
    for key in ("items", "exclude_items", "search"):
        if asked.candidates is not None and getattr(asked, key) != Asked._field_defaults[key]:
            raise ValueError(f"candidates= says for each user what may be recommended; leave {key}= out")
    return None if seen is None else seen == "true"


def _write(frame: pd.DataFrame, out: Path) -> None:
    """The file at once or not at all."""
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        frame.to_parquet(partial, index=False) if out.suffix == ".parquet" else frame.to_csv(partial, index=False)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_input(out: Path, names: list[str | None]) -> None:
    """Raises: ValueError where ``out`` is a file of what is read."""
    from recpref.runs.read_alike import files_of

    for name in names:
        if name is not None and out.resolve() in [file.resolve() for file in files_of(name)]:
            raise ValueError(f"out={out} is a file that is read (of {name}), and would be replaced; say another one")


def _histories(run: Any, data: str | None, said: dict[str, str]) -> Any:
    from recpref.runs.read_alike import read_alike, rules
    from recpref.runs.saving import complete
    from recpref.runs.source import identity, opened_again

    if data is not None:
        found = read_alike(data, run, said)
        if (line := rules(data, found)) is not None:
            print(line)
        return found
    if run.experiment.data.frame:
        raise ValueError(f"{run.path} was trained on a frame that is not kept with it; say data=histories.csv")
    own = opened_again(run.experiment.data)
    if identity(run.experiment, own) != complete(run.path).data_digest:
        print(f"beware: the data is not what {run.path} was trained on; users are served from what is there now, {own!r}")
    return own


if __name__ == "__main__":
    console.main(recommend)
