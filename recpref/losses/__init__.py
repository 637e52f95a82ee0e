"""Item losses: logits and candidates in, one value a row out. Chosen by ``loss=NAME``.

What the losses that compare a positive with sampled negatives share stands here. An accidental positive arrives with a
logit of -inf; it is no candidate: it enters neither sums nor counts, and gets a gradient of zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from recpref.types import Candidates


class Compared(NamedTuple):
    """The scores of the positives and of their negatives, and which negatives are none by accident."""

    positive: Float[Tensor, "M 1"]
    negatives: Float[Tensor, "M N"]
    kept: Bool[Tensor, "M N"]

    def mean(self, values_MN: Float[Tensor, "M N"]) -> Float[Tensor, " M"]:
        """The mean over the negatives that are kept; 0 where none is. ``values_MN`` must be finite, or 0 where not kept."""
        return (values_MN * self.kept).sum(1) / self.kept.sum(1).clamp(min=1)

    def with_prior(self, weight: float = 1.0) -> Compared:
        """Scores of which 0 says the share of yes among the answers, where a yes counts ``weight`` times: less by ``log(N / weight)``."""
        offset = math.log(max(1, self.negatives.shape[1]) / weight)
        return self._replace(positive=self.positive - offset, negatives=self.negatives - offset)


def compared(logits: Float[Tensor, "M C"], candidates: Candidates, loss: object) -> Compared:
    """The logits in their two parts. Raises: ValueError where the catalogue was scored and no negatives were sampled."""
    if candidates.negatives is None:
        raise ValueError(sampler_needed(loss))
    return Compared(logits[:, :1], logits[:, 1:], logits[:, 1:] > -float("inf"))


def sampler_needed(loss: object) -> str:
    """What to say where ``loss`` meets ``sampler=catalogue``."""
    name = type(loss).__module__.rpartition(".")[2]
    return (
        f"loss={name} compares each positive with sampled negatives, and sampler=catalogue draws none; add a sampler such as "
        "sampler=uniform, or use loss=cross_entropy, which needs none"
    )
