"""eSASRec: SASRec's training with LiGR layers, and sampled softmax as its loss.

Source: Tikhonovich et al., "eSASRec: enhancing Transformer-based recommendations in a modular fashion" (RecSys 2025), and the
authors' configuration for ML-1M. Unlike SASRec it neither scales item vectors nor normalises the last layer's output, and its
feed-forward network is four times as wide as the model. Divergence: weights start from N(0, 0.02), not Xavier's normal.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recpref.layers.dropout import Dropout
from recpref.layers.initial import initialise
from recpref.layers.item_table import ItemTable
from recpref.layers.ligr import LiGRLayer
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import Positions, attention_mask, causal_at, positive
from recpref.types import History

__all__ = ["ESASRec"]


class ESASRec(nn.Module):
    """A causal stack of LiGR layers over the item table, which also scores. ``d_ff`` defaults to ``4 * d_model``.

    Raises: ValueError for sizes that do not fit each other.
    """

    causal = True

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        n_heads: int = 1,
        d_ff: int | None = None,
        max_len: int = 200,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
    ):
        super().__init__()
        positive(d_model=d_model, n_layers=n_layers, n_heads=n_heads, max_len=max_len, d_ff=1 if d_ff is None else d_ff)
        self.items = ItemTable(n_items, d_model)
        self.positions = Positions(max_len, d_model)
        self.input_dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            LiGRLayer(d_model=d_model, n_heads=n_heads, d_ff=d_ff or 4 * d_model, dropout=dropout, attention_dropout=attention_dropout)
            for _ in range(n_layers)
        )
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        x = self.input_dropout(self.positions(x))
        mask = attention_mask(history.items, causal=True)
        for layer in self.layers:
            x = layer(x, mask, causal=True)
        return x

    def encode_at(self, x: Float[Tensor, "B L D"], history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        """The rows of ``encode`` at these positions, row-major."""
        return causal_at(self.layers, self.input_dropout(self.positions(x)), history.items, where)

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The vector of the newest item. Users with an empty history get the state of padding."""
        return last_state(self, history)

    def reads(self, history: History) -> History:
        return shortened(history, self.positions.usable())

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        return self.items.score(h, items)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items.table()

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        return self.items.rows(items)

    @staticmethod
    def recipe(variant: Literal["default", "published"] = "default") -> list[str]:
        """``published``: Adam 1e-3 with beta2 .98, batch 128, no weight decay, a softmax over samples without correction (with uniform
        ones ``correction=all`` is that), as the authors' library trains it.

        Both sample their softmax: 256 uniform negatives a position. Ours adds rows that end anywhere, ties in changing
        order unless the file has a rule for it, and averaged weights, as SASRec's does.
        """
        loss = ["loss=sampled_softmax", "sampler=uniform"]
        published = [
            "optimizer.method=adam",
            "optimizer.weight_decay=0",
            "optimizer.beta2=0.98",
            "loss.correction=all",
            "loader.batch_size=128",
        ]
        ours = ["optimizer.average=0.99", "examples.crop=0.5", "loader.shuffle_ties=auto", "stopping.every=2"]
        return ["examples=next_item", *loss, *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=1..4",
            "model.dropout=0.1..0.5",
        ]
