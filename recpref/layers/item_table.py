"""The item table: the vectors that go in at the bottom of a model and score at its top.

Shared by the models that tie the two, which is all that need no more of their output than an inner product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.types import PAD

__all__ = ["ItemTable"]

STD = 0.02  # the spread of vectors at the start, as in ``layers.initial``


class Table(nn.Module):
    """What every item table is: ``forward`` makes the vectors of items, from which their scores follow. ``num_embeddings``: V + 1.

    Row PAD can be read and is never recommended. ``bias`` learns one number an item.
    """

    never: Tensor
    bias: nn.Parameter | None
    num_embeddings: int

    def keep_biases(self, n_items: int, bias: bool) -> None:
        """What comes to the scores: zeros to learn from where the model has biases, and -inf for PAD."""
        self.bias = nn.Parameter(torch.zeros(n_items + 1)) if bias else None
        self.register_buffer("never", torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf), persistent=False)

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        """The vectors and biases that ``table`` has for these items. Gradients are of these rows alone where ``sparse`` is set."""
        bias = self.never[items]
        return self(items), bias if self.bias is None else bias + self.bias[items]

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        """Inner products with ``items``, or with the whole table (C = V + 1, column 0 is -inf)."""
        if items is None:
            vectors, bias = self.table()
            return torch.addmm(bias, h, vectors.T)
        vectors, bias = self.rows(items)
        return torch.einsum("md,mcd->mc", h, vectors.expand(len(h), -1, -1)) + bias

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """All vectors, made when they are asked for, and the biases with -inf for PAD."""
        return self.rows(torch.arange(self.num_embeddings, device=self.never.device))


class ItemTable(Table, nn.Embedding):
    """Rows ``0..V`` of width D.

    Shapes: items [B, L] -> [B, L, D].
    """

    def __init__(self, n_items: int, d_model: int, *, bias: bool = False):
        super().__init__(n_items + 1, d_model)
        self.keep_biases(n_items, bias)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """The vectors, and the biases with -inf for PAD."""
        return self.weight, self.never if self.bias is None else self.never + self.bias


def with_tables(model: nn.Module, made: Callable[[ItemTable], nn.Module]) -> bool:
    """Replaces the table ``items`` of a model, or of the model it wraps, by what is made for it, which learns only if the old one did.
    Returns whether there was one."""
    found = [part for part in readers(model) if isinstance(part.items, ItemTable)]
    for part in found:
        learns = part.items.weight.requires_grad
        part.items = made(part.items)
        if not learns:
            part.items.requires_grad_(False)
    return bool(found)


def readers(module: nn.Module) -> list[Any]:
    """The parts that read whole tables of items, ``items``, row by row: models that offer ``rows``."""
    return [part for part in module.modules() if hasattr(part, "rows") and isinstance(getattr(part, "items", None), nn.Embedding)]
