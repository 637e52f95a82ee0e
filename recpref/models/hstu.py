"""HSTU: causal attention without a softmax, biased by distance and by elapsed time, and gated by the querying item.

Source: Zhai et al., "Actions speak louder than words: trillion-parameter sequential transducers for generative recommendations"
(ICML 2024), section 3.2, equations 1 to 3, and the authors' code for section 4.1.1. Divergences, each on purpose:

* elapsed time counts from a step's own time. The code counts from that of the step after it, which is the item to be predicted:
  this tells a model during training when the user will act next, and nobody knows that when recommending;
* scores are inner products behind a LayerNorm (the code: cosines divided by a temperature of 0.05, with sampled softmax);
* the sum over keys is divided by their number, not by the longest length there is. The norm after it takes either out again,
  but for its epsilon, which is 1e-12 here and 1e-6 there;
* biases start at zero, so that a distance or a time which training never had adds nothing; positions count from the newest item.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.initial import initialise
from recpref.layers.item_table import ItemTable
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import LN_EPS, Positions, attention_mask, positive
from recpref.types import History

__all__ = ["HSTU"]

N_BUCKETS = 128  # of elapsed times, by their logarithm: 0 and 1 s, 2 s, ... some 60 years at 69
BUCKET = 0.301  # in natural logarithms, as in the code


def _taken(table: Float[Tensor, " N"], index: Int[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """``table[index]``. Many go to few places on the way back, where an index takes a hundred times as long as this."""
    return table.gather(0, index.reshape(-1)).view(index.shape)


class TransductionLayer(nn.Module):
    """``x + W2 Drop(LN(silu(Q K' + bias) V / n) * U)``, where ``U, V, Q, K = silu(W1 LN(x))``. The norms have no weights.

    Shapes: [B, L, D] -> [B, L, D].
    """

    def __init__(self, *, d_model: int, n_heads: int, max_len: int, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.input = nn.Linear(d_model, 4 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model)
        self.by_distance = nn.Parameter(torch.zeros(max_len))
        self.by_time = nn.Parameter(torch.zeros(N_BUCKETS + 1))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        mask: Float[Tensor, "#B 1 L L"],
        distance: Int[Tensor, "L L"],
        bucket: Int[Tensor, "B L L"] | None,
    ) -> Float[Tensor, "B L D"]:
        """``mask`` is 1 / n where a step (row) reads another (column), and 0 elsewhere."""
        batch, length, width = x.shape
        mixed = F.silu(self.input(F.layer_norm(x, (width,), eps=LN_EPS)))
        gate, *parts = mixed.chunk(4, dim=2)
        value, query, key = (part.view(batch, length, self.n_heads, -1).transpose(1, 2) for part in parts)
        bias = _taken(self.by_distance, distance)[None]
        if bucket is not None:
            bias = bias + _taken(self.by_time, bucket)
        weights = F.silu(query @ key.transpose(2, 3) + bias[:, None]) * mask
        read = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        return x + self.output(self.dropout(F.layer_norm(read, (width,), eps=LN_EPS) * gate))


class HSTU(nn.Module):
    """It wants the times of the histories (``needs_time``), and does without them where the data has no clock.

    ``clocked`` remembers whether training had times: a model that learned from them is not asked without.

    Raises: ValueError for sizes that do not fit each other, or for a history without times after training with them.
    """

    causal = True
    needs_time = True
    clocked: Tensor

    def __init__(self, n_items: int, *, d_model: int = 50, n_layers: int = 2, n_heads: int = 1, max_len: int = 200, dropout: float = 0.2):
        super().__init__()
        positive(d_model=d_model, n_layers=n_layers, n_heads=n_heads, max_len=max_len)
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide d_model={d_model}")
        self.scale = d_model**0.5
        self.items = ItemTable(n_items, d_model)
        self.positions = Positions(max_len, d_model)
        self.input_dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            TransductionLayer(d_model=d_model, n_heads=n_heads, max_len=max_len, dropout=dropout) for _ in range(n_layers)
        )
        self.final_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.register_buffer("clocked", torch.zeros((), dtype=torch.bool))
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        x = self.input_dropout(self.positions(x * self.scale))
        reads = attention_mask(history.items, causal=True)
        assert reads is not None  # a causal mask is never trivial
        mask = (reads / reads.sum(3, keepdim=True)).to(x.dtype)
        place = torch.arange(x.shape[1], device=x.device)
        distance, bucket = (place[:, None] - place).clamp(min=0), self.buckets(history.time)
        for layer in self.layers:
            x = layer(x, mask, distance, bucket)
        return self.final_norm(x)

    def buckets(self, time: Int[Tensor, "B L"] | None) -> Int[Tensor, "B L L"] | None:
        """The bucket of the seconds between each two steps of a row."""
        if time is None:
            if not self.training and self.clocked:
                raise ValueError(
                    "this HSTU learned from times, and the histories it is asked about have none; add their dates or epoch seconds"
                )
            return None
        if self.training:
            self.clocked.fill_(True)
        elapsed = (time[:, :, None] - time[:, None, :]).abs_().float().clamp_(min=1)
        return elapsed.log_().div_(BUCKET).long().clamp_(max=N_BUCKETS)

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
        """``published``: batch 128, no weight decay, as the authors' configuration for ML-1M (theirs samples 128 negatives).

        Ours adds rows that end anywhere and averaged weights, as SASRec's does.
        """
        published = ["optimizer.weight_decay=0", "optimizer.beta2=0.98", "loader.batch_size=128"]
        ours = ["optimizer.average=0.99", "examples.crop=0.5", "stopping.every=2"]
        return ["examples=next_item", "loss=cross_entropy", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=2..4",
            "model.dropout=0.1..0.5",
        ]
