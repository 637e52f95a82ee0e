"""NBPO for any model: positives are liked, negatives are liked with a learned probability of having gone unobserved.

Source: Yu and Qin, "Sampler design for implicit feedback data by noisy-label robust learning" (SIGIR 2020), carried from matrix
factorisation to any model: scores are the model's, at the positions that carry loss, and the flip probability comes from a small head
(``recpref.label_noise.flips``) that reads the encoder without moving it. A positive weighs as much as all its negatives together, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recpref.data.interactions import Interactions
from recpref.label_noise.flips import TOLD, Flips
from recpref.label_noise.likelihood import Likelihood, observed, summary, unobserved
from recpref.negatives import positives
from recpref.objectives.score import Source, candidate_scores, encodings
from recpref.samplers.catalogue import Catalogue
from recpref.samplers.uniform import Uniform
from recpref.types import PAD, Batch, Candidates, Group, Sampler, Scorer, Step

__all__ = ["NBPO"]

WATCHED = 1024  # positives and negatives of a batch whose flip probabilities are compared for the log


class NBPO(nn.Module):
    """``observed(positive) + mean_j unobserved(negative_j)``, with flip probabilities from the parts named in ``by``.

    Without parts the flip probability is the constant ``prior``: the control that every learned one has to beat (``prior=0`` is BPO).
    ``likelihood`` is one of the paper's three or our two (``recpref.label_noise.likelihood``); the paper's own, ``nbpo``, hardly moves the
    head. The defaults lost nothing in ``benchmarks/noise``, whoever hid; what gains more where it is known who hides, stands in
    ``docs/noisy_labels.md``. The head holds still at the prior for ``warmup_epochs``, then learns at ``flip_lr`` times the rate, drawn
    towards the prior by ``pull`` times the mean squared distance of its logits. One that goes on from what was learned (``begin``) does
    not hold still again: ``warm`` says so.

    Logs: mean and deviation of the flip probability of negatives, and the chance that a negative's exceeds a positive's.

    Raises: ValueError without sampled negatives, for a prior outside [0, 1), an unknown part, a negative or infinite weight, or the part
    ``sampling`` with negatives that are not uniform, of which its odds do not hold.
    """

    warm: Tensor
    read_by = ("by", "prior")  # options without which the head's numbers have no meaning; its shapes say the rest

    def __init__(
        self,
        n_items: int,
        n_users: int,
        d_model: int,
        train: Interactions,
        sampler: Sampler,
        *,
        likelihood: Likelihood = "nbpo_e",
        by: tuple[str, ...] = ("level", "item", "user"),
        prior: float = 0.1,
        d_flip: int = 16,
        warmup_epochs: int = 5,
        flip_lr: float = 1.0,
        pull: float = 0.0,
    ):
        super().__init__()
        if isinstance(sampler, Catalogue):
            raise ValueError("objective=nbpo weighs sampled negatives, and sampler=catalogue draws none; add sampler=uniform")
        if by and not prior > 0:
            raise ValueError("objective.prior=0.0 says that nothing is ever flipped, and nothing can be learned from there; raise it")
        if "sampling" in by and not isinstance(sampler, Uniform):
            raise ValueError(f"objective.by names sampling, whose odds are those of uniform negatives, not of {type(sampler).__name__}'s")
        for name, value in (("flip_lr", flip_lr), ("pull", pull), ("warmup_epochs", warmup_epochs)):
            if not 0 <= value < math.inf:
                raise ValueError(f"objective.{name}={value} must not be negative, nor infinite")
        self.sampler, self.likelihood = sampler, likelihood
        self.warmup_epochs, self.flip_lr, self.pull = warmup_epochs, flip_lr, pull
        self.flips = Flips(n_items, n_users, d_model, by=tuple(by), prior=prior, d_flip=d_flip).describe(train)
        self.register_buffer("warm", torch.tensor(False))

    def begin(self, state: dict[str, Tensor]) -> None:
        """Goes on from what a head learned in another training. How popular items and how active users are is told by this one's rows."""
        described = {f"flips.{name}": value for name, value in self.flips.named_buffers()}
        self.load_state_dict({**state, **described})

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *more: Any) -> None:
        """What was saved before there was ``warm`` has learned if a part of it has left zero, which ``state`` alone does not begin at."""
        parts = [value for name, value in state_dict.items() if name.startswith(f"{prefix}flips.by_")]
        moved = any(bool(value.any()) for value in parts) if parts else f"{prefix}flips.project.weight" in state_dict
        state_dict.setdefault(f"{prefix}warm", torch.tensor(moved))
        super()._load_from_state_dict(state_dict, prefix, *more)

    def groups(self) -> list[Group]:
        """The flip head learns at a rate of its own, without weight decay, which would pull it to nowhere in particular."""
        return [Group(list(self.flips.parameters()), lr_scale=self.flip_lr, weight_decay=0.0)]

    def __call__(self, model: Scorer, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The summed loss and the number of positions it was taken at. Shapes: scalars."""
        where = batch.targets != PAD
        user = batch.history.user[positives(batch)[1]]
        candidates = self.sampler(batch, step.rng)
        items = self.compared(user, candidates)
        rest = self.flips.rest(user, items)
        still = step.epoch < self.warmup_epochs and not (self.training and self.warm)  # asked outside of training: what may hold still
        if self.training and not still:
            self.warm.fill_(True)
        total, logs = torch.zeros((), device=user.device), dict[str, float]()
        for weight, h_MD in encodings(model, batch.history, where):
            flips = self.flips(h_MD, user, items)
            if still:
                flips = rest.expand_as(flips)
            values = self.values(model, h_MD, flips, candidates)
            if self.pull:
                values = values + self.pull * (flips - rest).square().mean(1)
            total = total + weight * values.sum()
            logs = logs or self.watched(flips.detach(), candidates.hit)
        return total, where.sum(), logs

    def compared(self, user: Int[Tensor, " M"], candidates: Candidates) -> Int[Tensor, "M C"]:
        """The positive (column 0) and its negatives."""
        assert candidates.negatives is not None
        return torch.cat([candidates.positive[:, None], candidates.negatives.expand(len(user), -1)], 1)

    def values(self, model: Scorer, h_MD: Float[Tensor, "M D"], flips: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """The loss of each position; an accidental positive among the negatives is none of them."""
        scores = candidate_scores(h_MD, Source.of(model), candidates)
        kept = scores[:, 1:] > -torch.inf
        negative = unobserved(self.likelihood, scores[:, 1:].masked_fill(~kept, 0.0), flips[:, 1:])
        return observed(self.likelihood, scores[:, 0], flips[:, 0]) + (negative * kept).sum(1) / kept.sum(1).clamp(min=1)

    def watched(self, flips: Float[Tensor, "M C"], hit: Bool[Tensor, "M N"] | None) -> dict[str, float]:
        """What the log says of the flip probabilities of a batch: of all negatives of some of its rows."""
        every = flips[:, 1:]
        n_rows = min(len(flips), max(1, WATCHED // max(1, every.shape[1])))
        rows = torch.arange(n_rows, device=flips.device) * len(flips) // max(1, n_rows)
        negative = every[rows].flatten() if hit is None else every[rows][~hit.expand(every.shape)[rows]]
        return summary(flips[:WATCHED, 0].sigmoid(), negative.sigmoid())

    @staticmethod
    def unused(*, by: Sequence[str], **_: Any) -> dict[str, str]:
        """Options that change nothing beside the others, each with why."""
        if set(by) <= set(TOLD):
            why = "objective.by names nothing that is learned" if by else "objective.by=[] is a constant"
            return dict.fromkeys(("warmup_epochs", "flip_lr", "pull", "d_flip"), why)
        return {} if "state" in by else {"d_flip": "only the part state has vectors, and objective.by does not name it"}
