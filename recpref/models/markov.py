"""Markov: what followed the newest item in training, backed by popularity where little is known.

Source: the Markov chain and, for ``n_steps`` above 1, the sequential rules of Ludewig and Jannach, "Evaluation of
session-based recommendation algorithms" (UMUAI 2018): item i after item j, d steps later, counts ``1 / d``. The
back-off is Dirichlet smoothing (MacKay and Peto, 1995): ``p(i | j) = (c_ji + smoothing p_i) / (c_j + smoothing)``, where c are
these counts and p_i is the share of item i among all interactions. Divergence: the authors do not smooth.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recpref.data.interactions import Interactions
from recpref.layers.sparse_rows import SparseRows
from recpref.types import PAD, History

__all__ = ["Markov"]


class Markov(nn.Module):
    """The newest item decides; repeats in a history are transitions as any other. An unknown one, or none: popularity.

    ``smoothing`` is in transitions: an item followed by as many trusts its own counts and popularity alike.

    Raises: ValueError for n_steps < 1 or smoothing < 0.
    """

    popularity: Tensor
    backoff: Tensor

    def __init__(self, n_items: int, *, n_steps: int = 1, smoothing: float = 10.0):
        super().__init__()
        if n_steps < 1:
            raise ValueError(f"n_steps={n_steps} must be at least 1")
        if not smoothing >= 0:
            raise ValueError(f"smoothing={smoothing} must be at least 0")
        self.n_items, self.n_steps, self.smoothing = n_items, n_steps, smoothing
        self.transitions = SparseRows(n_items + 1)
        self.register_buffer("popularity", torch.zeros(n_items + 1))
        self.register_buffer("backoff", torch.ones(n_items + 1))

    def fit(self, train: Interactions) -> None:
        """Counts transitions; ``transitions + backoff x popularity`` are then the probabilities."""
        counts = _transitions(train, self.n_steps)
        total = counts.sum(1) + self.smoothing
        known = np.maximum(total, np.finfo(float).tiny)
        self.transitions.set(sp.csr_array(sp.diags_array(1 / known) @ counts))
        self.backoff.copy_(torch.from_numpy(np.where(total > 0, self.smoothing / known, 1)))
        self.popularity.copy_(torch.from_numpy(train.item_counts / max(len(train), 1)))

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """Probabilities. Shapes: [B, V + 1]; column 0 is -inf."""
        newest = history.items[:, -1:] if history.items.shape[1] else history.items.new_zeros(len(history.items), 1)
        scores = self.transitions.sums(newest) + self.backoff[newest] * self.popularity
        scores[:, PAD] = -torch.inf
        return scores

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.n_steps=1..5", "model.smoothing=0.3..100 log"]


def _transitions(train: Interactions, n_steps: int) -> sp.csr_array:
    """Weighted counts of j (row) before i (column). Shapes: [V + 1, V + 1]."""
    counts = sp.csr_array((train.n_items + 1, train.n_items + 1))
    for step in range(1, n_steps + 1):
        same = train.user[step:] == train.user[:-step]
        before, after = train.item[:-step][same], train.item[step:][same]
        counts = counts + sp.csr_array((np.full(len(after), 1 / step), (before, after)), shape=counts.shape)
    return counts
