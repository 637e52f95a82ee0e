"""TOP1: an approximate rank of the positive, and a push of the negatives' scores towards zero.

Source: Hidasi et al., "Session-based recommendations with recurrent neural networks" (ICLR 2016), section 3.1.3;
with ``weights="softmax"`` TOP1-max of Hidasi and Karatzoglou (CIKM 2018).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["TOP1"]


class TOP1:
    """``sum_j w_j (sigmoid(s_j - s+) + penalty * sigmoid(s_j^2))``; ``penalty=1`` is the papers'.

    ``weights``: ``equal`` is 1 / N (TOP1), ``softmax`` that of the negatives' scores (TOP1-max). A row whose negatives are
    all accidental positives costs 0.

    Raises: ValueError for a penalty that is negative or not finite, or without negatives.
    """

    needs_negatives = True

    def __init__(self, *, weights: Literal["equal", "softmax"] = "equal", penalty: float = 1.0):
        if not 0 <= penalty < math.inf:
            raise ValueError(f"loss.penalty={penalty} must not be negative, and must be finite")
        self.weights, self.penalty = weights, penalty

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: pairs ranked wrongly, as a share."""
        pair = compared(logits, candidates, self)
        finite = pair.negatives.masked_fill(~pair.kept, 0)
        values = torch.sigmoid(finite - pair.positive) + self.penalty * torch.sigmoid(finite.square())
        if self.weights == "equal":
            return pair.mean(values)
        none = ~pair.kept.any(1, keepdim=True)
        weights = finite.masked_fill(~pair.kept & ~none, -torch.inf).softmax(1)
        return (weights * values * pair.kept).sum(1)
