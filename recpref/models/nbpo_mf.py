"""NBPO as published: matrix factorisation with a second factorisation for the chance that a liked item goes unobserved.

Source: Yu and Qin, "Sampler design for implicit feedback data by noisy-label robust learning" (SIGIR 2020), and the authors' code: plain
gradient descent on sums over 5,000 consecutive positives in the order of users, four uniform negatives for each, a positive
counted once with each of its negatives, decay of all rows once a batch, the rate times 0.99 an epoch, 200 epochs. ``score = U_u . V_i``,
``flip = P_u . Q_i``. The methods: BPR and BPO (no flips), NBPO, and its variants NBPO-s and NBPO-o (see
``recpref.label_noise.likelihood``). Beside them BCE, in which a positive counts once, and gBCE (``recpref.losses.gbce``, t = 0.75), with
the same negatives: the paper has neither.

Divergences: sigmoids are not cut at +-10; whoever is no training user is folded in by least squares.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions
from recpref.label_noise.likelihood import logit, observed, summary, unobserved
from recpref.losses.gbce import GBCE
from recpref.negatives import Histories
from recpref.types import PAD, History

__all__ = ["NBPOMF"]
RIDGE = 0.1  # of the vectors of unknown users
WATCHED = 2**16  # positives of training, and negatives, whose flip probabilities are compared for the table
Method = Literal["bpr", "bpo", "bce", "gbce", "nbpo", "nbpo_s", "nbpo_o"]
WITHOUT_FLIPS = ("bpr", "bpo", "bce", "gbce")


class Settings(NamedTuple):
    """The rate, the decay of score vectors and of flip vectors: the authors' for their Amazon data, where they have the method."""

    lr: float
    l2: float
    l2_flip: float = 0.0


class Factors(NamedTuple):
    """The vectors that score, and those that flip, where they are learned."""

    users: Tensor
    items: Tensor
    flip_users: Tensor | None = None
    flip_items: Tensor | None = None


USUAL = {
    "bpr": Settings(0.05, 1.0),
    "bpo": Settings(0.05, 1.0),
    "bce": Settings(0.02, 0.5),  # not published; chosen on the same data's validation rows (benchmarks/LOG.md)
    "gbce": Settings(0.05, 0.2),
    "nbpo": Settings(0.05, 1.0, 5.0),
    "nbpo_s": Settings(0.002, 0.05, 0.01),
    "nbpo_o": Settings(0.005, 1.0, 0.5),
}


class NBPOMF(nn.Module):
    """``flip`` is a constant flip probability in place of the learned one: the control (0 makes NBPO one of BPO's).

    ``lr``, ``l2`` and ``l2_flip`` default to the paper's for the method. A user with training rows has a vector of its own, whatever the
    history says (``knows_users``); everybody else is folded in.

    Raises: ValueError for sizes below 1, negative weights, or a flip probability outside [0, 1) or for a method that has none.
    """

    knows_users = True
    users: Tensor
    items: Tensor
    flip_users: Tensor
    flip_items: Tensor
    bias: Tensor

    def __init__(
        self,
        n_items: int,
        n_users: int,
        *,
        method: Method = "nbpo",
        flip: float | None = None,
        d_model: int = 50,
        d_flip: int = 50,
        n_negatives: int = 4,
        batch_size: int = 5000,
        n_epochs: int = 200,
        lr: float | None = None,
        lr_decay: float = 0.99,
        l2: float | None = None,
        l2_flip: float | None = None,
    ):
        super().__init__()
        for name, size in {"d_model": d_model, "d_flip": d_flip, "n_negatives": n_negatives, "batch_size": batch_size}.items():
            if size < 1:
                raise ValueError(f"{name}={size} must be at least 1")
        if flip is not None and method in WITHOUT_FLIPS:
            raise ValueError(f"method={method} has no flip probability; leave flip={flip} out, or use method=nbpo")
        usual = USUAL[method]
        given = Settings(usual.lr if lr is None else lr, usual.l2 if l2 is None else l2, usual.l2_flip if l2_flip is None else l2_flip)
        if min(given) < 0 or not 0 < lr_decay <= 1 or n_epochs < 0:
            raise ValueError(f"{given}, n_epochs={n_epochs} must not be negative, and lr_decay={lr_decay} must lie in (0, 1]")
        self.method, self.settings, self.lr_decay = method, given, lr_decay
        self.flip = None if flip is None else logit(flip)
        self.n_negatives, self.batch_size, self.n_epochs = n_negatives, batch_size, n_epochs
        tables = {"users": (n_users + 1, d_model), "items": (n_items + 1, d_model)}
        if self.learns_flips:
            tables |= {"flip_users": (n_users + 1, d_flip), "flip_items": (n_items + 1, d_flip)}
        for name, shape in tables.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("bias", torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf))

    @staticmethod
    def unused(*, method: str, flip: float | None, **_: Any) -> dict[str, str]:
        """Options that change nothing beside the others, each with why."""
        constant = f"model.flip={flip} is not learned" if flip is not None else ""
        why = f"model.method={method} has no flip probability" if method in WITHOUT_FLIPS else constant
        return dict.fromkeys(("d_flip", "l2_flip"), why) if why else {}

    @property
    def learns_flips(self) -> bool:
        """Whether the flip probability is learned."""
        return self.method not in WITHOUT_FLIPS and self.flip is None

    def fit(self, train: Interactions) -> dict[str, float]:
        """Draws the first vectors, and descends. Randomness is torch's global one. Returns mean and deviation of the flip probability of
        negatives, and the chance that a negative's exceeds a positive's; nothing for a method without."""
        factors = self._first()
        decays = (self.settings.l2, self.settings.l2, self.settings.l2_flip, self.settings.l2_flip)
        known = [{"params": [factor], "weight_decay": decay} for factor, decay in zip(factors, decays, strict=True) if factor is not None]
        optimizer = torch.optim.SGD(known, lr=self.settings.lr)
        user, item = (torch.from_numpy(part).long() for part in consumed(train).tocoo().coords)
        histories = Histories(train, train.n_items)
        for epoch in track(range(self.n_epochs), f"{self.method}, epochs", disable=not sys.stderr.isatty(), transient=True):
            for group in optimizer.param_groups:
                group.update(lr=self.settings.lr * self.lr_decay ** (epoch + 1))
            for u, i in zip(user.split(self.batch_size), item.split(self.batch_size), strict=True):
                j, free = self._negatives(histories, u)
                optimizer.zero_grad()
                self.loss(factors, u[free], i[free], j[free]).sum().backward()
                optimizer.step()
        if not all(bool(factor.isfinite().all()) for factor in factors if factor is not None):
            raise FloatingPointError(f"training diverged; try a smaller model.lr than {self.settings.lr}, or a smaller model.batch_size")
        for name, factor in factors._asdict().items():
            if factor is not None:
                getattr(self, name).copy_(factor.detach())
        self.items[PAD] = 0
        self.users[torch.from_numpy(np.append(0, np.diff(train.offsets)) == 0)] = 0
        return {} if self.method in WITHOUT_FLIPS else self._watched(user, item, histories)

    def _watched(self, user: Int[Tensor, " n"], item: Int[Tensor, " n"], histories: Histories) -> dict[str, float]:
        """Of some positives, and as many items that their users lack."""
        some = torch.randperm(len(user))[:WATCHED]
        negatives, free = self._negatives(histories, user[some])
        negative = self.flips(user[some][free], negatives[free, :1])
        known = summary(self.flips(user[some], item[some, None])[:, 0], negative[:, 0])
        return {f"train/{name}": value for name, value in known.items()}

    def _first(self) -> Factors:
        """Small positive scores; flips that are rare: U and V in [0, 1), P in [0, 5), Q in (-5, 0], over the root of the width."""

        def drawn(table: Tensor, scale: float) -> nn.Parameter:
            return nn.Parameter(torch.rand_like(table) * scale / table.shape[1] ** 0.5)

        scoring = drawn(self.users, 1.0), drawn(self.items, 1.0)
        return Factors(*scoring, drawn(self.flip_users, 5.0), drawn(self.flip_items, -5.0)) if self.learns_flips else Factors(*scoring)

    def _negatives(self, histories: Histories, user: Int[Tensor, " B"]) -> tuple[Int[Tensor, "B N"], Int[Tensor, " M"]]:
        """Items that each user lacks, uniformly, and the rows that have any."""
        count = histories.n_lacking(user)
        place = (torch.rand(len(user), self.n_negatives, dtype=torch.float64) * count[:, None]).long()
        return histories.lacked(user[:, None], place), (count > 0).nonzero()[:, 0]

    def loss(self, factors: Factors, u: Int[Tensor, " B"], i: Int[Tensor, " B"], j: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """What each positive adds to the sum that is descended, with its N negatives."""
        n, items = j.shape[1], torch.cat([i[:, None], j], 1)
        score = _products(factors.users, factors.items, u, items)
        if self.method == "bpr":
            return -F.logsigmoid(score[:, :1] - score[:, 1:]).sum(1)
        if self.method == "bpo" or self.method == "bce" or self.method == "gbce":
            times = {"bpo": n, "bce": 1, "gbce": GBCE(len(self.bias) - 1).beta(n)}[self.method]
            return -times * F.logsigmoid(score[:, 0]) - F.logsigmoid(-score[:, 1:]).sum(1)
        if factors.flip_users is not None and factors.flip_items is not None:
            flip = _products(factors.flip_users, factors.flip_items, u, items)
        else:
            assert self.flip is not None
            flip = torch.full_like(score, self.flip)
        kind = self.method
        return n * observed(kind, score[:, 0], flip[:, 0]) + unobserved(kind, score[:, 1:], flip[:, 1:]).sum(1)

    def flips(self, user: Int[Tensor, " M"], items: Int[Tensor, "M C"]) -> Float[Tensor, "M C"]:
        """The flip probabilities. Raises: ValueError for a method that has none."""
        if self.method in WITHOUT_FLIPS:
            raise ValueError(f"method={self.method} has no flip probabilities")
        if self.flip is not None:
            return torch.full(items.shape, self.flip).sigmoid()
        return _products(self.flip_users, self.flip_items, user, items).sigmoid()

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """A training user's vector; of all others the least-squares fit of 1 to the history and 0 to all, at equal weight."""
        states = self.users[history.user]
        folded = ~states.any(1)  # nobody (number 0), or somebody of whom there was no training row
        return states.index_put((folded.nonzero()[:, 0],), self._folded(history.items[folded])) if bool(folded.any()) else states

    def _folded(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        items = distinct(items)
        taken = self.items[items]
        share = (items != PAD).sum(1).to(taken.dtype) / max(1, len(self.items) - 1)
        ridge = RIDGE * torch.eye(taken.shape[2], dtype=taken.dtype, device=taken.device)
        system = taken.mT @ taken + share[:, None, None] * (self.items.T @ self.items) + ridge
        return torch.linalg.solve(system, taken.sum(1))

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items, self.bias

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.lr=0.005..0.2 log", "model.l2=0.1..10 log"]


def _products(left: Tensor, right: Tensor, u: Int[Tensor, " M"], items: Int[Tensor, "M C"]) -> Float[Tensor, "M C"]:
    return torch.bmm(F.embedding(items, right), F.embedding(u, left)[:, :, None])[:, :, 0]
