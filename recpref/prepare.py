"""python -m recpref.prepare data=big.parquet out=store/ [data.user=... data.item=... data.time=...]: interactions that outgrow memory.

data: a Parquet file, a folder of Parquet shards (as Spark, Ray or Dask write them, or split at will), a CSV, or anything else that
recpref reads. out: the folder of arrays that is made, at once or not at all; then say data=store/ wherever data is named. What is
read at a time does not grow with the data. Other columns than user, item and time are left out.
options, as in training: data.user, data.item, data.time (a column, or none), data.missing_time=refuse|drop, data.separator, data.encoding.
Filters (data.k_core, data.duplicates, data.ties) are said where the store is used.
"""

from __future__ import annotations

import time
from pathlib import Path

from recpref import console
from recpref.suggest import unknown

HOW = ("user", "item", "time", "missing_time", "separator", "encoding")
LATER = ("k_core", "duplicates", "ties")


def prepare(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for unknown or missing options, and as ``data.preparing.prepare``."""
    pairs = console.pairs(arguments, __doc__)
    if pairs is None:
        return
    for key in pairs:
        option = key.removeprefix("data.")
        if option in LATER:
            raise ValueError(f"{key} is said where the store is used: python -m recpref.train data={pairs.get('out', 'store/')} {key}=...")
        if key not in ("data", "out", *(f"data.{name}" for name in HOW)):
            raise ValueError(unknown("option", key, ["data", "out", *(f"data.{name}" for name in HOW)]))
    for key in ("data", "out"):
        if key not in pairs:
            raise ValueError(f"{key}= is missing; say python -m recpref.prepare data=big.parquet out=store/")
    if (policy := pairs.get("data.missing_time", "refuse")) not in ("refuse", "drop"):
        raise ValueError(unknown("data.missing_time", policy, ("refuse", "drop")))
    _prepare(str(pairs.pop("data")), Path(pairs.pop("out")), {key.removeprefix("data."): value for key, value in pairs.items()})


def _prepare(name: str, out: Path, options: dict[str, str]) -> None:
    from recpref.data import cards
    from recpref.data.asked import Asked
    from recpref.data.preparing import prepare as prepared
    from recpref.data.store import open_store, refuse_place, write_store

    began = time.perf_counter()
    if name in cards.names():
        refuse_place(out)
        write_store(cards.open_data(name, **options), out)  # type: ignore[arg-type]  # checked above
        data = open_store(out)
    else:
        data = prepared(name, out, Asked(**options, extra=False))  # type: ignore[arg-type]
    print(*data.report, f"{len(data):,} interactions of {data.n_users:,} users and {data.n_items:,} items in {out}", sep="\n")
    print(f"{time.perf_counter() - began:.1f} s; now say data={out}")


if __name__ == "__main__":
    console.main(prepare)
