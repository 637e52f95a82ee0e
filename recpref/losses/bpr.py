"""Bayesian personalised ranking: the positive should score above each negative.

Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (UAI 2009), section 4.1; the mean over
several negatives as in Hidasi et al., "Session-based recommendations with recurrent neural networks" (ICLR 2016), section 3.1.3.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["BPR"]


class BPR:
    """``-mean_j log sigmoid(s+ - s_j)``. Raises: ValueError without negatives."""

    needs_negatives = True

    def __init__(self) -> None: ...

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: nats."""
        pair = compared(logits, candidates, self)
        return -pair.mean(F.logsigmoid(pair.positive - pair.negatives))
