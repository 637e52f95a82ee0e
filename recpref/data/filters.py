"""Filters that define a benchmark's data: k-core and a rating threshold."""

from __future__ import annotations

import numpy as np

from recpref.data.interactions import Interactions


def k_core(data: Interactions, k: int) -> Interactions:
    """Drops users and items with fewer than ``k`` interactions, again and again until none is left, and renumbers.

    Raises: ValueError for ``k < 1`` or when nothing is left.
    """
    if k < 1:
        raise ValueError(f"data.k_core={k} must be at least 1")
    kept = np.ones(len(data), dtype=bool)
    while True:
        users = np.bincount(data.user[kept], minlength=data.n_users + 1)
        items = np.bincount(data.item[kept], minlength=data.n_items + 1)
        thin = kept & ((users[data.user] < k) | (items[data.item] < k))
        if not thin.any():
            break
        kept &= ~thin
    if not kept.any():
        raise ValueError(f"data.k_core={k} leaves nothing of {data!r}")
    return data.where(kept).compact()


def at_least(data: Interactions, rating: float) -> Interactions:
    """Keeps interactions with ``rating`` or more, and renumbers.

    Raises: ValueError where there are no ratings or nothing is left.
    """
    if data.extra is None or "rating" not in data.extra:
        raise ValueError(f"data.min_rating={rating} needs a column 'rating', which {data.name} does not have")
    kept = data.extra["rating"].to_numpy() >= rating
    if not kept.any():
        raise ValueError(f"data.min_rating={rating} leaves nothing of {data!r}")
    return data.where(kept).compact()
