"""Precision."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["precision"]


def precision(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """The share of the first k places that hold a relevant item; empty places count as misses.

    Example: hits 1 0 1 -> precision@3 = 2/3, precision@10 = 2/10.
    """
    return hits[:, :k].sum(1).double() / k
