"""What a split yields: training rows, and held-out rows beside the history that may be seen when they are predicted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from recpref.data.interactions import Interactions


class Heldout(NamedTuple):
    """``targets`` are to be predicted from ``history``, user by user."""

    history: Interactions
    targets: Interactions

    @property
    def users(self) -> Int64[np.ndarray, " n"]:
        """The numbers of the users that have something to predict."""
        return np.unique(self.targets.user)


class Split(NamedTuple):
    """Training never sees ``valid`` or ``test``; ``valid`` chooses; ``test`` is reported."""

    train: Interactions
    valid: Heldout
    test: Heldout
