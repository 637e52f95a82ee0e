"""Planted likes: users and items with tastes, and for each user the items that are liked most. The truth of the noise study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

WIDTH = 6  # of tastes


def planted(seed: int, path: Path, *, n_users: int = 800, n_items: int = 300) -> Path:
    """Writes ``user_id,item_id``: about 30 likes a user (log-normal, 15 to 80), drawn without replacement by taste and by how
    liked an item is in general, in random order. Nothing else says who likes what."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(size=(n_users, WIDTH)), rng.normal(size=(n_items, WIDTH))
    taste = 3 * users @ items.T / WIDTH**0.5 + 0.7 * rng.normal(size=n_items)
    count = np.exp(rng.normal(3.4, 0.4, n_users)).astype(int).clip(15, 80)
    order = np.argsort(-(taste + rng.gumbel(size=taste.shape)), axis=1)  # without replacement, by softmax
    rows = [(user, item) for user in range(n_users) for item in rng.permutation(order[user, : count[user]])]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["user_id", "item_id"]).to_csv(path, index=False)
    return path
