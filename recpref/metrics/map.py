"""Mean average precision."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["map"]


def map(hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"], k: int) -> Float[Tensor, " U"]:  # noqa: A001
    """The mean over all relevant items of the precision at their rank; items beyond k count 0 (as in trec_eval).

    Example: hits 1 0 1 with 2 relevant -> map@3 = (1/1 + 2/3) / 2.
    """
    cut = hits[:, :k].double()
    rank = torch.arange(1, cut.shape[1] + 1, dtype=torch.float64, device=hits.device)
    return (cut.cumsum(1) / rank * cut).sum(1) / relevant
