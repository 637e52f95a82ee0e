"""None: everything is training, for the model that is deployed. Nothing is held out, so there is nothing to measure with."""

from __future__ import annotations

import numpy as np

from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions

__all__ = ["Nothing"]


class Nothing:
    """Validation and test have no targets: train for a number of epochs that another split has chosen."""

    def __init__(self) -> None: ...

    def __call__(self, data: Interactions) -> Split:
        """The data, and twice nothing."""
        nothing = Heldout(data, data.where(np.zeros(len(data), dtype=bool)))
        return Split(data, nothing, nothing)
