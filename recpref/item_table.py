"""The item table: the vectors that go in at the bottom of a model and score at its top.

Shared by the models that tie the two, which is all that need no more of their output than an inner product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.types import PAD

__all__ = ["ItemTable"]

STD = 0.02  # the spread of vectors at the start, as in ``layers.initialise``


class ItemTable(nn.Embedding):
    """Rows ``0..V`` of width D; row PAD can be read and is never recommended. ``bias`` learns one number an item.

    Shapes: items [B, L] -> [B, L, D].
    """

    never: Tensor

    def __init__(self, n_items: int, d_model: int, *, bias: bool = False):
        super().__init__(n_items + 1, d_model)
        self.bias = nn.Parameter(torch.zeros(n_items + 1)) if bias else None
        self.register_buffer("never", never(n_items), persistent=False)

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        """The vectors and biases that ``table`` has for these items. Gradients are of these rows alone where ``sparse`` is set."""
        bias = self.never[items]
        return self(items), bias if self.bias is None else bias + self.bias[items]

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        """Inner products with ``items``, or with the whole table (C = V + 1, column 0 is -inf)."""
        return scores(self, h, items)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """The vectors, and the biases with -inf for PAD."""
        return self.weight, self.never if self.bias is None else self.never + self.bias


@runtime_checkable
class Table(Protocol):
    """What reads items at the bottom of a model and scores them at its top. ``num_embeddings``: V + 1."""

    num_embeddings: int

    def rows(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors and biases of some items."""
        ...

    def table(self) -> tuple[Tensor, Tensor]:
        """Those of all."""
        ...


def scores(table: Table, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None) -> Float[Tensor, "M C"]:
    """Inner products with ``items``, or with the whole table."""
    if items is None:
        vectors, bias = table.table()
        return torch.addmm(bias, h, vectors.T)
    vectors, bias = table.rows(items)
    return torch.einsum("md,mcd->mc", h, vectors.expand(len(h), -1, -1)) + bias


def never(n_items: int) -> Float[Tensor, " V1"]:
    """What keeps padding from being recommended: -inf there, 0 elsewhere."""
    return torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf)


def with_tables(model: nn.Module, made: Callable[[ItemTable], nn.Module]) -> bool:
    """Replaces the table ``items`` of a model, or of the model it wraps, by what is made for it. Returns whether there was one."""
    found = [part for part in model.modules() if hasattr(part, "rows") and isinstance(getattr(part, "items", None), ItemTable)]
    for part in found:
        part.items = made(part.items)  # type: ignore[arg-type]  # it is one
    return bool(found)
