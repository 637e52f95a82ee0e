"""BPR-max: BPR against the hardest negative, with a softmax in the place of the maximum.

Source: Hidasi and Karatzoglou, "Recurrent neural networks with top-k gains for session-based recommendations" (CIKM 2018),
the ranking-max losses; the authors' code calls the penalty ``bpreg``.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["BPRMax"]


class BPRMax:
    """``-log sum_j w_j sigmoid(s+ - s_j) + penalty * sum_j w_j s_j^2`` with ``w = softmax(s_j)`` over the negatives.

    One negative and no penalty make it BPR. A row whose negatives are all accidental positives costs 0.

    Raises: ValueError for a penalty that is negative or not finite, or without negatives.
    """

    needs_negatives = True

    def __init__(self, *, penalty: float = 1.0):
        if not 0 <= penalty < math.inf:
            raise ValueError(f"loss.penalty={penalty} must not be negative, and must be finite")
        self.penalty = penalty

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: nats, and squared scores."""
        positive, negatives, kept = compared(logits, candidates, self)
        any_kept = kept.any(1)
        finite = negatives.masked_fill(~kept, 0)
        log_weights = finite.masked_fill(~kept & any_kept[:, None], -torch.inf).log_softmax(1)
        values = -(log_weights + F.logsigmoid(positive - finite)).logsumexp(1)
        values = values + self.penalty * (log_weights.exp() * finite.square()).sum(1)
        return values.masked_fill(~any_kept, 0)
