"""Leave the last n out: each user's last ``n_test`` items are the test, the ``n_valid`` before them the validation.

With one and one it is leave-one-out, and like it, it leaks across users: what one user did after another's held-out moment
is trained on. All ``n_test`` items are predicted at once from what came before them.
"""

from __future__ import annotations

from recpref.data.heldout import Split, last_rows
from recpref.data.interactions import Interactions

__all__ = ["LeaveLastN"]


class LeaveLastN:
    """Users with too few interactions to keep one for training are trained on whole. ``n_valid=0`` validates nothing.

    ``valid_users`` as in ``leave_one_out``. Raises: ValueError for n_test < 1, n_valid < 0 or valid_users < 1.
    """

    def __init__(self, *, n_test: int = 1, n_valid: int = 1, valid_users: int | None = None, seed: int = 0):
        if n_test < 1 or n_valid < 0:
            raise ValueError(f"split.n_test={n_test} must be at least 1 and split.n_valid={n_valid} at least 0")
        if valid_users is not None and valid_users < 1:
            raise ValueError(f"split.valid_users={valid_users} must be at least 1")
        self.n_test, self.n_valid, self.valid_users, self.seed = n_test, n_valid, valid_users, seed

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError where no user has ``n_test + n_valid + 1`` interactions."""
        split = last_rows(data, self.n_test, self.n_valid, valid_users=self.valid_users, seed=self.seed)
        if not len(split.test.targets):
            least = self.n_test + self.n_valid + 1
            raise ValueError(f"split=leave_last_n needs users with at least {least} interactions, and {data!r} has none")
        return split
