"""Which items may be recommended: to anybody only some, or all but some; to each user only his own candidates."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from recpref.data.histories import history_of
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.retrieval.asked import ids_of
from recpref.types import Query


class Restriction(NamedTuple):
    """Item numbers: ``only`` these, and ``never`` those. ``own``: to each user only the items of his rows there. None says nothing."""

    only: Int[Tensor, " C"] | None = None
    never: Int[Tensor, " E"] | None = None
    own: Interactions | None = None

    @classmethod
    def of(cls, vocabulary: Vocabulary, items: Any = None, exclude_items: Any = None) -> Restriction:
        """From original ids. Unknown ones are counted by a warning and skipped.

        Raises: ValueError for ids of the other kind, for a table of ids, and where no item is left.
        """
        only = None if items is None else _numbers(vocabulary, items, "items")
        never = None if exclude_items is None else _numbers(vocabulary, exclude_items, "exclude_items")
        left = np.arange(1, len(vocabulary) + 1) if only is None else only
        left = left if never is None else np.setdiff1d(left, never)
        if not len(left):
            said = " and ".join(name for name, part in (("items", only), ("exclude_items", never)) if part is not None)
            raise ValueError(f"{said}: none of the {len(vocabulary):,} items that the model knows is left to be recommended")
        if only is not None:
            return cls(only=torch.from_numpy(left))
        return cls(never=None if never is None else torch.from_numpy(never))

    def served(self, histories: Interactions) -> Interactions:
        """The rows of users who may be recommended something. Those who have candidates and no rows are counted by a warning.

        Raises: ValueError where the users of both are ids of different kinds.
        """
        if self.own is None:
            return histories
        mine, theirs = self.own.users, histories.users
        if len(mine) and len(theirs) and mine.kind != theirs.kind:
            one, other = (users.ids[:1].tolist()[0] for users in (mine, theirs))
            raise ValueError(
                f"users of the candidates are {mine.kind} (such as {one!r}) and those of the histories {theirs.kind} (such as {other!r}); "
                "make them alike"
            )
        asked = np.isin(mine.numbers(theirs.ids, "user"), self.own.user)
        kept = histories.where(asked[histories.user - 1])
        if without := len(np.unique(self.own.user)) - len(np.unique(kept.user)):
            warnings.warn(f"{without} users have candidates and no history of items that the model knows; they get no rows", stacklevel=3)
        return kept

    def __call__(self, query: Query, users: np.ndarray) -> Query:
        """The same request, answered with nothing else. ``users``: the original id of each row."""
        rows = len(query.history.items)
        if self.own is not None:
            query = query._replace(candidates=history_of(self.own, self.own.users.numbers(users, "user")).items)
        if self.only is not None:
            query = query._replace(candidates=self.only.expand(rows, -1))
        if self.never is not None:
            query = query._replace(never=self.never)
        return query


def _numbers(vocabulary: Vocabulary, ids: Any, what: str) -> np.ndarray:
    ids = pd.unique(ids_of(ids, what))
    numbers = vocabulary.numbers(ids, what)
    if (unknown := numbers == 0).any():
        strange = ", ".join(map(repr, ids[unknown][:3].tolist()))
        warnings.warn(
            f"{unknown.sum()} of {len(ids)} ids of {what} are none that the model knows (such as {strange}) and were skipped", stacklevel=4
        )
    return np.unique(numbers[~unknown])
