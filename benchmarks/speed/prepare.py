"""Generated interactions from Parquet to ready arrays: seconds and peak memory; then split, audit and batches.

    python benchmarks/speed/prepare.py [millions of rows, 20] [way: memory | store]

``memory`` reads the file whole (bars: 20 million in 30 s and 4 GB on two cores); ``store`` prepares a store and opens it (bars: 100
million in 180 s and 8 GB, reopened in 1 s). Data are written into a temporary folder, and every step runs in a process of its own, so
that its peak is its own; pages of mapped files count. Seconds are those of the wall; in brackets those of the processor, all threads
together, which say more on a busy machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USERS, ITEMS = 138_493, 26_744  # those of ML-20M
PART = 5_000_000


def write(path: Path, rows: int) -> None:
    """Rows in random order: user (32 bits, as many rows each as in ML-20M), item with a long tail (32 bits), seconds (64 bits)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    users = max(USERS, USERS * rows // 20_000_000)
    schema = pa.schema([("user_id", pa.int32()), ("item_id", pa.int32()), ("timestamp", pa.int64())])
    with pa.parquet.ParquetWriter(path, schema) as file:
        for first in range(0, rows, PART):
            n, rng = min(PART, rows - first), np.random.default_rng(first)
            user = rng.integers(1, users + 1, n, dtype=np.int32)
            item = (ITEMS * rng.random(n, dtype=np.float32) ** 3).astype(np.int32) + 1
            timestamp = rng.integers(800_000_000, 1_400_000_000, n)
            file.write_table(pa.table([user, item, timestamp], schema=schema))


def memory(path: Path) -> None:
    """Reads the file whole, splits, audits."""
    from recpref.data.cards import open_data

    began = moment()
    data = open_data(str(path))
    told("Parquet to arrays", began)
    used(data)


def store(path: Path) -> None:
    """Prepares the store."""
    from recpref.data.preparing import prepare

    began = moment()
    prepare(path, path.parent / "store")
    told("Parquet to a store", began)


def reopen(path: Path) -> None:
    """Opens the store and uses it."""
    from recpref.data.cards import open_data

    began = moment()
    data = open_data(str(path.parent / "store"))
    told("store opened", began)
    used(data)


def used(data: object) -> None:
    """Splits, audits, makes the first batch."""
    from recpref.data.audit import checked
    from recpref.data.batches import Batches, Loader
    from recpref.data.examples.next_item import NextItem
    from recpref.data.splits.leave_one_out import LeaveOneOut

    print(data)
    began = moment()
    split = LeaveOneOut()(data)
    told("split", began)
    began = moment()
    checked(split, data)
    told("audit", began)
    began = moment()
    next(iter(Batches(split.train, NextItem(200), Loader(), seed=1, place=lambda: (0, 0))))
    told("first batch", began)


def moment() -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    return time.perf_counter(), time.process_time()


def told(what: str, began: tuple[float, float]) -> None:
    """Prints what it took since then, and the peak of resident memory of this process so far."""
    wall, cpu = (now - then for now, then in zip(moment(), began, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {wall:.2f} s ({cpu:.2f} s), peak {peak:.2f} GB", flush=True)


def main(rows: int, way: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "generated.parquet")
        for step in ("write", *({"memory": ["memory"], "store": ["store", "reopen"]}[way])):
            subprocess.run([sys.executable, __file__, f"--{step}", file, str(rows)], check=True)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("--"):
        step, file = sys.argv[1].removeprefix("--"), Path(sys.argv[2])
        write(file, int(sys.argv[3])) if step == "write" else {"memory": memory, "store": store, "reopen": reopen}[step](file)
    else:
        main(int(float(sys.argv[1] if len(sys.argv) > 1 else 20) * 1e6), sys.argv[2] if len(sys.argv) > 2 else "memory")
