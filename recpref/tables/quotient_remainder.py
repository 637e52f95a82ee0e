"""Quotient and remainder: an item's vector is made of two rows, of small tables, that together no other item has.

Source: Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation systems" (KDD 2020),
section 3 (the quotient-remainder trick) and its three operations. Divergence: start values such that vectors have the spread that
the models' whole tables have.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.layers.initial import truncated_normal
from recpref.layers.item_table import STD, Table

__all__ = ["QuotientRemainder"]


class QuotientRemainder(Table):
    """Item i is made of row ``i % n_rows`` of one table and row ``i // n_rows`` of the other, ``multiply``-ed, ``add``-ed, or each half of
    the vector (``concatenate``). About ``2 sqrt(V)`` rows where ``n_rows`` is not given. With V + 1 rows and ``add``, it is a whole table
    and one vector more that all items share.

    Raises: ValueError for fewer rows than 1 or more than V + 1, or an odd width that is to be halved.
    """

    def __init__(
        self,
        n_items: int,
        d_model: int,
        bias: bool,
        *,
        n_rows: int | None = None,
        operation: Literal["multiply", "add", "concatenate"] = "multiply",
    ):
        super().__init__()
        n_rows = math.isqrt(n_items) + 1 if n_rows is None else n_rows
        if not 1 <= n_rows <= n_items + 1:
            raise ValueError(f"table.n_rows={n_rows} must lie between 1 and {n_items + 1}, the number of items and padding")
        if operation == "concatenate" and d_model % 2:
            raise ValueError(f"table.operation=concatenate halves the vectors, and d_model={d_model} is odd")
        self.num_embeddings, self.n_rows, self.operation = n_items + 1, n_rows, operation
        width = d_model // 2 if operation == "concatenate" else d_model
        self.remainder, self.quotient = nn.Embedding(n_rows, width), nn.Embedding(n_items // n_rows + 1, width)
        spreads = {"multiply": (STD, 1.0), "add": (STD / math.sqrt(2), STD / math.sqrt(2)), "concatenate": (STD, STD)}
        for part, std in zip((self.remainder, self.quotient), spreads[operation], strict=True):
            truncated_normal(part.weight, std)
        self.keep_biases(n_items, bias)

    def forward(self, items: Int[Tensor, "*S"]) -> Float[Tensor, "*S D"]:
        """Shapes: [..] -> [.., D]."""
        one, other = self.remainder(items % self.n_rows), self.quotient(items // self.n_rows)
        if self.operation == "concatenate":
            return torch.cat([one, other], -1)
        return one * other if self.operation == "multiply" else one + other
