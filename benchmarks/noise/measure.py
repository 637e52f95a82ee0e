"""What the truth says of a trained run: does it find the hidden positives, and does it know who hides?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import recpref
from recpref.data.heldout import Split
from recpref.data.histories import history_of
from recpref.data.interactions import Interactions
from recpref.data.splits.hidden import Hidden
from recpref.label_noise.flips import Flips
from recpref.label_noise.likelihood import auc, liked
from recpref.metrics.ndcg import ndcg
from recpref.retrieval.topk import TopK
from recpref.types import Query

K = 20


class Found(NamedTuple):
    """``ndcg_score`` and ``ndcg_posterior`` at 20: all liked items that were neither trained nor validated on, ranked by the score, and by
    the probability that an unobserved item is liked. The lists may hold what validated, which then counts as wrong, as it does for every
    variant alike. AUCs over pairs: ``flip_auc`` of the flip probability among liked items, hidden against observed;
    ``score_auc`` and ``posterior_auc`` of hidden against not liked."""

    ndcg_score: float
    ndcg_posterior: float
    flip_auc: float
    score_auc: float
    posterior_auc: float
    flip_mean: float
    flip_sd: float
    valid: float
    best_epoch: int


class World(NamedTuple):
    """Who likes, who is observed, what is hidden, and what is tested. Shapes: [U, V] each."""

    truth: Bool[Tensor, "U V"]
    observed: Bool[Tensor, "U V"]
    hidden: Bool[Tensor, "U V"]
    tested: Bool[Tensor, "U V"]


def world(split: Hidden, parts: Split, data: Interactions) -> World:
    """The truth of a simulation, as tables."""
    hidden = data.where(split.rows(data))
    return World(*(_table(rows, data) for rows in (data, parts.train, hidden, parts.test.targets)))


def _table(rows: Interactions, data: Interactions) -> Bool[Tensor, "U V"]:
    table = torch.zeros(data.n_users, data.n_items, dtype=torch.bool)
    table[rows.user - 1, rows.item - 1] = True
    return table


@torch.inference_mode()
def measured(run: recpref.Run, parts: Split, truth: World, slope: float | None = None) -> Found:
    """Everything at once, for every user from the training rows alone. ``slope``: of a model without flips, how fast the log-odds that an
    item goes unobserved are said to fall by its popularity."""
    users = np.arange(1, parts.train.n_users + 1)
    history = history_of(parts.train, users)
    score = TopK(run.model).scores(Query(history))[:, 1:]
    flips = _flips(run, parts, score) if slope is None else _told(parts, slope)
    posterior = score if flips is None else liked(score, flips)
    plain = torch.zeros_like(score) if flips is None else flips if slope is not None else population(run, flips)
    gamma = plain.sigmoid()
    return Found(
        ndcg_score=_ndcg(score, truth),
        ndcg_posterior=_ndcg(posterior, truth),
        flip_auc=auc(plain[truth.hidden], plain[truth.observed]) if flips is not None else float("nan"),
        score_auc=auc(score[truth.hidden], score[~truth.truth]),
        posterior_auc=auc(posterior[truth.hidden], posterior[~truth.truth]),
        flip_mean=float(gamma.mean()) if flips is not None else float("nan"),
        flip_sd=float(gamma.std()) if flips is not None else float("nan"),
        valid=run.metrics["valid/ndcg@10"],
        best_epoch=run.trained.best_epoch,
    )


def _flips(run: recpref.Run, parts: Split, score: Float[Tensor, "U V"]) -> Float[Tensor, "U V"] | None:
    """The flip logits of all users and items, as training saw them; None where there are none."""
    plan, train = run.experiment, parts.train
    if plan.objective.name != "nbpo":
        return None
    head = head_of(run)
    users = torch.arange(1, train.n_users + 1)
    states = run.model.state(history_of(train, users.numpy()))
    return head(states, users, torch.arange(1, train.n_items + 1)[None])


def _told(parts: Split, slope: float) -> Float[Tensor, "U V"]:
    """Flip logits of a control that learns nothing: a tenth, the popular less and the unpopular more, everybody alike."""
    told = Flips(parts.train.n_items, parts.train.n_users, 1, by=("propensity",), prior=0.1).describe(parts.train)
    return (told.prior - slope * told.popularity[1:]).expand(parts.train.n_users, -1)


def head_of(run: recpref.Run) -> Flips:
    """The flip head that a run learned."""
    return run.posterior().model.flips


def population(run: recpref.Run, flips: Float[Tensor, "U V"]) -> Float[Tensor, "U V"]:
    """The flip logits without what sampling did to their odds."""
    head = head_of(run)
    return flips - head.sampling[1:, None] if "sampling" in head.by else flips


def _ndcg(score: Float[Tensor, "U V"], truth: World) -> float:
    asked = truth.tested.any(1)
    best = score.masked_fill(truth.observed, -torch.inf).topk(K).indices
    return float(ndcg(truth.tested.gather(1, best)[asked], truth.tested.sum(1)[asked], K).mean())
