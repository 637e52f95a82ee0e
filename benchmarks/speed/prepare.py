"""20 million generated interactions from Parquet to ready arrays: seconds and peak memory; then split and audit as a share.

    python benchmarks/speed/prepare.py [millions of rows, 20]

Data are written into a temporary folder by a process of its own, so that the peak is that of reading. Bars: 30 s and 4 GB on
two cores. Seconds are those of the wall; in brackets those of the processor, which say more on a busy machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USERS, ITEMS = 138_493, 26_744  # those of ML-20M


def write(path: Path, rows: int) -> None:
    """Rows in random order: user (32 bits), item with a long tail (32 bits), seconds (64 bits)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    rng = np.random.default_rng(0)
    user = rng.integers(1, USERS + 1, rows, dtype=np.int32)
    item = (ITEMS * rng.random(rows, dtype=np.float32) ** 3).astype(np.int32) + 1
    timestamp = rng.integers(800_000_000, 1_400_000_000, rows)
    pa.parquet.write_table(pa.table({"user_id": user, "item_id": item, "timestamp": timestamp}), path)


def measure(path: Path) -> None:
    """Reads, splits, audits, and prints what each took."""
    from recpref.data.audit import checked
    from recpref.data.cards import open_data
    from recpref.data.splits.leave_one_out import LeaveOneOut

    moments = [moment()]
    data = open_data(str(path))
    moments.append(moment())
    print(data)
    print(f"peak of Parquet to arrays: {peak():.2f} GB")
    split = LeaveOneOut()(data)
    moments.append(moment())
    checked(split, data)
    moments.append(moment())
    for name, (wall, cpu), (wall_later, cpu_later) in zip(("Parquet to arrays", "split", "audit"), moments, moments[1:], strict=False):
        share = (cpu_later - cpu) / (moments[1][1] - moments[0][1])
        print(f"{name}: {wall_later - wall:.1f} s ({cpu_later - cpu:.1f} s, {share:.0%} of the reading)")
    print(f"peak of all: {peak():.2f} GB")


def moment() -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    return time.perf_counter(), time.process_time()


def peak() -> float:
    """Peak resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "generated.parquet"
            rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 20) * 1e6)
            subprocess.run([sys.executable, __file__, "--write", str(file), str(rows)], check=True)
            measure(file)
