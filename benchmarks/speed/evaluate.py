"""Evaluating ML-1M beside the bare arithmetic of it, in one run: python benchmarks/speed/evaluate.py [model, sasrec] [rounds, 5]

Bare: the same batches ready made, the model's state, one matrix product and one `torch.topk` of 20; nothing is filtered,
no tie is broken, no metric is taken. Ours does all of that. Weights are random: speed does not depend on them. Bar: 1.5 times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

from recpref import components
from recpref.composition.compose import compose
from recpref.data.cards import load
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.measures import evaluation_of
from recpref.retrieval.topk import TopK


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(name: str, rounds: int) -> None:
    """Alternates the two, and prints the medians and their ratio."""
    plan = compose([f"model={name}"])
    data = load("ml_1m")
    test = LeaveOneOut()(data).test
    model = components.build(components.find("model", name), plan.model.options, {"n_items": data.n_items}).eval()
    evaluation = evaluation_of(plan)
    histories = [asked.query.history for asked in evaluation.questions(test)]

    @torch.inference_mode()
    def bare() -> None:
        for history in histories:
            vectors, bias = model.table()
            torch.addmm(bias, model.state(history), vectors.T).topk(20)

    def ours() -> None:
        evaluation(TopK(model), test)

    taken = [(seconds(bare), seconds(ours)) for _ in range(rounds + 1)][1:]
    first, second = (statistics.median(column) for column in zip(*taken, strict=True))
    ratios = [b / a for a, b in taken]
    print(f"{name} on ML-1M, {len(test.users):,} users, {torch.get_num_threads()} threads, {rounds} rounds")
    spread = f"from {min(ratios):.2f} to {max(ratios):.2f}"
    print(f"bare {first:.2f} s, evaluation {second:.2f} s: {statistics.median(ratios):.2f} times ({spread})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sasrec", int(sys.argv[2]) if len(sys.argv) > 2 else 5)
