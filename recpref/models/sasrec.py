"""SASRec: a causal Transformer that predicts the next item at every step.

Source: Kang and McAuley, "Self-attentive sequential recommendation" (ICDM 2018), section III; trained with full
cross-entropy as in Klenitskiy and Vasilev (RecSys 2023). Divergences from the authors' code, each on purpose: LayerNorm
feeds queries, keys and values alike, as the paper's equation has it (the code normalises queries only and adds the
normalised query back); positions count from the newest item.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recpref.layers.dropout import Dropout
from recpref.layers.initial import initialise
from recpref.layers.item_table import ItemTable
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import LN_EPS, Positions, TransformerLayer, attention_mask, causal_at, positive
from recpref.types import History

__all__ = ["SASRec"]


class SASRec(nn.Module):
    """The paper's pre-norm blocks. Item vectors are scaled by ``sqrt(d_model)`` on the way in and shared on the way out.

    ``d_ff`` defaults to ``d_model``, as in the paper.
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
        dropout: float = 0.2,
        attention_dropout: float = 0.2,
        norm: Literal["pre", "post"] = "pre",
    ):
        super().__init__()
        positive(d_model=d_model, n_layers=n_layers, n_heads=n_heads, max_len=max_len, d_ff=1 if d_ff is None else d_ff)
        self.scale = d_model**0.5
        self.items = ItemTable(n_items, d_model)
        self.positions = Positions(max_len, d_model)
        self.input_dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                d_model=d_model,
                n_heads=n_heads,
                d_ff=d_ff or d_model,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation="relu",
                norm=norm,
            )
            for _ in range(n_layers)
        )
        self.final_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        x = self.input_dropout(self.positions(x * self.scale))
        mask = attention_mask(history.items, causal=True)
        for layer in self.layers:
            x = layer(x, mask, causal=True)
        return self.final_norm(x)

    def encode_at(self, x: Float[Tensor, "B L D"], history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        """The rows of ``encode`` at these positions, row-major."""
        x = self.input_dropout(self.positions(x * self.scale))
        return self.final_norm(causal_at(self.layers, x, history.items, where))

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
        """``published``: Adam 1e-3, batch 128, no weight decay, as in the paper's section IV (with full cross-entropy); the authors' code
        also has ``optimizer.beta2=0.98``, of which the paper says nothing.

        Ours adds rows that end anywhere, ties in changing order unless the file has a rule for it, averaged weights, two heads and
        BERT's wider feed-forward, and has its dropout outside attention (chosen on ML-100K without its test items; see
        ``benchmarks/LOG.md``).
        """
        published = ["optimizer.method=adam", "optimizer.weight_decay=0", "loader.batch_size=128"]
        shape = ["model.n_heads=2", "model.d_ff=256", "model.dropout=0.3", "model.attention_dropout=0.0"]
        ours = ["optimizer.average=0.99", "examples.crop=0.5", "loader.shuffle_ties=auto", "stopping.every=2", *shape]
        return ["examples=next_item", "loss=cross_entropy", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=1..3",
            "model.dropout=0.1..0.5",
            "examples.crop=[0.0,0.5]",
        ]
