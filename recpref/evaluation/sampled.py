"""Sampled candidates: the targets ranked among a few negatives, as older papers report it. Never the headline.

Such numbers are many times higher than those of a full ranking, and may order models otherwise (Krichene and Rendle, KDD
2020), so their names say what they are: ``sampled-uniform-100/ndcg@10``.

Source: Sun et al. (CIKM 2019): 100 negatives by popularity, without replacement, none from the user's history. Divergence:
popularity is counted in training only; the authors' code counts the test, too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recpref.data.heldout import Heldout
from recpref.data.randomness import Draw
from recpref.evaluation.protocol import Evaluation, Report
from recpref.types import PAD, Query, Ranking, Recommender

SPARE = 4  # times n_negatives are drawn at first; who needs more, because much was seen, draws from what is left
FIRST, REST = 4, 5  # streams of the two draws


class SampledCandidates:
    """A recommender that may choose among a user's targets and ``n_negatives`` other items only, whatever the query excludes.

    Negatives are drawn one after the other without replacement from the items that are neither in the user's history nor
    targets, uniformly or in proportion to ``item_counts`` [V + 1] of training. They are a function of (seed, user number).

    Raises: ValueError for n_negatives < 1, an unknown ``by``, or a user who has too few items left to draw from.
    """

    def __init__(
        self,
        recommender: Recommender,
        heldout: Heldout,
        *,
        item_counts: np.ndarray,
        n_negatives: int = 100,
        by: Literal["uniform", "popularity"] = "uniform",
        seed: int = 0,
    ):
        weights = drawing_weights(heldout, item_counts=item_counts, n_negatives=n_negatives, by=by)
        self.recommender, self.heldout, self.weights = recommender, heldout, torch.from_numpy(weights)
        self.n_negatives, self.seed = n_negatives, seed
        self.needs_time = bool(getattr(recommender, "needs_time", False))

    def recommend(self, query: Query, k: int) -> Ranking:
        """The k best of each user's candidates."""
        users = query.history.user
        candidates = self.candidates(users.cpu()).to(users.device)
        return self.recommender.recommend(query._replace(exclude=None, candidates=candidates), k)

    def candidates(self, users: Int[Tensor, " B"]) -> Int[Tensor, "B C"]:
        """The targets of these users (numbers), PAD where one has fewer than another, then the negatives as drawn."""
        targets = torch.from_numpy(self.heldout.targets.padded(users.numpy()))
        known = torch.from_numpy(self.heldout.history.padded(users.numpy()))
        return torch.cat([targets, self.negatives(users, torch.cat([known, targets], 1))], 1)

    def negatives(self, users: Int[Tensor, " B"], forbidden: Int[Tensor, "B S"]) -> Int[Tensor, "B N"]:
        """In the order in which they were drawn: the first column alone follows the weights."""
        share = self.weights.cumsum(0)
        noise = Draw(self.seed, 0, users).uniform(SPARE * self.n_negatives, stream=FIRST)
        drawn = torch.searchsorted(share, noise * share[-1], right=True)
        negatives = _first(_new(forbidden, drawn), self.n_negatives)
        for row in (negatives == PAD).any(1).nonzero()[:, 0].tolist():
            rest = self._rest(users[row : row + 1], torch.cat([forbidden[row], negatives[row]]))
            negatives[row] = _first(torch.cat([negatives[row], rest])[None], self.n_negatives)[0]
        return negatives

    def _rest(self, user: Int[Tensor, " 1"], forbidden: Int[Tensor, " S"]) -> Int[Tensor, " N"]:
        """A draw from all items that are left: the smallest of exponential times (Efraimidis and Spirakis, 2006)."""
        times = -torch.log1p(-Draw(self.seed, 0, user).uniform(len(self.weights), stream=REST)[0]) / self.weights
        times[forbidden] = torch.inf
        times[self.weights == 0] = torch.inf
        order = times.argsort(stable=True)[: self.n_negatives]
        return torch.where(times[order] < torch.inf, order, PAD)


def drawing_weights(
    heldout: Heldout, *, item_counts: np.ndarray, n_negatives: int, by: Literal["uniform", "popularity"]
) -> Float[np.ndarray, " V1"]:
    """How likely each item is drawn, up to a factor. Raises: ValueError where this protocol cannot be asked of these users."""
    if n_negatives < 1:
        raise ValueError(f"n_negatives={n_negatives} must be at least 1")
    if by not in ("uniform", "popularity"):
        raise ValueError(f"by={by!r} must be 'uniform' or 'popularity'")
    weights = np.asarray(item_counts, dtype=np.float64).copy() if by == "popularity" else np.ones(len(item_counts))
    weights[PAD] = 0
    rows = [part.user * len(weights) + part.item for part in heldout]
    user, item = np.divmod(np.unique(np.concatenate(rows)), len(weights))
    left = (weights > 0).sum() - np.bincount(user, weights=weights[item] > 0, minlength=heldout.targets.n_users + 1)
    short = heldout.users[left[heldout.users] < n_negatives]
    if len(short):
        name = heldout.targets.users.originals(short[:1]).tolist()[0]
        raise ValueError(f"n_negatives={n_negatives}, but only {left[short[0]]:.0f} items can be drawn that are new to user {name!r}")
    return weights


def _new(forbidden: Int[Tensor, "B S"], drawn: Int[Tensor, "B C"]) -> Int[Tensor, "B C"]:
    """``drawn`` with PAD for what is forbidden or was drawn before."""
    both = torch.cat([forbidden, drawn], 1)
    ordered, place = both.sort(dim=1, stable=True)
    again = torch.zeros_like(both, dtype=torch.bool)
    again.scatter_(1, place[:, 1:], ordered[:, 1:] == ordered[:, :-1])
    return both.masked_fill(again, PAD)[:, forbidden.shape[1] :]


def _first(items: Int[Tensor, "B C"], n: int) -> Int[Tensor, "B N"]:
    """The first ``n`` of each row that are no PAD, in their order; PAD where there are fewer."""
    return items.gather(1, (items == PAD).long().argsort(dim=1, stable=True)[:, :n])


def sampled_report(
    recommender: Recommender,
    heldout: Heldout,
    evaluation: Evaluation,
    *,
    item_counts: np.ndarray,
    n_negatives: int = 100,
    by: Literal["uniform", "popularity"] = "uniform",
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Report:
    """The protocol's metrics under names such as ``sampled-uniform-100/ndcg@10``. Raises: as ``SampledCandidates``."""
    sampled = SampledCandidates(recommender, heldout, item_counts=item_counts, n_negatives=n_negatives, by=by, seed=seed)
    frame = evaluation(sampled, heldout, device=device).per_user
    return Report(frame.rename(columns={name: f"sampled-{by}-{n_negatives}/{name}" for name in frame.columns[1:]}))
