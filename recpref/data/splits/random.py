"""Random: of each user's rows, random ones are the test and others the validation. Order and time play no part.

The protocol of collaborative filtering (Yu and Qin's NBPO, SIGIR 2020: a tenth and a tenth). It leaks in every way: the
model sees the user's own future, and everybody else's. Never compare it with a split by time.
"""

from __future__ import annotations

import numpy as np
import torch

from recpref.data.heldout import Split, divided
from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw

__all__ = ["Random"]

STREAM = 3


class Random:
    """Of a user's n rows, ``round(test_share * n)`` and ``round(valid_share * n)`` are held out; at least one is kept.

    Which, is a function of (seed, row). Raises: ValueError for shares below 0 or that sum to 1, or for no test share.
    """

    def __init__(self, *, test_share: float = 0.1, valid_share: float = 0.1, seed: int = 0):
        if test_share <= 0 or valid_share < 0 or test_share + valid_share >= 1:
            raise ValueError(
                f"split.test_share={test_share} and split.valid_share={valid_share} must be shares that leave some to training"
            )
        self.test_share, self.valid_share, self.seed = test_share, valid_share, seed

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError where every user has too few rows to hold one out."""
        length = np.diff(data.offsets)
        n_test = np.minimum(np.floor(self.test_share * length + 0.5), length - 1)[data.user - 1]
        n_valid = np.floor(self.valid_share * length + 0.5)[data.user - 1]
        place = _places(data, self.seed)
        test = place < n_test
        if not test.any():
            raise ValueError(f"split=random with test_share={self.test_share} holds out nothing of {data!r}: every user has too few rows")
        valid = ~test & (place < n_test + n_valid) & (place < length[data.user - 1] - 1)
        return divided(data, valid, test, ordered=False)


def _places(data: Interactions, seed: int) -> np.ndarray:
    """Each row's place (from 0) in a random order of its user's rows."""
    noise = Draw(seed, 0, torch.arange(len(data))).uniform(1, stream=STREAM)[:, 0].numpy()
    place = np.empty(len(data), dtype=np.int64)
    place[np.lexsort((noise, data.user))] = np.arange(len(data)) - data.offsets[data.user - 1]
    return place
