"""How cost grows: an epoch with the number of users, a step of sampled softmax with the number of items. A table and a plot.

    python benchmarks/speed/growth.py [out, build/growth] [repeats, 5]

Users: SASRec (d 32, 2 layers, length 50, full cross-entropy over 1,000 items) for one epoch of the training loop, at 1, 2 and 4 times
1,000 users of 20 to 100 items. Items: a step of SASRec (d 64, length 50) on 128 sequences with 256 shared negatives, at 62,500 to
1,000,000 items, with optimizer.sparse off and on; clipping included. Bars: an epoch at most 2.1 times that of half the users; a
sparse step at most 1.1 times that of half the items. Seconds are those of the processor, each the least of several interleaved repeats.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from recpref.data.batches import Batches, Loader
from recpref.data.examples.next_item import NextItem
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.losses.cross_entropy import CrossEntropy
from recpref.losses.sampled_softmax import SampledSoftmax
from recpref.models.sasrec import SASRec
from recpref.objectives.score import Score
from recpref.samplers.catalogue import Catalogue
from recpref.samplers.uniform import Uniform
from recpref.training.lazy_adam import clip
from recpref.training.optimizer import Optimizer
from recpref.types import Batch, History, Step

USERS = (1_000, 2_000, 4_000)
ITEMS = (62_500, 125_000, 250_000, 500_000, 1_000_000)
LENGTH, ROWS, WARM = 50, 128, 3
BARS = {"epoch": 2.1, "step, rows": 1.1}


def generated(n_users: int, n_items: int = 1_000) -> Interactions:
    """Users of 20 to 100 items."""
    rng = np.random.default_rng(n_users)
    length = rng.integers(20, 101, n_users)
    user = np.repeat(np.arange(1, n_users + 1), length)
    item = rng.integers(1, n_items + 1, len(user))
    return Interactions(user, item, None, "none", None, Vocabulary(np.arange(n_users)), Vocabulary(np.arange(n_items)))


def epochs(n_users: int) -> Iterator[None]:
    """An epoch each time it is asked."""
    data = generated(n_users)
    model = SASRec(data.n_items, d_model=32, max_len=LENGTH)
    optimizer, _ = Optimizer()(model, 1)
    objective, rng = Score(Catalogue(), CrossEntropy()), torch.Generator().manual_seed(0)
    batches = Batches(data, NextItem(LENGTH), Loader(batch_size=ROWS), seed=1, place=lambda: (0, 0))
    while True:
        for batch in batches:
            step(model, objective, optimizer, batch, rng, sparse=False)
        yield


def steps(n_items: int, *, sparse: bool) -> Iterator[None]:
    """A step each time it is asked, on new items each time."""
    rng = torch.Generator().manual_seed(0)
    model = SASRec(n_items, d_model=64, max_len=LENGTH)
    optimizer, _ = Optimizer(sparse=sparse)(model, 1)
    nobody = Interactions(np.ones(1, int), np.ones(1, int), None, "none", None, Vocabulary(np.ones(1, int)), Vocabulary(np.ones(1, int)))
    objective = Score(Uniform(n_items, nobody, n_negatives=256, shared=True), SampledSoftmax())
    while True:
        items = torch.randint(1, n_items + 1, (ROWS, LENGTH + 1), generator=rng)
        batch = Batch(History(items[:, :-1], torch.arange(1, ROWS + 1)), items[:, 1:])
        step(model, objective, optimizer, batch, rng, sparse=sparse)
        yield


def step(model: SASRec, objective: Score, optimizer: torch.optim.Optimizer, batch: Batch, rng: torch.Generator, *, sparse: bool) -> None:
    """What the training loop does with a batch."""
    optimizer.zero_grad()
    total, count, _ = objective(model, batch, Step(0, 0, rng))
    (total / count).backward()
    if sparse:
        clip(model, 5.0, "norm")
    else:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def least(ways: dict[int, Iterator[None]], repeats: int, warm: int) -> dict[int, float]:
    """The processor's seconds of each, taken in turns."""
    found = dict.fromkeys(ways, float("inf"))
    for turn in range(warm + repeats):
        for size, way in ways.items():
            began = time.process_time()
            next(way)
            if turn >= warm:
                found[size] = min(found[size], time.process_time() - began)
    return found


def measured(repeats: int) -> dict[str, dict[int, float]]:
    """Seconds by size, for each curve."""
    made: dict[str, Callable[[], dict[int, float]]] = {
        "epoch": lambda: least({n: epochs(n) for n in USERS}, min(repeats, 3), 1),
        "step, whole table": lambda: least({n: steps(n, sparse=False) for n in ITEMS}, repeats, WARM),
        "step, rows": lambda: least({n: steps(n, sparse=True) for n in ITEMS}, repeats, WARM),
    }
    return {name: make() for name, make in made.items()}


def drawn(found: dict[str, dict[int, float]], file: Path) -> None:
    """Two panels, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, curve in found.items():
        axes = left if name == "epoch" else right
        axes.plot(list(curve), list(curve.values()), "o-", label=name)
    sizes = list(USERS)
    left.plot(sizes, [found["epoch"][sizes[0]] * n / sizes[0] for n in sizes], ":", color="grey", label="proportional")
    for axes, title, x in ((left, "an epoch", "users"), (right, "a step, 256 shared negatives", "items")):
        axes.set(xscale="log", yscale="log", xlabel=x, ylabel="seconds of the processor", title=title)
        axes.legend()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def main(out: Path, repeats: int) -> None:
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    found, within = measured(repeats), True
    with (out / "growth.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["what", "size", "seconds", "over_half_the_size"])
        for name, curve in found.items():
            for size, seconds in curve.items():
                ratio = seconds / curve[size // 2] if size // 2 in curve else None
                within &= ratio is None or ratio <= BARS.get(name, float("inf"))
                table.writerow([name, size, f"{seconds:.4f}", "" if ratio is None else f"{ratio:.2f}"])
    print((out / "growth.csv").read_text() + f"bars {'kept' if within else 'missed'}")
    drawn(found, out / "growth.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/growth"), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
