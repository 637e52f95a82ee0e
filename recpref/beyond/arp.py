"""Average recommendation popularity."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from recpref.facts import Facts, filled

__all__ = ["arp"]


def arp(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float | None:
    """How many training interactions a recommended item has, on average over all places of all lists.

    Source: Yin, Cui, Li, Yao and Chen (VLDB 2012); Abdollahpouri, Burke and Mobasher (FLAIRS 2019), equation 3.
    Example: items with 9 and 1 interactions in one list -> arp@1 = 9, arp@2 = 5.
    """
    items = filled(lists, k)
    return float(facts.popularity[items].double().mean()) if len(items) else None
