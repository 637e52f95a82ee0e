"""BERT4Rec: a bidirectional Transformer over the history, trained to fill in masked items (Cloze).

Source: Sun et al., "BERT4Rec: sequential recommendation with bidirectional encoder representations from Transformer"
(CIKM 2019), sections 3.3 to 3.7, and the authors' code. Divergences from that code, each on purpose:

* sequences are left-padded and positions count from the newest item, so that padding changes nothing;
* the softmax covers items only: PAD and [MASK] can neither be predicted nor recommended;
* the token-type table, which adds one constant vector, is left out.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.initial import initialise
from recpref.layers.reading import last_state, newest
from recpref.layers.transformer import LN_EPS, Positions, TransformerLayer, attention_mask, positive
from recpref.types import PAD, History

__all__ = ["BERT4Rec"]


class BERT4Rec(nn.Module):
    """The architecture of the paper; ``norm="pre"`` is the modern alternative.

    ``[MASK]`` is the private id ``n_items + 1``. ``d_ff`` defaults to ``4 * d_model``.

    Raises: ValueError for sizes that do not fit each other.
    """

    causal = False

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        n_heads: int = 2,
        d_ff: int | None = None,
        max_len: int = 200,
        dropout: float = 0.2,
        attention_dropout: float = 0.2,
        norm: Literal["post", "pre"] = "post",
    ):
        super().__init__()
        positive(d_model=d_model, n_layers=n_layers, n_heads=n_heads, max_len=max_len, d_ff=1 if d_ff is None else d_ff)
        self.n_items, self.mask_id = n_items, n_items + 1
        self.items = nn.Embedding(n_items + 2, d_model)
        self.positions = Positions(max_len, d_model)
        self.input_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.input_dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                d_model=d_model,
                n_heads=n_heads,
                d_ff=d_ff or 4 * d_model,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation="gelu",
                norm=norm,
            )
            for _ in range(n_layers)
        )
        self.final_norm = nn.LayerNorm(d_model, eps=LN_EPS) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(d_model, d_model)
        self.head_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.bias = nn.Parameter(torch.zeros(n_items + 2))
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        x, mask = self.read(x, history)
        return self.transformed(self.layers[-1](x, mask))

    def encode_at(self, x: Float[Tensor, "B L D"], history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        """The rows of ``encode`` at these positions, row-major: at one in five, a third less work."""
        x, mask = self.read(x, history)
        last = self.layers[-1]
        assert isinstance(last, TransformerLayer)
        return self.transformed(last.at(x, mask, where))

    def read(self, x: Float[Tensor, "B L D"], history: History) -> tuple[Float[Tensor, "B L D"], Bool[Tensor, "B 1 1 L"] | None]:
        """All layers but the last, and the mask of its attention."""
        x = self.input_dropout(self.input_norm(self.positions(x)))
        mask = attention_mask(history.items, causal=False)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        return x, mask

    def transformed(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """The transform that stands before the tied table."""
        return self.head_norm(F.gelu(self.head(self.final_norm(x))))

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The vector of a [MASK] appended to the history. An empty history is a lone [MASK]."""
        return last_state(self, history)

    def reads(self, history: History) -> History:
        items = newest(history.items, self.positions.usable() - 1)
        return history._replace(items=F.pad(items, (0, 1), value=self.mask_id))

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        vectors, bias = self.table()
        if items is None:
            return torch.addmm(bias, h, vectors.T)
        return torch.einsum("md,mcd->mc", h, vectors[items].expand(len(h), -1, -1)) + bias[items]

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        bias = self.bias[: self.n_items + 1]
        return self.items.weight[: self.n_items + 1], torch.where(torch.arange(len(bias), device=bias.device) == PAD, -torch.inf, bias)

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        return self.items(items), self.bias[items].masked_fill(items == PAD, -torch.inf)

    @staticmethod
    def recipe(variant: Literal["default", "published"] = "default") -> list[str]:
        """``published``: the authors' scripts for ML-1M (batch 256, lr 1e-4, 100 warm-up steps, linear decay, no crops).

        Ours: rows that end anywhere, ties in changing order unless the file has a rule for it, a higher rate, averaged weights,
        norms before the branches (after them, a seed may stay on its first plateau for 70 epochs), no dropout inside attention.
        See ``benchmarks/LOG.md`` for how it was chosen.
        """
        published = ["optimizer.lr=1e-4", "optimizer.warmup_steps=100", "optimizer.decay=linear", "loader.batch_size=256"]
        course = ["optimizer.lr=2e-3", "optimizer.warmup_steps=300", "optimizer.average=0.998", "stopping.patience=10"]
        rows = ["examples.crop=0.5", "loader.shuffle_ties=auto"]
        ours = [*course, *rows, "model.attention_dropout=0.0", "model.norm=pre"]
        return ["examples=cloze", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=1..3",
            "model.dropout=0.1..0.5",
            "examples.mask_ratio=0.1..0.6",
            "examples.last_ratio=0.05..0.5",
        ]
