"""FMLP-Rec: learnable filters in the frequency domain in the place of attention.

Source: Zhou et al., "Filter-enhanced MLP is all you need for sequential recommendation" (WWW 2022), section 3, and the authors'
code. A filter is a circular convolution as long as the window, so the arithmetic fixes the length: every history is brought to
``max_len`` inside ``encode``, older steps being zero vectors with their positions, as published; batches may be as short as they
like, and padding among them changes nothing. It mixes all steps with all, so nothing is said of the next item but at the end.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.frequencies import filtered
from recpref.layers.initial import initialise
from recpref.layers.item_table import ItemTable
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import LN_EPS, Positions, positive
from recpref.types import PAD, History

__all__ = ["FMLPRec"]


class FilterLayer(nn.Module):
    """``x = LN(x + Drop(irfft(W * rfft(x))))``, then ``x = LN(x + Drop(down(gelu(up(x)))))``.

    ``filter`` [max_len // 2 + 1, D, 2] holds the real and the imaginary parts of W.

    Shapes: [B, max_len, D] -> [B, max_len, D].
    """

    def __init__(self, *, d_model: int, d_ff: int, max_len: int, dropout: float):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(max_len // 2 + 1, d_model, 2) * 0.02)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.filter_norm, self.feed_forward_norm = nn.LayerNorm(d_model, eps=LN_EPS), nn.LayerNorm(d_model, eps=LN_EPS)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        x = self.filter_norm(x + self.dropout(filtered(x, self.filter)))
        return self.feed_forward_norm(x + self.dropout(self.down(F.gelu(self.up(x)))))


class FMLPRec(nn.Module):
    """``d_ff`` defaults to ``4 * d_model``. It looks ahead, so it learns from ``prefix`` examples, as the authors train it.

    Raises: ValueError for sizes below 1, and for a history longer than ``max_len``.
    """

    causal = False

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        d_ff: int | None = None,
        max_len: int = 50,
        dropout: float = 0.5,
    ):
        super().__init__()
        positive(d_model=d_model, n_layers=n_layers, max_len=max_len, d_ff=1 if d_ff is None else d_ff)
        self.max_len = max_len
        self.items = ItemTable(n_items, d_model)
        self.positions = Positions(max_len, d_model)
        self.input_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.input_dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            FilterLayer(d_model=d_model, d_ff=d_ff or 4 * d_model, max_len=max_len, dropout=dropout) for _ in range(n_layers)
        )
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        length = x.shape[1]
        if length > self.max_len:
            raise ValueError(f"a sequence of length {length} does not fit max_len={self.max_len}")
        x = F.pad(x * (history.items != PAD)[:, :, None], (0, 0, self.max_len - length, 0))
        x = self.input_dropout(self.input_norm(self.positions(x)))
        for layer in self.layers:
            x = layer(x)
        return x[:, -length:]

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The vector of the newest step. Users with an empty history get that of an empty window."""
        return last_state(self, history)

    def reads(self, history: History) -> History:
        return shortened(history, self.max_len)

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        return self.items.score(h, items)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items.table()

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        return self.items.rows(items)

    @staticmethod
    def recipe(variant: Literal["default", "published"] = "default") -> list[str]:
        """``published``: Adam 1e-3, batch 256, no weight decay, every prefix a row (with full cross-entropy).

        Ours takes a row every fifth of ``max_len`` (one prefix in ten at 50), another one each epoch, and averages the weights.
        """
        published = ["optimizer.method=adam", "optimizer.weight_decay=0", "loader.batch_size=256"]
        ours = ["optimizer.average=0.99", "examples.stride=0.2", "loader.batch_size=128", "model.dropout=0.2", "stopping.every=2"]
        return ["examples=prefix", "loss=cross_entropy", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=1..4",
            "model.dropout=0.1..0.6",
        ]
