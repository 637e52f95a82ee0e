"""The tail's share of what is recommended."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from recpref.facts import TAIL, Facts, filled

__all__ = ["tail"]


def tail(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float | None:
    """The share of all places that go to tail items, which hold a fifth of the training interactions (``Facts.strata``).

    Example: of the list 1 2 item 2 is in the tail -> tail@1 = 0, tail@2 = 1/2.
    """
    items = filled(lists, k)
    return float((facts.strata[items] == TAIL).double().mean()) if len(items) else None
