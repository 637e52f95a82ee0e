"""Aspects of a report: what its lists are like beyond accuracy, and for which users and targets they are accurate.

``coverage@10`` and its like (see ``recpref.beyond``) at every cut-off. Accuracy, by NDCG and hit rate at one cut-off (10, or
the largest below), of

- ``history-q1/ndcg@10`` to ``history-q4/...``: users in four groups by the length of their history, the shortest first, with
  ``history-q1/novelty@10`` and everything else that is measured beyond accuracy of the lists of that group,
- ``target-head/ndcg@10``, ``target-mid/...``, ``target-tail/...``: users with targets of that stratum (see ``Facts.strata``),
  as if these were all their targets,

each with its number of users, such as ``target-tail/users``. A group that nobody is in is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from recpref import components
from recpref.consumed import distinct
from recpref.data.heldout import Heldout
from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Evaluation, Report
from recpref.facts import HEAD, MID, TAIL, Facts
from recpref.types import PAD, Ranking

BY_GROUP = ("ndcg", "hr")
STRATA = {"head": HEAD, "mid": MID, "tail": TAIL}
QUARTILES = (0.25, 0.5, 0.75)
BLOCK = 1024  # users


def aspects(report: Report, heldout: Heldout, train: Interactions, evaluation: Evaluation) -> dict[str, float]:
    """All aspects of a report on ``heldout``. What cannot be measured, such as diversity@1, is left out.

    Raises: ValueError for an unknown name in ``evaluation.beyond`` or an unknown feature in ``evaluation.alike_by``.
    """
    if report.lists is None:
        raise ValueError("the report has no lists to look at")
    facts = Facts(train, evaluation.alike_by)
    measured = beyond(report.lists, facts, evaluation.beyond, evaluation.ks)
    return {**measured, **by_history(report, heldout, facts, evaluation), **by_target(report, heldout, facts, evaluation)}


def beyond(lists: Int[Tensor, "U K"], facts: Facts, names: Sequence[str], ks: Sequence[int]) -> dict[str, float]:
    """What some lists are like, each measure at each cut-off, where there is anything to measure."""
    found = {name: components.find("beyond", name) for name in names}
    values = {f"{name}@{k}": measure(lists, facts, k) for name, measure in found.items() for k in ks}
    return {key: value for key, value in values.items() if value is not None}


def _cutoff(evaluation: Evaluation) -> int:
    return max((k for k in evaluation.ks if k <= 10), default=min(evaluation.ks))


def by_history(report: Report, heldout: Heldout, facts: Facts, evaluation: Evaluation) -> dict[str, float]:
    """All of a report by quarters of users; those whose history is as long as a quartile belong to the shorter side."""
    found, k = dict[str, float](), _cutoff(evaluation)
    assert report.lists is not None
    length = np.diff(heldout.history.offsets)[heldout.users - 1]
    quarter = np.searchsorted(np.quantile(length, QUARTILES), length, side="left")
    for place in np.unique(quarter):
        rows = report.per_user[quarter == place]
        means = {f"{name}@{k}": float(rows[f"{name}@{k}"].mean()) for name in BY_GROUP if f"{name}@{k}" in rows}
        lists = beyond(report.lists[torch.from_numpy(quarter == place)], facts, evaluation.beyond, [k])
        found |= {f"history-q{place + 1}/{key}": value for key, value in {"users": len(rows), **means, **lists}.items()}
    return found


def by_target(report: Report, heldout: Heldout, facts: Facts, evaluation: Evaluation) -> dict[str, float]:
    """Accuracy by the popularity of what was to be found."""
    users = torch.from_numpy(heldout.users)
    found: dict[str, float] = {}
    for name, stratum in STRATA.items():
        blocks = zip(users.split(BLOCK), report.lists.split(BLOCK), strict=True)  # type: ignore[union-attr]
        parts = [_found(heldout, block, lists, facts.strata == stratum) for block, lists in blocks]
        hits, relevant = (torch.cat(part) for part in zip(*parts, strict=True))
        if len(rows := relevant.nonzero()[:, 0]):
            k = _cutoff(evaluation)
            metrics = {f"{metric}@{k}": evaluation.metrics[metric] for metric in BY_GROUP if metric in evaluation.metrics}
            means = {key: float(metric(hits[rows], relevant[rows], k).mean()) for key, metric in metrics.items()}
            found |= {f"target-{name}/{key}": value for key, value in {"users": len(rows), **means}.items()}
    return found


def _found(
    heldout: Heldout, users: Int[Tensor, " B"], lists: Int[Tensor, "B K"], wanted: Bool[Tensor, " V1"]
) -> tuple[Bool[Tensor, "B K"], Int[Tensor, " B"]]:
    """Which places hold a target that is ``wanted``, and how many such targets there are."""
    targets = distinct(torch.from_numpy(heldout.targets.padded(users.numpy())))
    targets = targets.masked_fill(~wanted[targets], PAD)
    return Evaluation.hits(Ranking(lists.long(), torch.zeros(lists.shape)), targets), (targets != PAD).sum(1)
