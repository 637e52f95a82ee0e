"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["f1"]


def f1(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """``2PR / (P + R) = 2 * found / (k + relevant)``, for each user; 0 where nothing was found.

    Example: hits 1 0 1 with 4 relevant -> f1@3 = 2 * 2 / (3 + 4).
    """
    return 2 * hits[:, :k].sum(1).double() / (k + relevant)
