"""iALS: matrix factorisation of who consumed what, by alternating exact least squares.

Source: Rendle, Krichene, Zhang and Koren, "Revisiting the performance of iALS on item recommendation benchmarks" (RecSys
2022), the objective with frequency-scaled regularisation. With users' vectors w, items' vectors h and the observed pairs S::

    sum over S of (w.h - 1)^2  +  unobserved_weight  sum over all pairs of (w.h)^2
      + l2 ( sum over users of #(u) |w|^2 + sum over items of #(i) |h|^2 )
    #(u) = (|items of u| + unobserved_weight V) ** l2_exponent, and likewise #(i) with users

Divergence: no users' vectors are kept. A user, known or new, is folded in: one solve of the history against the items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions
from recpref.types import PAD, History

__all__ = ["IALS"]
CELLS = 1 << 16  # vectors of d_model numbers held at a time while systems are set up


class Weights(NamedTuple):
    """Of the objective's terms."""

    unobserved: float
    l2: float
    exponent: float


class IALS(nn.Module):
    """A history's items count once each. An empty history has a state of zeros: all items alike.

    ``d_model``: the paper uses 256 to 2048 on data hundreds of times larger than ML-100K, on whose validation items d_model,
    l2 and unobserved_weight were chosen.

    Raises: ValueError for sizes below 1 or weights that are not above 0.
    """

    items: Tensor
    gram: Tensor
    bias: Tensor

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 128,
        n_epochs: int = 16,
        l2: float = 0.003,
        l2_exponent: float = 1.0,
        unobserved_weight: float = 1.0,
        init_std: float = 0.1,
    ):
        super().__init__()
        for name, value in {"d_model": d_model, "n_epochs": n_epochs}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        for name, weight in {"l2": l2, "unobserved_weight": unobserved_weight, "init_std": init_std}.items():
            if not weight > 0:
                raise ValueError(f"{name}={weight} must be above 0")
        self.n_epochs, self.init_std = n_epochs, init_std
        self.weights = Weights(unobserved_weight, l2, l2_exponent)
        self.register_buffer("items", torch.zeros(n_items + 1, d_model))
        self.register_buffer("gram", torch.zeros(d_model, d_model))
        self.register_buffer("bias", torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf), persistent=False)

    def fit(self, train: Interactions) -> None:
        """Alternates between all users and all items, ``n_epochs`` times; vectors begin as N(0, init_std^2 / d_model)."""
        by_user = consumed(train)
        rows, columns = _rows(by_user), _rows(by_user.T.tocsr())
        self.items.normal_(std=self.init_std / self.items.shape[1] ** 0.5)
        self.items[PAD] = 0
        for _ in range(self.n_epochs):
            users = solved_all(rows, self.items, self.weights)
            self.items.copy_(solved_all(columns, users, self.weights))
        self.gram.copy_(self.items.T @ self.items)

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The users' vectors that the objective wants for these histories, given the items."""
        return solved(distinct(history.items), self.items, self.gram, self.weights)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items, self.bias

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.d_model=[32,64,128,256]", "model.l2=3e-4..3e-2 log", "model.unobserved_weight=0.03..1 log", "model.n_epochs=8..32"]


def solved(of: Int[Tensor, "B L"], other: Float[Tensor, "N1 D"], gram: Float[Tensor, "D D"], weights: Weights) -> Float[Tensor, "B D"]:
    """The vectors that minimise the objective for rows that consumed ``of``, PAD-padded, without repeats.

    ``other`` are the vectors of the other side, zeros for PAD, and ``gram`` is their ``other' other``.
    """
    n_others, width = len(other) - 1, other.shape[1]
    there = other[of]
    penalty = weights.l2 * ((of != PAD).sum(1) + weights.unobserved * n_others).to(other.dtype) ** weights.exponent
    system = torch.baddbmm(weights.unobserved * gram, there.transpose(1, 2), there)
    system += penalty[:, None, None] * torch.eye(width, dtype=other.dtype, device=other.device)
    return torch.cholesky_solve(there.sum(1)[:, :, None], torch.linalg.cholesky(system))[:, :, 0]


def solved_all(rows: list[np.ndarray], other: Float[Tensor, "N1 D"], weights: Weights) -> Float[Tensor, "R1 D"]:
    """``solved`` for every row of a matrix, in blocks of rows of like length; rows without entries get zeros."""
    length = np.array([len(row) for row in rows])
    vectors, gram = torch.zeros(len(rows), other.shape[1], dtype=other.dtype), other.T @ other
    waiting = np.argsort(length, kind="stable")
    waiting = waiting[length[waiting] > 0]
    while len(waiting):
        n = max(1, CELLS // int(length[waiting[-1]] + other.shape[1]))  # the longest rows that are left decide
        block, waiting = waiting[-n:], waiting[:-n]
        padded = np.zeros((len(block), int(length[block[-1]])), dtype=np.int64)
        padded[np.arange(padded.shape[1]) < length[block, None]] = np.concatenate([rows[row] for row in block])
        vectors[torch.from_numpy(block)] = solved(torch.from_numpy(padded), other, gram, weights)
    return vectors


def _rows(matrix: object) -> list[np.ndarray]:
    """The columns of the entries of each row."""
    return np.split(matrix.indices.astype(np.int64), matrix.indptr[1:-1])  # type: ignore[attr-defined]
