"""python benchmarks/speed/rounds.py [repeats=9] [rows=1024] [length=12] [n_items=12101] [loss=bce] [models=sasrec,gru4rec,...]

A training step of five rounds of Ada-Retrieval over its base's, on the same rows that ask once, with the same negatives. Steps alternate,
so that whatever else the machine does strikes both. The authors' shape, and rows of Amazon Beauty's usual length; one thread, processor
seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import torch

import recpref
from recpref import components
from recpref.losses.bce import BCE
from recpref.losses.cross_entropy import CrossEntropy
from recpref.models.ada_retrieval import AdaRetrieval
from recpref.objectives.score import Score
from recpref.samplers.catalogue import Catalogue
from recpref.samplers.uniform import Uniform
from recpref.training.kept_memory import keep_freed_memory
from recpref.types import Batch, History, Step

SHAPES: dict[str, dict[str, Any]] = {
    "sasrec": {"n_heads": 4, "d_ff": 512, "norm": "post", "n_layers": 2},
    "gru4rec": {"n_layers": 2, "d_hidden": 128},
    "nextitnet": {"n_layers": 5},
    "srgnn": {},
    "fmlprec": {"n_layers": 2},
    "bert4rec": {},
}


def seconds(model: torch.nn.Module, objective: Score, batch: Batch, turn: int) -> float:
    """The processor's, of a forward and a backward pass."""
    start = time.process_time()
    total, count, _ = objective(model, batch, Step(0, turn, torch.Generator().manual_seed(turn)))  # type: ignore[arg-type]
    (total / count).backward()
    model.zero_grad()
    return time.process_time() - start


def main() -> None:
    usual = {"repeats": "9", "rows": "1024", "length": "12", "n_items": "12101", "loss": "bce", "models": ",".join(SHAPES)}
    said = usual | dict(text.split("=") for text in sys.argv[1:])
    n_rows, length, n_items = (int(said[name]) for name in ("rows", "length", "n_items"))
    torch.set_num_threads(1)
    keep_freed_memory()
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"u": np.repeat(np.arange(n_rows), length), "i": rng.integers(0, n_items, n_rows * length)})
    data = recpref.Interactions.from_dataframe(frame, user="u", item="i")
    items = torch.randint(1, data.n_items + 1, (n_rows, length))
    uniform = Uniform(data.n_items, data, n_negatives=100, exclude_history=True)
    objective = Score(uniform, BCE()) if said["loss"] == "bce" else Score(Catalogue(), CrossEntropy())
    for name in said["models"].split(","):
        shape = SHAPES[name]
        base = components.find("model", name)(data.n_items, d_model=64, max_len=50, **shape).train()
        read = items.clone()
        if hasattr(base, "mask_id"):
            read[:, -1] = base.mask_id
        targets = torch.zeros_like(items)
        targets[:, -1] = torch.randint(1, data.n_items + 1, (n_rows,))
        batch = Batch(History(read, torch.arange(1, n_rows + 1)), targets)
        rounds = AdaRetrieval(data.n_items, base).train()
        found: dict[str, list[float]] = {"base": [], "rounds": []}
        for turn in range(int(said["repeats"])):
            found["base"].append(seconds(base, objective, batch, turn))
            found["rounds"].append(seconds(rounds, objective, batch, turn))
        one, five = (statistics.median(values[1:]) for values in found.values())
        print(f"{name}: base {one:.3f} s, five rounds {five:.3f} s, {five / one:.2f} times", flush=True)


if __name__ == "__main__":
    main()
