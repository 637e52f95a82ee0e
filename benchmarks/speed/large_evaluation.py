"""Ranking 100,000 items for 100,000 users: python benchmarks/speed/large_evaluation.py [users=100000] [items=100000] [rounds=3]

Side by side, batch by batch in turn, so that whatever else the machine does strikes both: `recpref.evaluation.protocol` (excludes what was
seen, breaks ties, keeps metrics) and the bare arithmetic of the same batches, one `torch.addmm` and one `torch.topk` of 20. The model
is a SASRec of width 64 with random weights; its states are taken by both alike, with the reading of histories in front, and once
beforehand ("ranking alone"). Bars: 1.3 times, 4 GB.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import numpy as np
import pandas as pd
import torch

from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.protocol import Evaluation, Question
from recpref.metrics.hr import hr
from recpref.metrics.ndcg import ndcg
from recpref.models.sasrec import SASRec
from recpref.retrieval.topk import TopK
from recpref.types import History

LENGTH = 10  # rows a user


class States:
    """A model whose states are known beforehand: what is left is ranking."""

    def __init__(self, model: SASRec, n_users: int):
        self.model, self.of = model, torch.randn(n_users + 1, model.items.weight.shape[1])

    def state(self, history: History) -> torch.Tensor:
        return self.of[history.user]

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model.table()


def data(users: int, items: int) -> Interactions:
    """``LENGTH`` items of every user, uniform."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"u": np.repeat(np.arange(users), LENGTH), "i": rng.integers(0, items, users * LENGTH)})
    frame.loc[: items - 1, "i"] = rng.permutation(items)[: len(frame)]  # so that every item occurs
    return Interactions.from_dataframe(frame, user="u", item="i")


@torch.inference_mode()
def bare(model: States | SASRec, asked: Question) -> None:
    vectors, bias = model.table()
    torch.addmm(bias, model.state(asked.query.history), vectors.T).topk(20)


def compare(name: str, model: States | SASRec, evaluation: Evaluation, batches: list[Question], rounds: int) -> None:
    """Prints the seconds of both and the ratio."""
    ranker = TopK(model)
    ratios, ours, theirs = [], [], []
    for _ in range(rounds):
        took = [0.0, 0.0]
        for asked in batches:
            start = time.perf_counter()
            evaluation.hits(ranker.recommend(asked.query, 20), asked.targets)
            middle = time.perf_counter()
            bare(model, asked)
            took[0] += middle - start
            took[1] += time.perf_counter() - middle
        ours.append(took[0])
        theirs.append(took[1])
        ratios.append(took[0] / took[1])
    users = sum(len(asked.targets) for asked in batches)
    print(
        f"{name}: ours {statistics.median(ours):.1f} s ({users / statistics.median(ours):,.0f} users a second), bare "
        f"{statistics.median(theirs):.1f} s, {statistics.median(ratios):.2f} times (from {min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    asked = {"users": 100_000, "items": 100_000, "rounds": 3} | {k: int(v) for k, v in (text.split("=") for text in sys.argv[1:])}
    rows = data(asked["users"], asked["items"])
    test = LeaveOneOut()(rows).test
    evaluation = Evaluation({"hr": hr, "ndcg": ndcg}, ks=(10, 20))
    batches = list(evaluation.questions(test))
    model = SASRec(rows.n_items, d_model=64).eval()
    print(f"{rows.n_users:,} users, {rows.n_items:,} items, d 64, {torch.get_num_threads()} threads")
    compare("ranking alone", States(model, rows.n_users), evaluation, batches, asked["rounds"])
    compare("with reading of histories", model, evaluation, batches, asked["rounds"])
    start = time.perf_counter()
    evaluation(TopK(model), test)
    print(f"the evaluation as users call it: {time.perf_counter() - start:.1f} s")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
