"""A training step over a catalogue of 1,000,000 items: seconds and peak memory of each way to take the loss.

    python benchmarks/speed/million_items.py [items, 1000000]

SASRec of width 64 on 128 sequences of 50, so 6,400 positions, with AdamW; two steps, since the optimiser's state is there only
from the second on. Every way runs in a process of its own, so that its peak is its own. Bar: 6 GB. The last line is reckoned,
not run: what scores, log-probabilities and their gradient would take if all were held. Seconds are those of the processor
in the second step.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

ITEMS, ROWS, LENGTH, WIDTH = 1_000_000, 128, 50, 64
BAR = 6.0
WAYS = {
    "cross_entropy, in chunks": ("cross_entropy", {}),
    "sampled_softmax, 256 shared": ("sampled_softmax", {"n_negatives": 256, "shared": True}),
    "sampled_softmax, 8,192 shared": ("sampled_softmax", {"n_negatives": 8192, "shared": True}),
    "sampled_softmax, 256 a position": ("sampled_softmax", {"n_negatives": 256, "shared": False}),
}


def measure(way: str, n_items: int) -> None:
    """Takes the steps; prints the seconds of the second one, the peak, and the loss before and after the first."""
    losses, seconds = [], 0.0
    for loss, spent in steps(way, n_items, 2):
        losses.append(f"{loss:.2f}")
        seconds = spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{seconds:.1f}\t{peak:.2f}\t{' -> '.join(losses)}")


def steps(way: str, n_items: int, n_steps: int) -> Iterator[tuple[float, float]]:
    """The mean loss and the processor's seconds of each step, on one and the same batch."""
    import torch

    from recpref import components
    from recpref.models.sasrec import SASRec
    from recpref.objectives.score import Score
    from recpref.training.optimizer import Optimizer
    from recpref.types import Batch, History, Step

    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    name, options = WAYS[way]
    facts = {"n_items": n_items, "train": None}
    sampler = components.build(components.find("sampler", "uniform" if options else "catalogue"), options, facts)
    objective = Score(sampler, components.build(components.find("loss", name), {}, facts))
    model = SASRec(n_items, d_model=WIDTH, max_len=LENGTH)
    optimizer, _ = Optimizer()(model, n_steps)
    items = torch.randint(1, n_items + 1, (ROWS, LENGTH + 1), generator=rng)
    batch = Batch(History(items[:, :-1], torch.arange(1, ROWS + 1)), items[:, 1:])
    for step in range(n_steps):
        began = time.process_time()
        optimizer.zero_grad()
        total, count, _ = objective(model, batch, Step(0, step, rng))
        (total / count).backward()
        optimizer.step()
        yield float((total / count).detach()), time.process_time() - began


def naive(n_items: int) -> float:
    """GB of three tensors of positions x items in single precision, and of the table with its gradient and two moments."""
    return (3 * ROWS * LENGTH + 4 * WIDTH) * (n_items + 1) * 4 / 1e9


def main(n_items: int) -> None:
    print(f"{'':<34}{'seconds':>10}{'peak GB':>10}   loss")
    within = True
    for way in WAYS:
        done = subprocess.run([sys.executable, __file__, "--measure", way, str(n_items)], check=True, stdout=subprocess.PIPE, text=True)
        seconds, peak, losses = done.stdout.strip().split("\t")
        within &= float(peak) < BAR
        print(f"{way:<34}{seconds:>10}{peak:>10}   {losses}", flush=True)
    print(f"{'cross_entropy, all scores at once':<34}{'':>10}{naive(n_items):>10.1f}   (reckoned)")
    print(f"bar of {BAR:.0f} GB: {'kept' if within else 'missed'}")
    sys.exit(not within)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(float(sys.argv[1])) if len(sys.argv) > 1 else ITEMS)
