"""Mean reciprocal rank."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["mrr"]


def mrr(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """``1 / rank`` of the first relevant item among the first k; 0 where there is none.

    Example: hits 0 0 1 -> mrr@3 = 1/3, mrr@2 = 0.
    """
    cut = hits[:, :k]
    reciprocal = 1 / torch.arange(1, cut.shape[1] + 1, dtype=torch.float64, device=hits.device)
    return (cut * reciprocal).amax(1) if cut.shape[1] else relevant.double() * 0
