"""ItemKNN: an item is recommended for its similarity to the items of the history.

Source: Sarwar, Karypis, Konstan and Riedl (WWW 2001), with the shrunk cosine of Ferrari Dacrema, Cremonesi and Jannach
(RecSys 2019): ``s_ij = |U_i and U_j| / (sqrt(|U_i| |U_j|) + shrink)``, where ``U_i`` are the users of item i. An item keeps
its k most similar ones, and its score is the sum of its similarities to those that are in the history.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions
from recpref.layers.sparse_rows import SparseRows
from recpref.types import PAD, History

__all__ = ["ItemKNN"]
BLOCK = 512  # items whose similarities to all others are held at a time


class ItemKNN(nn.Module):
    """Items of the history count once each, whatever their order. No history, or none with neighbours: all alike.

    Memory: at most 8 bytes times V times ``n_neighbours``. Raises: ValueError for n_neighbours < 1 or shrink < 0.
    """

    def __init__(self, n_items: int, *, n_neighbours: int = 200, shrink: float = 30.0):
        super().__init__()
        if n_neighbours < 1:
            raise ValueError(f"n_neighbours={n_neighbours} must be at least 1")
        if not shrink >= 0:
            raise ValueError(f"shrink={shrink} must be at least 0")
        self.n_items, self.n_neighbours, self.shrink = n_items, n_neighbours, shrink
        self.similarity = SparseRows(n_items + 1)

    def fit(self, train: Interactions) -> None:
        """The neighbours of every item. Equal similarities at the last place are cut arbitrarily, but always alike."""
        by_user = consumed(train)
        by_item = by_user.T.tocsr()
        length = np.sqrt(by_item.sum(1))
        blocks = [self._nearest(by_item[i : i + BLOCK] @ by_user, length, i) for i in range(0, self.n_items + 1, BLOCK)]
        self.similarity.set(sp.vstack(blocks).T.tocsr())  # rows are now items of the history, columns those that they speak for

    def _nearest(self, together: sp.csr_array, length: Float[np.ndarray, " V1"], first: int) -> sp.csr_array:
        """The similarities of a block of items, from ``first`` on, to their neighbours. Shapes: [block, V + 1], both ways."""
        alike = together.toarray()
        rows = np.arange(len(alike))
        alike /= np.maximum(length[first + rows, None] * length + self.shrink, np.finfo(float).tiny)
        alike[rows, first + rows] = 0
        k = min(self.n_neighbours, alike.shape[1])
        best = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        row = np.repeat(rows, k)
        kept = sp.csr_array((alike[row, best.ravel()], (row, best.ravel())), shape=alike.shape)
        kept.eliminate_zeros()
        return kept

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """Shapes: [B, V + 1]; column 0 is -inf."""
        scores = self.similarity.sums(distinct(history.items))
        scores[:, PAD] = -torch.inf
        return scores

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.n_neighbours=20..500 log", "model.shrink=1.0..300.0 log"]
