"""The flip head: how likely it is that a liked item goes unobserved, for any user and item, from few parameters.

The flip logit is ``logit(prior)`` plus a sum of parts, which start at nothing unless they are fixed:

* ``level``: one number, learned;
* ``popularity``, ``activity``: a weight on the standardised logarithm of the item's (the user's) training interactions;
* ``item``, ``user``: a bias for each item (each user);
* ``state``: ``(W h) . q_i``, where h is the encoder's state of the user, which gets no gradient from here;
* ``sampling``: ``log(n_u / (V - n_u))``, fixed: where a user's n_u positives weigh as much as all V - n_u other items, the odds of a flip
  among what is compared are the true odds times this, and with it ``prior`` and the rest speak of the true ones. (With
  ``e^R' = e^R gamma / gamma'`` both sides of the likelihood keep their form, and the posterior its value.);
* ``exposure``: minus the standardised logarithm of the user's training interactions, fixed. It says beforehand that users like about
  equally much, so that who has fewer interactions is recorded less. ``activity`` has to learn it, and hardly does: low scores explain
  few interactions as well;
* ``propensity``: minus the standardised logarithm of the item's training interactions, fixed: items are liked about equally often, and who
  is popular is shown more. ``popularity`` learns how much of that is so; this is its control.

Source: NBPO (Yu and Qin, SIGIR 2020) has ``P_u . Q_i`` alone, which its own regularisation drives to a constant; the parts are ours.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.data.interactions import Interactions
from recpref.label_noise.likelihood import logit
from recpref.suggest import unknown

Source = Literal["level", "popularity", "activity", "item", "user", "state", "sampling", "exposure", "propensity"]
TOLD = ("sampling", "exposure", "propensity")  # the parts that are fixed
WORTH_GATHERING = 16  # items of the catalogue for each candidate
STD = 0.1  # of the initial state and item vectors: small, but a product of two zeros would never move


class Flips(nn.Module):
    """``by`` names the parts. ``describe`` tells it how popular items and how active users are.

    Raises: ValueError for an unknown part, a prior outside [0, 1), or a ``d_flip`` below 1 where ``state`` has that width.
    """

    popularity: Tensor
    activity: Tensor
    sampling: Tensor
    by_level: Tensor | None
    by_popularity: Tensor | None
    by_activity: Tensor | None
    by_item: Tensor | None
    by_user: Tensor | None

    def __init__(self, n_items: int, n_users: int, d_model: int, *, by: tuple[str, ...] = ("level",), prior: float = 0.1, d_flip: int = 16):
        super().__init__()
        for part in by:
            if part not in get_args(Source):
                raise ValueError(unknown("part of the flip probability", part, get_args(Source)))
        if "state" in by and d_flip < 1:
            raise ValueError(f"objective.d_flip={d_flip} must be at least 1")
        self.prior, self.by = logit(prior), tuple(by)
        self.register_buffer("popularity", torch.zeros(n_items + 1))
        self.register_buffer("activity", torch.zeros(n_users + 1))
        self.register_buffer("sampling", torch.zeros(n_users + 1))
        sizes = {"level": 1, "popularity": 1, "activity": 1, "item": n_items + 1, "user": n_users + 1}
        for part, size in sizes.items():
            self.register_parameter(f"by_{part}", nn.Parameter(torch.zeros(size)) if part in by else None)
        if "state" in by:
            self.project = nn.Linear(d_model, d_flip, bias=False)
            self.items = nn.Embedding(n_items + 1, d_flip)
            nn.init.normal_(self.project.weight, std=STD / d_model**0.5)
            nn.init.normal_(self.items.weight, std=STD)

    def describe(self, train: Interactions) -> Flips:
        """Itself, knowing the training data."""
        self.popularity.copy_(torch.from_numpy(_standardised(train.item_counts)))
        self.activity.copy_(torch.from_numpy(_standardised(np.append(0, np.diff(train.offsets)))))
        taken = np.append(0, np.diff(train.offsets)).clip(1, train.n_items - 1)
        self.sampling.copy_(torch.from_numpy(np.log(taken / (train.n_items - taken))))
        self.sampling[0] = self.sampling[1:].mean()  # nobody in particular
        return self

    def forward(self, h_MD: Float[Tensor, "M D"], user: Int[Tensor, " M"], items: Int[Tensor, "#M C"]) -> Float[Tensor, "M C"]:
        """The flip logit of these users and items."""
        total = self.rest(user, items).expand(len(h_MD), items.shape[1])
        if self.by_level is not None:
            total = total + self.by_level
        if self.by_popularity is not None:
            total = total + self.by_popularity * self.popularity[items]
        if self.by_activity is not None:
            total = total + self.by_activity * self.activity[user][:, None]
        if self.by_item is not None:
            total = total + self.by_item[items]
        if self.by_user is not None:
            total = total + self.by_user[user][:, None]
        if "state" in self.by:
            total = total + self._by_state(self.project(h_MD.detach()), items)
        return total

    def rest(self, user: Int[Tensor, " M"], items: Int[Tensor, "#M C"]) -> Float[Tensor, "M #C"]:
        """The flip logit before anything is learned."""
        still = torch.full((len(user), 1), self.prior, device=user.device)
        if "sampling" in self.by:
            still = still + self.sampling[user][:, None]
        if "exposure" in self.by:
            still = still - self.activity[user][:, None]
        return still - self.popularity[items] if "propensity" in self.by else still

    def _by_state(self, p_MD: Float[Tensor, "M D"], items: Int[Tensor, "#M C"]) -> Float[Tensor, "M C"]:
        """Inner products with the items' vectors: gathered, unless the catalogue is so small that all of it is cheaper."""
        rows = items.expand(len(p_MD), -1)
        if self.items.num_embeddings <= WORTH_GATHERING * items.shape[1]:
            return (p_MD @ self.items.weight.T).gather(1, rows)
        return torch.einsum("md,mcd->mc", p_MD, self.items(rows))


def _standardised(counts: np.ndarray) -> np.ndarray:
    """``log(1 + count)`` with mean 0 and deviation 1 over all but the first, which is nobody's and 0. Shapes: [n + 1] -> [n + 1]."""
    logs = np.log1p(counts[1:].astype(np.float64))
    scaled = (logs - logs.mean()) / (logs.std() or 1.0)
    return np.append(0.0, scaled).astype(np.float32)
