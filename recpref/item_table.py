"""The item table: the vectors that go in at the bottom of a model and score at its top.

Shared by the models that tie the two, which is all that need no more of their output than an inner product.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.types import PAD

__all__ = ["ItemTable"]


class ItemTable(nn.Embedding):
    """Rows ``0..V`` of width D; row PAD can be read and is never recommended. ``bias`` learns one number an item.

    Shapes: items [B, L] -> [B, L, D].
    """

    never: Tensor

    def __init__(self, n_items: int, d_model: int, *, bias: bool = False):
        super().__init__(n_items + 1, d_model)
        self.bias = nn.Parameter(torch.zeros(n_items + 1)) if bias else None
        self.register_buffer("never", torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf), persistent=False)

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        """The vectors and biases that ``table`` has for these items. Gradients are of these rows alone where ``sparse`` is set."""
        bias = self.never[items]
        return self(items), bias if self.bias is None else bias + self.bias[items]

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        """Inner products with ``items``, or with the whole table (C = V + 1, column 0 is -inf)."""
        vectors, bias = self.table()
        if items is None:
            return torch.addmm(bias, h, vectors.T)
        return torch.einsum("md,mcd->mc", h, vectors[items].expand(len(h), -1, -1)) + bias[items]

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """The vectors, and the biases with -inf for PAD."""
        return self.weight, self.never if self.bias is None else self.never + self.bias
