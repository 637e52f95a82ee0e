"""python benchmarks/speed/nbpo.py [repeats=15]: a training step with NBPO over one with BCE, on the same model, batch and negatives.

Steps alternate, so that whatever else the machine does strikes both. SASRec of the default shape, 32 rows of 200 items, V = 3,416.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import pandas as pd
import torch

import recpref
from recpref.losses.bce import BCE
from recpref.models.sasrec import SASRec
from recpref.objectives.nbpo import NBPO
from recpref.objectives.score import Score
from recpref.samplers.uniform import Uniform
from recpref.types import Batch, History, Step

V, B, L, D = 3416, 32, 200, 64


def seconds(model: SASRec, objective: object, batch: Batch, turn: int) -> float:
    """Of a forward and a backward pass."""
    start = time.perf_counter()
    total, count, _ = objective(model, batch, Step(99, turn, torch.Generator().manual_seed(turn)))  # type: ignore[operator]
    (total / count).backward()
    model.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    repeats = int(dict(text.split("=") for text in sys.argv[1:]).get("repeats", "15"))
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"u": np.repeat(np.arange(500), 100), "i": rng.integers(0, V, 50_000)})
    data = recpref.Interactions.from_dataframe(rows, user="u", item="i")
    model = SASRec(data.n_items, d_model=D, n_heads=2, d_ff=256)
    items = torch.randint(1, data.n_items + 1, (B, L + 1))
    batch = Batch(History(items[:, :-1], torch.arange(1, B + 1)), items[:, 1:])
    for n in (1, 4, 16, 64, 256):
        sampler = Uniform(data.n_items, data, n_negatives=n, exclude_history=True)
        ways = {
            "bce": Score(sampler, BCE()),
            "constant": NBPO(data.n_items, data.n_users, D, data, sampler, by=(), warmup_epochs=0),
            "nbpo": NBPO(data.n_items, data.n_users, D, data, sampler, warmup_epochs=0),
            "nbpo, state": NBPO(data.n_items, data.n_users, D, data, sampler, by=("level", "popularity", "state"), warmup_epochs=0),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(repeats):
            for name, objective in ways.items():
                found[name].append(seconds(model, objective, batch, turn))
        middle = {name: statistics.median(values[1:]) for name, values in found.items()}
        print(
            f"{n} negatives: BCE {middle['bce']:.3f} s; "
            + ", ".join(f"{k} {v / middle['bce']:.2f}" for k, v in middle.items() if k != "bce")
        )


if __name__ == "__main__":
    main()
