"""python benchmarks/kill_suite.py [kills=10]: kill -9 a suite at random moments, start it again each time, and compare the end.

Prints whether a finished run was ever lost or made twice, and whether the final table is that of a suite which nobody killed, but for
what was measured of time and memory. Exit code 1 where not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

MEASURED = ["train_seconds", "seconds_per_1000", "peak_memory_mib", "threads", "runs"]
SMALL = ", ".join(
    f'"{option}"'
    for option in (
        *("model.d_model=16", "model.n_layers=1", "model.max_len=20", "trainer.max_epochs=60"),
        *("stopping.patience=1000", "stopping.save_seconds=0.2"),
    )
)
SUITE = f"""
title = "To be killed"
seeds = [1, 2, 3]
overrides = ["logger=csv"]
[models]
popular = ["model=popular"]
markov = ["model=markov"]
itemknn = ["model=itemknn"]
sasrec = ["model=sasrec", {SMALL}]
bert4rec = ["model=bert4rec", {SMALL}]
gru4rec = ["model=gru4rec", {SMALL}]
[data]
clicks = ["data=clicks.csv"]
"""


def generated(path: Path) -> None:
    """120 users over 200 items, 10 to 40 interactions each."""
    rng = np.random.default_rng(0)
    length = rng.integers(10, 40, 120)
    user = np.repeat(np.arange(120), length)
    item = (np.repeat(rng.integers(0, 200, 120), length) + rng.integers(0, 12, length.sum()).cumsum()) % 200
    pd.DataFrame({"user_id": user, "item_id": item, "timestamp": np.arange(length.sum()) // 3}).to_csv(path, index=False)


def start(folder: Path, out: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "recpref.benchmark", "suite=suite.toml", "workers=2", f"out={out}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.stdout.readline()  # says how many there are: from now on it works
    return process


def finished(folder: Path) -> dict[Path, int]:
    """Every finished run, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("killed/clicks/*/*-s?/metrics.json")}


def killed(folder: Path, kills: int) -> tuple[int, int]:
    """Runs the suite to its end, killing it on the way: how often it was killed, and how many finished runs changed or went."""
    rng = np.random.default_rng()  # other moments every time
    done, lost, there = 0, 0, {}
    process = start(folder, "killed")
    while True:
        try:
            process.wait(timeout=None if done >= kills else rng.uniform(0, 20))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
        now = finished(folder)
        lost += sum(now.get(path) != when for path, when in there.items())
        there = now
        print(f"kill {done}: {len(now)} of 18 runs are finished", flush=True)
        if process.returncode == 0:
            return done, lost
        if process.returncode != -9:
            raise SystemExit(f"the suite failed: {process.stdout.read()}")
        process = start(folder, "killed")


def main() -> None:
    kills = int(next((a.removeprefix("kills=") for a in sys.argv[1:] if a.startswith("kills=")), "10"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generated(folder / "clicks.csv")
        (folder / "suite.toml").write_text(SUITE)
        began = time.perf_counter()
        done, lost = killed(folder, kills)
        took = time.perf_counter() - began
        start(folder, "whole").communicate()
        left, right = (
            pd.read_parquet(folder / out / "suite-suite" / "leaderboard.parquet").drop(columns=MEASURED) for out in ("killed", "whole")
        )
        other = [
            name
            for name in left.columns.union(right.columns)
            if name not in left or name not in right or not left[name].equals(right[name])
        ]
        told = f"tables identical: {not other}" + (f", but for {', '.join(other)}" if other else "")
        print(f"{done} kills in {took:.0f} s; finished runs lost or made twice: {lost}; rows: {len(left)}; {told}")
        sys.exit(bool(other) or bool(lost))


if __name__ == "__main__":
    main()
