"""Hidden: a known share of what users liked is hidden from training, at random, by popularity or by user. A simulator, not a protocol.

What was observed stands for the truth; the hidden rows are positives that training takes for negatives, and the test asks for
them. Because it is known who hid what, it can be measured whether a model of noisy labels finds out (Yu and Qin, SIGIR 2020, suppose such
a world; the simulation is ours).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import rankdata

from recpref.data.heldout import Split, divided
from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw

__all__ = ["Hidden"]

STREAM, USERS = 4, 5


class Hidden:
    """Every row is hidden with a probability whose logit is a constant plus ``spread * z``; ``share`` is its mean over all rows.

    ``by`` says what z is: ``random``: 0; ``popularity``: minus the item's popularity, as a normal score of its rank (the unpopular
    hide); ``user``: a normal number for each user. Of all rows ``test_share`` more, and of the rest ``valid_share``, are held out at
    random: the test asks for both the hidden and the held out. Two rows of every user stay.

    Which rows, is a function of (seed, row). Raises: ValueError for shares outside [0, 1), or no row to test.
    """

    def __init__(
        self,
        *,
        share: float = 0.3,
        by: Literal["random", "popularity", "user"] = "random",
        spread: float = 3.0,
        test_share: float = 0.1,
        valid_share: float = 0.1,
        seed: int = 0,
    ):
        for name, value in (("share", share), ("test_share", test_share), ("valid_share", valid_share)):
            if not 0 <= value < 1:
                raise ValueError(f"split.{name}={value} must lie in [0, 1)")
        if share + test_share == 0:
            raise ValueError("split.share=0.0 and split.test_share=0.0 leave nothing to test")
        self.share, self.by, self.spread, self.test_share, self.valid_share, self.seed = share, by, spread, test_share, valid_share, seed

    def probability(self, data: Interactions) -> Float[np.ndarray, " n"]:
        """How likely each row is hidden."""
        if not self.share:
            return np.zeros(len(data))
        logit = self.spread * self._z(data)
        level = brentq(lambda level: expit(level + logit).mean() - self.share, -100, 100)
        return np.asarray(expit(level + logit))

    def rows(self, data: Interactions) -> Bool[np.ndarray, " n"]:
        """Which rows are hidden."""
        return (self._noise(len(data), 3)[:, 0] < self.probability(data)) & ~self._kept(data)

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError where nothing is left to test."""
        noise, hidden, kept = self._noise(len(data), 3), self.rows(data), self._kept(data)
        test = hidden | ((noise[:, 1] < self.test_share) & ~kept)
        if not test.any():
            raise ValueError(f"split=hidden leaves nothing to test: {data!r}")
        return divided(data, (noise[:, 2] < self.valid_share) & ~test & ~kept, test, ordered=False, valid_known=False)

    def _z(self, data: Interactions) -> Float[np.ndarray, " n"]:
        if self.by == "random":
            return np.zeros(len(data))
        if self.by == "user":
            users = Draw(self.seed, 0, torch.arange(data.n_users + 1)).uniform(1, stream=USERS)[:, 0].numpy()
            return _normal(users)[data.user]
        return -_normal(data.item_counts.astype(float))[data.item]

    def _kept(self, data: Interactions) -> Bool[np.ndarray, " n"]:
        """Two random rows of every user."""
        noise = self._noise(len(data), 4)[:, 3]
        place = np.empty(len(data), dtype=np.int64)
        place[np.lexsort((noise, data.user))] = np.arange(len(data)) - data.offsets[data.user - 1]
        return place < 2

    def _noise(self, n: int, columns: int) -> Float[np.ndarray, "n c"]:
        return Draw(self.seed, 0, torch.arange(n)).uniform(columns, stream=STREAM).numpy()


def _normal(values: Float[np.ndarray, " n1"]) -> Float[np.ndarray, " n1"]:
    """Normal scores of the ranks of all but the first, which is nobody's: mean 0, deviation about 1."""
    from scipy.stats import norm

    rank = rankdata(values[1:])
    return np.append(0.0, norm.ppf((rank - 0.5) / len(rank)))
