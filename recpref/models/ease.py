"""EASE: a linear autoencoder between items, in closed form.

Source: Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), the closed form: with ``P = (X'X + l2 I)^-1`` the
weights are ``B = I - P diag(1 / diag(P))``, which reconstruct X as ``X B`` with no item predicting itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions
from recpref.types import PAD, History

__all__ = ["EASE"]


class EASE(nn.Module):
    """An item's score is the sum of its weights from the items of the history, each counted once. No history: all alike.

    The matrix is dense: 4 V^2 bytes saved, and some 24 V^2 and V^3 multiplications while it is made (10,000 items: 0.4 GB,
    2.4 GB, a minute). ``l2`` is in interactions: an item with fewer has little say. The paper tunes it by data set
    (ML-20M: 500); the default was chosen on validation items of ML-100K.

    Raises: ValueError for l2 <= 0, and for more than ``max_items`` items.
    """

    weights: Tensor

    def __init__(self, n_items: int, *, l2: float = 100.0, max_items: int = 20_000):
        super().__init__()
        if not l2 > 0:
            raise ValueError(f"l2={l2} must be above 0")
        if n_items > max_items:
            need = f"{24 * n_items**2 / 1e9:.0f} GB for its dense matrix of {n_items:,} items"
            raise ValueError(f"model=ease needs about {need}; use model=itemknn or model=ials, or raise model.max_items={max_items}")
        self.n_items, self.l2 = n_items, l2
        self.register_buffer("weights", torch.zeros(n_items + 1, n_items + 1))

    def fit(self, train: Interactions) -> None:
        """The closed form, in double precision."""
        matrix = consumed(train)[:, 1:]
        gram = torch.from_numpy((matrix.T @ matrix).toarray())
        gram.diagonal().add_(self.l2)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = inverse / -inverse.diagonal()
        weights.fill_diagonal_(0)
        self.weights[1:, 1:] = weights

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """Shapes: [B, V + 1]; column 0 is -inf."""
        items = distinct(history.items)
        starts = torch.arange(len(items), device=items.device) * items.shape[1]
        scores = F.embedding_bag(items.flatten(), self.weights, starts, mode="sum", padding_idx=PAD)
        scores[:, PAD] = -torch.inf
        return scores

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.l2=10.0..3000.0 log"]
