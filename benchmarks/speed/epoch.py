"""One training epoch of BERT4Rec on MovieLens-100K: recpref beside RecTools, in one run.

    python benchmarks/speed/epoch.py PEER_PYTHON [rounds, 3]

PEER_PYTHON is an interpreter with `rectools[torch]==0.19.0`, in a virtual environment of its own (it caps numpy and Lightning).
Both get the same file: the last 200 training items of each user under leave-one-out. Same shape (d 64, 2 layers, 2 heads, length
200), same share of masks (0.2), cross-entropy over the catalogue, dropout 0.2, two threads. Each tries batches of 32, 64 and 128 and
is judged by its fastest; rounds alternate, so that a busy moment meets both. What counts is the ratio of the medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LAST, BATCHES, EPOCHS = 200, (32, 64, 128), 3


def write(path: Path) -> None:
    """The last 200 training rows of each user as CSV."""
    import numpy as np
    import pandas as pd

    from recpref.data.cards import load
    from recpref.data.splits.leave_one_out import LeaveOneOut

    train = LeaveOneOut()(load("ml_100k")).train
    from_end = train.offsets[train.user] - 1 - np.arange(len(train))
    kept = train.where(from_end < LAST)
    pd.DataFrame({"user_id": kept.user, "item_id": kept.item, "timestamp": kept.time}).to_csv(path, index=False)


def seconds(python: str, script: str, data: Path, batch: int) -> list[float]:
    """Seconds of each epoch but the first, which warms up."""
    command = [python, str(HERE / "peers" / script), str(data), str(batch), str(EPOCHS + 1)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"}, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return list(json.loads(done.stdout.splitlines()[-1])[1:])


def main(peer: str, rounds: int) -> None:
    """Alternates, and prints every median and the ratio of the best."""
    runners = {"recpref": (sys.executable, "recpref_epoch.py"), "RecTools": (peer, "rectools_epoch.py")}
    taken: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "train.csv"
        write(data)
        for _ in range(rounds):
            for batch in BATCHES:
                for name, (python, script) in runners.items():
                    taken.setdefault((name, batch), []).extend(seconds(python, script, data, batch))
    medians = {key: statistics.median(values) for key, values in taken.items()}
    for (name, batch), median in medians.items():
        values = taken[name, batch]
        spread = f"from {min(values):.2f} to {max(values):.2f}, {len(values)} epochs"
        print(f"{name:10} batch {batch:4}: median {median:6.2f} s an epoch ({spread})")
    best = {name: min(median for (other, _), median in medians.items() if other == name) for name in runners}
    print(f"RecTools / recpref, each at its best batch: {best['RecTools'] / best['recpref']:.1f} times")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
