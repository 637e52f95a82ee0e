"""Leave-one-out: each user's last item is the test, the one before it the validation, the rest is training.

The protocol of Kang and McAuley (ICDM 2018) and Sun et al. (CIKM 2019). It leaks across users: what one user did after
another's held-out moment is trained on.
"""

from __future__ import annotations

import numpy as np

from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions

__all__ = ["LeaveOneOut"]


class LeaveOneOut:
    """Users with fewer than three interactions are trained on whole. At test, the history holds the validation item."""

    def __init__(self) -> None: ...

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError where no user has three interactions."""
        length = np.diff(data.offsets)[data.user - 1]
        from_end = data.offsets[data.user] - 1 - np.arange(len(data))
        last = (from_end == 0) & (length >= 3)
        if not last.any():
            raise ValueError(f"split=leave_one_out needs users with at least 3 interactions, and {data!r} has none")
        before_last = (from_end == 1) & (length >= 3)
        train = data.where(~last & ~before_last)
        return Split(
            train=train,
            valid=Heldout(train, data.where(before_last)),
            test=Heldout(data.where(~last), data.where(last)),
        )
