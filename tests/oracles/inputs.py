"""Rankings and interactions that are the same wherever they are made. Needs numpy alone, so that every peer's environment can."""

from __future__ import annotations

import numpy as np

USERS, ITEMS, LENGTH = 40, 60, 20


def rankings() -> tuple[np.ndarray, list[list[int]]]:
    """The lists [U, 20] of items 1 to 60, best first, and the one to six relevant items of each user; a third of them are likely hits."""
    random = np.random.RandomState(7)
    lists = np.stack([random.permutation(ITEMS)[:LENGTH] + 1 for _ in range(USERS)])
    relevant = []
    for row in lists:
        count = random.randint(1, 7)
        liked = np.where(random.rand(ITEMS) < 0.5, random.permutation(ITEMS) + 1, row[random.randint(0, LENGTH, ITEMS)])
        relevant.append([int(item) for item in dict.fromkeys(liked.tolist())][:count])
    return lists, relevant


def matrix() -> np.ndarray:
    """Who has what: 0 or 1, [40, 60], popular items first; everybody has something, and everything somebody."""
    random = np.random.RandomState(11)
    has = random.rand(USERS, ITEMS) < np.linspace(0.5, 0.05, ITEMS)
    has[np.arange(ITEMS) % USERS, np.arange(ITEMS)] = True
    return has.astype(np.float64)
