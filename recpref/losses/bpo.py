"""Bayesian point-wise optimisation: the positive is liked and its negatives are not, at equal weight.

Source: Yu and Qin, "Sampler design for implicit feedback data by noisy-label robust learning" (SIGIR 2020), where it is the
optimisation that noise is then modelled in. A positive is met once with each of its negatives, so unlike in BCE it weighs as
much as all of them together.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["BPO"]


class BPO:
    """``-log sigmoid(s+) - mean_j log sigmoid(-s_j)``; twice BCE where N = 1. Raises: ValueError without negatives."""

    needs_negatives = True

    def __init__(self) -> None: ...

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: nats."""
        pair = compared(logits, candidates, self)
        return -F.logsigmoid(pair.positive[:, 0]) - pair.mean(F.logsigmoid(-pair.negatives))
