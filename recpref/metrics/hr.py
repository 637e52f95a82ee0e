"""Hit rate."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["hr"]


def hr(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:
    """1 where at least one of the first k is relevant. With one relevant item it equals recall.

    Example: hits 0 1 0 -> hr@1 = 0, hr@2 = 1.
    """
    return hits[:, :k].any(1).double()
