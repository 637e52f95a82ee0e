"""Recall."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["recall"]


def recall(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """The share of the relevant items that stand among the first k. The denominator is not cut at k (as in trec_eval).

    Example: hits 1 0 1 with 4 relevant -> recall@3 = 2/4.
    """
    return hits[:, :k].sum(1).double() / relevant
