"""Answers: what another toolkit ranked for the users of a split, as a recommender and as a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recpref.data.interactions import Interactions
from recpref.types import PAD, Query, Ranking


class Answers:
    """A recommender that knows the best items of some users of a split, and no others.

    ``items`` [U + 1, N] are numbers, best first, by user number; ``scores`` [U + 1, N] belong to them. Equal scores are in the
    order of the permutation that ``TopK(seed=0)`` uses.
    """

    def __init__(self, items: Int[np.ndarray, "U1 N"], scores: Float[np.ndarray, "U1 N"], data: Interactions):
        place = torch.randperm(data.n_items + 1, generator=torch.Generator().manual_seed(0)).argsort().numpy()
        order = np.lexsort((place[items], -scores), axis=1)
        self.items = torch.from_numpy(np.take_along_axis(items, order, 1).astype(np.int64))
        self.scores = torch.from_numpy(np.take_along_axis(scores, order, 1))
        self.data = data

    def recommend(self, query: Query, k: int) -> Ranking:
        """The k best of each user that are not excluded (and are candidates). Raises: ValueError for a user without answers."""
        user = query.history.user.cpu()
        items, scores = self.items[user], self.scores[user]
        if bool((lacking := (items == PAD).all(1)).any()):
            raise ValueError(f"no answer was kept for user number {int(user[lacking][0])}; there are answers for users of the split only")
        left = items != PAD
        if query.exclude is not None:
            left &= ~_among(items, query.exclude.cpu(), self.data.n_items)
        if query.candidates is not None:
            left &= _among(items, query.candidates.cpu(), self.data.n_items)
        first = (~left).long().argsort(dim=1, stable=True)[:, :k]
        kept = left.gather(1, first)
        fill = (0, k - first.shape[1])
        best = items.gather(1, first).masked_fill(~kept, PAD), scores.gather(1, first).masked_fill(~kept, -torch.inf)
        return Ranking(torch.nn.functional.pad(best[0], fill), torch.nn.functional.pad(best[1], fill, value=-torch.inf))

    @property
    def frame(self) -> pd.DataFrame:
        """All answers with original ids, ``user, item, score``: what ``recpref.evaluate`` takes."""
        user, place = (self.items != PAD).nonzero(as_tuple=True)
        ids = self.data.users.originals(user.numpy()), self.data.items.originals(self.items[user, place].numpy())
        return pd.DataFrame({"user": ids[0], "item": ids[1], "score": self.scores[user, place].numpy()})


def _among(items: Int[Tensor, "B N"], some: Int[Tensor, "B S"], n_items: int) -> Bool[Tensor, "B N"]:
    """Which of ``items`` stand among ``some`` of the same row."""
    return torch.zeros(len(items), n_items + 1, dtype=torch.bool).scatter_(1, some, True).gather(1, items)
