"""Catalogue coverage."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from recpref.facts import Facts, filled

__all__ = ["coverage"]


def coverage(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float:
    """The share of the catalogue that stands in at least one list. Source: Ge, Delgado-Battenfeld and Jannach (RecSys 2010).

    Example: lists 1 2 and 1 3 of five items -> coverage@1 = 1/5, coverage@2 = 3/5.
    """
    return int((filled(lists, k).bincount() > 0).sum()) / facts.train.n_items
