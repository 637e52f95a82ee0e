"""Novelty: how surprising it is that somebody has the recommended items."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from recpref.facts import Facts, filled

__all__ = ["novelty"]


def novelty(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float | None:
    """The mean self-information ``-log2(users of the item / users)`` in bits, over all places of all lists.

    An item without a training user counts as if it had one. Source: Zhou et al. (PNAS 2010); Vargas and Castells (RecSys
    2011). Example: of four users, four have item 1 and one has item 2: list 1 2 -> novelty@2 = (0 + 2) / 2.
    """
    share = facts.share_of_users[filled(lists, k)]
    return float(-share.log2().mean()) if len(share) else None
