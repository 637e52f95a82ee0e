"""What a split yields: training rows, and held-out rows beside the history that may be seen when they are predicted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64

from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw

STREAM = 2  # of the draw that chooses validation users


class Heldout(NamedTuple):
    """``targets`` are to be predicted from ``history``, user by user."""

    history: Interactions
    targets: Interactions

    @property
    def users(self) -> Int64[np.ndarray, " n"]:
        """The numbers of the users that have something to predict."""
        return np.unique(self.targets.user)


class Split(NamedTuple):
    """Training never sees ``valid`` or ``test``; ``valid`` chooses; ``test`` is reported.

    ``ordered`` promises that a user's targets are never earlier than what is known of the user.
    """

    train: Interactions
    valid: Heldout
    test: Heldout
    ordered: bool = True

    @property
    def without_test(self) -> Split:
        """The same, with nothing to predict at test."""
        rows = self.test.targets
        return self._replace(test=self.test._replace(targets=rows.where(np.zeros(len(rows), dtype=bool))))


def divided(
    data: Interactions, valid: Bool[np.ndarray, " n"], test: Bool[np.ndarray, " n"], *, ordered: bool = True, valid_known: bool = True
) -> Split:
    """These rows validate, those test and the rest trains. At test, the history holds the validation rows, too, if ``valid_known``.

    A user without a history cannot be asked for anything: such a user's held-out rows are no targets.
    """
    train = data.where(~valid & ~test)
    before_test = data.where(~test) if valid.any() and valid_known else train
    return Split(train, _asked(train, data.where(valid)), _asked(before_test, data.where(test)), ordered)


def _asked(history: Interactions, targets: Interactions) -> Heldout:
    known = (np.diff(history.offsets) > 0)[targets.user - 1]
    return Heldout(history, targets if known.all() else targets.where(known))


def last_rows(data: Interactions, n_test: int, n_valid: int, *, valid_users: int | None, seed: int) -> Split:
    """Each user's last ``n_test`` rows test and the ``n_valid`` before them validate; who has no row left then is trained on whole.

    With ``valid_users`` only that many users, drawn at random (all, where there are fewer), have validation rows.
    """
    length = np.diff(data.offsets)
    enough = length > n_test + n_valid
    validates = enough if valid_users is None else _drawn(enough, valid_users, seed)
    test, valid = np.zeros(len(data), dtype=bool), np.zeros(len(data), dtype=bool)
    for place in range(1, n_test + 1):  # from the end
        test[data.offsets[1:][enough] - place] = True
    for place in range(n_test + 1, n_test + n_valid + 1):
        valid[data.offsets[1:][validates] - place] = True
    return divided(data, valid, test)


def _drawn(eligible: Bool[np.ndarray, " U"], n: int, seed: int) -> Bool[np.ndarray, " U"]:
    """``n`` of the eligible users, each by a number that is a function of (seed, user)."""
    numbers = np.flatnonzero(eligible)
    noise = Draw(seed, 0, torch.from_numpy(numbers + 1)).uniform(1, stream=STREAM)[:, 0].numpy()
    drawn = np.zeros_like(eligible)
    drawn[numbers[np.argsort(noise, kind="stable")[:n]]] = True
    return drawn
