"""End-aligned positions, attention masks, and the Transformer layer.

Source: Vaswani et al., "Attention is all you need" (2017); Devlin et al., BERT (2019) for the post-norm form and GELU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.reading import places
from recpref.types import PAD

LN_EPS = 1e-12  # BERT's
ROWS = 128  # queries at a time under a causal mask with dropout: at 200 keys a quarter of the work is not done


def positive(**sizes: int) -> None:
    """Raises: ValueError for a size below 1, by its name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size} must be at least 1")


class Positions(nn.Module):
    """Learned positions that count from the newest item, and the memory of how far back training has reached.

    A position that no training sequence had keeps its random initial vector; attending to it at inference adds noise.
    ``reach`` is the longest sequence seen in training, and ``usable`` is what inference may use.
    """

    reach: Tensor

    def __init__(self, max_len: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        self.register_buffer("reach", torch.zeros((), dtype=torch.long))

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Adds the vector of position ``L - 1 - l`` to step ``l``. Raises ValueError past ``max_len``."""
        length, limit = x.shape[1], self.weight.shape[0]
        if length > limit:
            raise ValueError(f"a sequence of length {length} does not fit max_len={limit}")
        if self.training:
            self.reach.clamp_(min=length)
        return x + self.weight[:length].flip(0)

    def usable(self) -> int:
        """The longest sequence all of whose positions were trained (``max_len`` for a model never trained)."""
        return int(self.reach) or self.weight.shape[0]


def attention_mask(items: Int[Tensor, "B L"], *, causal: bool) -> Bool[Tensor, "#B 1 #L L"] | None:
    """True where query (row) may look at key (column): never at padding, never ahead if ``causal``.

    Every position may look at itself, so that a padded query has a softmax to take; nobody looks at its result.
    ``None`` where everything is allowed, which is the fast path of attention.
    """
    real = items != PAD
    length = items.shape[1]
    if not causal:
        return None if bool(real.all()) else real[:, None, None, :]
    allowed = torch.ones(length, length, dtype=torch.bool, device=items.device).tril()
    if bool(real.all()):
        return allowed[None, None]
    return (allowed & real[:, None, :] | torch.eye(length, dtype=torch.bool, device=items.device))[:, None]


def causal_at(
    layers: nn.ModuleList, x: Float[Tensor, "B L D"], items: Int[Tensor, "B L"], where: Bool[Tensor, "B L"]
) -> Float[Tensor, "M D"]:
    """What causal layers (``TransformerLayer``) make of ``x`` at these positions, row-major. The last one computes nothing else where they
    are few: at the newest alone, half of the work of two layers."""
    mask = attention_mask(items, causal=True)
    few = int(where.sum()) * 2 <= where.numel()  # else gathering costs more than it spares
    for layer in layers[:-1] if few else layers:
        x = layer(x, mask, causal=True)
    if not few:
        return x[where]
    last = layers[-1]
    assert isinstance(last, TransformerLayer)
    return last.at(x, mask, where)


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each in a residual branch.

    Post-norm (BERT):  ``x = LN(x + Drop(f(x)))``;  pre-norm:  ``x = x + Drop(f(LN(x)))``.

    Shapes: [B, L, D] -> [B, L, D].
    Raises: ValueError where ``n_heads`` does not divide ``d_model``.
    """

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float,
        attention_dropout: float,
        activation: Literal["gelu", "relu"],
        norm: Literal["pre", "post"],
    ):
        super().__init__()
        positive(d_model=d_model, n_heads=n_heads, d_ff=d_ff)
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide d_model={d_model}")
        self.n_heads, self.pre_norm = n_heads, norm == "pre"
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.attention_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.feed_forward_norm = nn.LayerNorm(d_model, eps=LN_EPS)
        self.dropout, self.attention_dropout = Dropout(dropout), Dropout(attention_dropout)
        activations: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
        self.activation = activations[activation]

    def forward(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, *, causal: bool = False) -> Float[Tensor, "B L D"]:
        """``causal`` says that the mask lets nobody look ahead, which spares work."""
        if self.pre_norm:
            x = x + self.dropout(self.attend(self.attention_norm(x), mask, causal=causal))
            return x + self.dropout(self.transform(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attend(x, mask, causal=causal)))
        return self.feed_forward_norm(x + self.dropout(self.transform(x)))

    def at(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        """The rows of ``forward`` at these positions, row-major. Elsewhere nothing but keys and values is computed."""
        x, mixed = self.attended_at(x, mask, where)
        if self.pre_norm:
            x = x + self.dropout(mixed)
            return x + self.dropout(self.transform(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(mixed))
        return self.feed_forward_norm(x + self.dropout(self.transform(x)))

    def attended_at(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, where: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "M D"], Float[Tensor, "M D"]]:
        """The rows of ``x`` at these positions, and what attention reads there."""
        place, asked = places(where)
        if mask is not None and mask.shape[2] > 1:
            mask = mask.expand(len(x), -1, -1, -1).gather(2, place[:, None, :, None].expand(-1, -1, -1, mask.shape[3]))
        here = place[:, :, None].expand(-1, -1, x.shape[2])
        read = self.attention_norm(x) if self.pre_norm else x
        return x.gather(1, here)[asked], self.attend_from(read.gather(1, here), read, mask)[asked]

    def attend(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, *, causal: bool = False) -> Float[Tensor, "B L D"]:
        query, key, value = self.query_key_value(x).chunk(3, dim=2)
        return self.mix(query, key, value, mask, causal=causal)

    def attend_from(
        self, asking: Float[Tensor, "B C D"], x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #C L"] | None
    ) -> Float[Tensor, "B C D"]:
        """What other vectors than those of ``x`` read from ``x``."""
        width, weight, bias = x.shape[2], self.query_key_value.weight, self.query_key_value.bias
        key, value = F.linear(x, weight[width:], bias[width:]).chunk(2, dim=2)
        return self.mix(F.linear(asking, weight[:width], bias[:width]), key, value, mask)

    def mix(
        self,
        query: Float[Tensor, "B C D"],
        key: Float[Tensor, "B L D"],
        value: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "#B 1 #C L"] | None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "B C D"]:
        batch, asking, width = query.shape
        split = (self.n_heads, width // self.n_heads)
        query, key, value = (part.view(batch, part.shape[1], *split).transpose(1, 2) for part in (query, key, value))
        rate = self.attention_dropout.rate if self.training else 0.0
        if rate and query.device.type == "cpu":  # torch's fused kernel has no dropout there and falls back to a slow one
            key = key.transpose(2, 3) * key.shape[3] ** -0.5
            size = ROWS if causal else asking
            mixed = torch.cat([self._dropped(query, key, value, mask, slice(i, i + size), causal) for i in range(0, asking, size)], 2)
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
        return self.output(mixed.transpose(1, 2).reshape(batch, asking, width))

    def _dropped(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rows: slice, causal: bool) -> Tensor:
        """What some queries read through dropout; under a causal mask, no key after the last of them is touched."""
        seen = slice(0, rows.stop if causal else None)
        scores = query[:, :, rows] @ key[:, :, :, seen]
        if mask is not None:
            scores = scores.masked_fill_(~mask[:, :, rows, seen], -torch.inf)
        return self.attention_dropout(scores.softmax(3)) @ value[:, :, seen]

    def transform(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        return self.down(self.activation(self.up(x)))
