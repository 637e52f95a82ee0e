"""python benchmarks/kill.py [kills=20]: kill -9 a training at random moments, resume it each time, and compare the end.

Prints how many kills the training survived and whether the final weights and metrics are identical to those of an
uninterrupted training. Exit code 1 where they are not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import recpref

OPTIONS = (
    "model=bert4rec",
    "trainer.max_epochs=400",
    "stopping.patience=1000",
    "stopping.save_seconds=0.2",
    "model.d_model=32",
    "loader.shuffle_ties=true",
    "logger=csv",
)


def generated(path: Path) -> None:
    """120 users over 200 items, 10 to 40 interactions each."""
    rng = np.random.default_rng(0)
    length = rng.integers(10, 40, 120)
    user = np.repeat(np.arange(120), length)
    item = (np.repeat(rng.integers(0, 200, 120), length) + rng.integers(0, 12, length.sum()).cumsum()) % 200
    pd.DataFrame({"user_id": user, "item_id": item, "timestamp": np.arange(length.sum()) // 3}).to_csv(path, index=False)


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "recpref.train", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def train_killed(csv: Path, out: Path, kills: int) -> tuple[Path, int]:
    """Trains, killing the process at random moments; the run's folder, and how often it was killed."""
    rng = np.random.default_rng()  # other moments every time
    process, done = start(*OPTIONS, f"data={csv}", f"out={out}"), 0
    while True:
        try:
            process.wait(timeout=None if done >= kills else rng.uniform(4, 12))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
        places = list(out.glob("*/bert4rec/.*.partial"))
        if process.returncode == 0 and not places:
            return next(out.glob("*/bert4rec/*-s1")), done
        if process.returncode not in (0, -9):
            raise SystemExit(f"training failed: {process.stderr.read()}")
        saved = [place for place in places if (place / "training.ckpt").is_file()]
        run = saved and saved[0].with_name(saved[0].name.removeprefix(".").removesuffix(".partial"))
        process = start(f"resume={run}") if saved else start(*OPTIONS, f"data={csv}", f"out={out}")


def main() -> None:
    kills = int(next((a.removeprefix("kills=") for a in sys.argv[1:] if a.startswith("kills=")), "20"))
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "clicks.csv"
        generated(csv)
        whole = recpref.fit(*OPTIONS, f"data={csv}", f"out={folder}/whole")
        began = time.perf_counter()
        path, done = train_killed(csv, Path(folder) / "killed", kills)
        killed = recpref.load(path)
        left, right = whole.model.state_dict(), killed.model.state_dict()
        weights = all(torch.equal(left[name], right[name]) for name in left)
        metrics = all(killed.metrics[name] == value for name, value in whole.metrics.items() if name != "train/seconds")
        print(f"{done} kills in {time.perf_counter() - began:.0f} s; weights identical: {weights}; metrics identical: {metrics}")
        sys.exit(not (weights and metrics))


if __name__ == "__main__":
    main()
