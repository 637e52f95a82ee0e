"""Normalised discounted cumulative gain, with binary gain."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["ndcg"]


def ndcg(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """Sum of ``1 / log2(rank + 1)`` over hits among the first k, over the same sum for the best possible list.

    The best list has ``min(relevant, k)`` hits. Source: Järvelin and Kekäläinen (TOIS 2002), in Burges' form.
    Example: hits 0 1 with 1 relevant -> ndcg@2 = 1 / log2(3) = .631.
    """
    discount = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64, device=hits.device))
    ideal = discount.cumsum(0)[relevant.clamp(1, k) - 1]
    return (hits[:, :k] * discount[: hits.shape[1]]).sum(1) / ideal
