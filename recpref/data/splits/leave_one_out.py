"""Leave-one-out: each user's last item is the test, the one before it the validation, the rest is training.

The protocol of Kang and McAuley (ICDM 2018) and Sun et al. (CIKM 2019). It leaks across users: what one user did after
another's held-out moment is trained on. ``valid_users=2048`` is the scheme of Petrov and Macdonald (RecSys 2022) and
RecTools: only that many random users validate, and the others' last item but one is trained on.
"""

from __future__ import annotations

from recpref.data.heldout import Split, last_rows
from recpref.data.interactions import Interactions

__all__ = ["LeaveOneOut"]


class LeaveOneOut:
    """Users with fewer than three interactions are trained on whole. At test, the history holds the validation item.

    Raises: ValueError for ``valid_users`` below 1.
    """

    def __init__(self, *, valid_users: int | None = None, seed: int = 0):
        if valid_users is not None and valid_users < 1:
            raise ValueError(f"split.valid_users={valid_users} must be at least 1")
        self.valid_users, self.seed = valid_users, seed

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError where no user has three interactions."""
        split = last_rows(data, 1, 1, valid_users=self.valid_users, seed=self.seed)
        if not len(split.test.targets):
            raise ValueError(f"split=leave_one_out needs users with at least 3 interactions, and {data!r} has none")
        return split
