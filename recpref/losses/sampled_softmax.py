"""Sampled softmax: cross-entropy against sampled negatives, corrected for how likely each was to be drawn.

Source: Bengio and Senecal, "Adaptive importance sampling to accelerate training of a neural probabilistic language model"
(2008), for the estimate of the partition function; Yi et al., "Sampling-bias-corrected neural modeling" (RecSys 2019), for
``correction="all"``; Khrylchenko et al., "Correcting the logQ correction" (RecSys 2025), for the remark that the positive is
there with probability 1 and so needs none (their loss goes on to weigh rows, which this one does not).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["SampledSoftmax"]


class SampledSoftmax:
    """``-log(e^s+ / (e^s+ + sum_j e^s_j / (N q_j)))`` with ``s = logits / temperature`` and ``q`` as the sampler gives it.

    With ``correction="negatives"`` the denominator is an unbiased estimate of the partition function: over the catalogue,
    or what of it can be drawn. ``"all"`` subtracts log q from the positive as well (and log N from neither), which is usual
    and biased.

    Raises: ValueError for a temperature that is not positive and finite, without negatives, or where the sampler gives no log q.
    """

    needs_negatives = True

    def __init__(self, *, temperature: float = 1.0, correction: Literal["negatives", "all"] = "negatives"):
        if not 0 < temperature < math.inf:
            raise ValueError(f"loss.temperature={temperature} must be positive and finite")
        self.temperature, self.correction = temperature, correction

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: nats."""
        positive, negatives, _ = compared(logits / self.temperature, candidates, self)
        if candidates.log_q_positive is None or candidates.log_q_negatives is None:
            raise ValueError("loss=sampled_softmax needs a sampler that gives log q; without it, use loss=cross_entropy")
        if self.correction == "all":
            positive = positive - candidates.log_q_positive[:, None]
            negatives = negatives - candidates.log_q_negatives
        else:
            negatives = negatives - candidates.log_q_negatives - math.log(max(1, negatives.shape[1]))
        return torch.cat([positive, negatives], 1).logsumexp(1) - positive[:, 0]
