"""The Gini coefficient of exposure."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from recpref.facts import Facts, filled

__all__ = ["gini"]


def gini(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float:
    """How unequally places are given to items: 0 where all items have as many, ``1 - k / V`` where everybody has one list.

    ``sum of (2r - V - 1) x_r / (V sum of x_r)`` over items in rising order of their exposure x, r = 1 the least, those never
    recommended among them. Example: exposures 0 1 3 -> (-2 x 0 + 0 x 1 + 2 x 3) / (3 x 4) = 1/2.
    """
    n_items = facts.train.n_items
    exposure = filled(lists, k).bincount(minlength=n_items + 1)[1:].sort().values.double()
    place = 2 * torch.arange(1, n_items + 1, dtype=torch.double) - n_items - 1
    return float((place * exposure).sum() / (n_items * exposure.sum()).clamp(min=1))
