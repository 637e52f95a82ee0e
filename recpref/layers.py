"""Layers shared by the sequential models: end-aligned positions and the Transformer layer.

Source: Vaswani et al., "Attention is all you need" (2017); Devlin et al., BERT (2019) for the post-norm form and GELU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.types import PAD, History, Reader, Scorer

LN_EPS = 1e-12  # BERT's
MANY = 1 << 25  # numbers to draw at a start; below, torch's own draws, which seeds of old know
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


class _ByteDropout(torch.autograd.Function):
    """Dropout whose mask costs one random byte an element: five times faster than torch's on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: int) -> Tensor:
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = (words.view(torch.uint8)[: x.numel()].view(x.shape) < keep).to(x.dtype).mul_(256 / keep)
        ctx.save_for_backward(kept)
        return x * kept

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.saved_tensors[0], None


class Dropout(nn.Module):
    """Dropout. On a CPU the rate is rounded to a 256th, and kept values are scaled by the rounded rate, so that the
    expectation is exact.

    Raises: ValueError for a rate outside [0, 1).
    """

    def __init__(self, rate: float):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate of {rate} must lie in [0, 1)")
        self.rate = rate

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        keep = max(1, round((1 - self.rate) * 256))
        dropped: Tensor = x if keep == 256 else _ByteDropout.apply(x, keep)
        return dropped


def places(where: Bool[Tensor, "B L"]) -> tuple[Int[Tensor, "B C"], Bool[Tensor, "B C"]]:
    """The columns that are True in each row, as many as the fullest row has, and which of them count (others are column 0).

    Example: rows 0101 and 0010 give columns (1, 3) and (2, 0), of which the last does not count.
    """
    count = where.sum(1)
    counts = torch.arange(int(count.max()), device=where.device) < count[:, None]
    place = torch.zeros_like(counts, dtype=torch.long)
    place[counts] = where.nonzero()[:, 1]
    return place, counts


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

    def at(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 1 L"] | None, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        """The rows of ``forward`` at these positions, row-major. Elsewhere nothing but keys and values is computed."""
        place, asked = places(where)
        here = place[:, :, None].expand(-1, -1, x.shape[2])
        read = self.attention_norm(x) if self.pre_norm else x
        mixed = self.dropout(self.attend_from(read.gather(1, here), read, mask)[asked])
        x = x.gather(1, here)[asked]
        if self.pre_norm:
            x = x + mixed
            return x + self.dropout(self.transform(self.feed_forward_norm(x)))
        x = self.attention_norm(x + mixed)
        return self.feed_forward_norm(x + self.dropout(self.transform(x)))

    def attend(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, *, causal: bool = False) -> Float[Tensor, "B L D"]:
        query, key, value = self.query_key_value(x).chunk(3, dim=2)
        return self.mix(query, key, value, mask, causal=causal)

    def attend_from(
        self, asking: Float[Tensor, "B C D"], x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 1 L"] | None
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


@torch.no_grad()
def truncated_normal(weight: Float[Tensor, "*S"], std: float) -> None:
    """N(0, std) cut at two deviations, in place. Where there are many, those outside are drawn again: torch's own way inverts the
    error function for each number and takes two minutes for 10 million items (same distribution, a twelfth of the time).
    """
    if weight.numel() < MANY:
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
        return
    flat = weight.view(-1)
    flat.normal_(std=std)
    outside = torch.nonzero(flat.abs() > 2 * std)[:, 0]
    while len(outside):
        drawn = torch.empty_like(flat[outside]).normal_(std=std)
        flat[outside] = drawn
        outside = outside[drawn.abs() > 2 * std]


def initialise(module: nn.Module, *, std: float = 0.02) -> None:
    """BERT's start: weights, tables and positions ~ N(0, std) cut at two deviations, biases 0, norms 1."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding | Positions):
            truncated_normal(part.weight, std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight), nn.init.zeros_(part.bias)


def newest(items: Int[Tensor, "B L"], count: int) -> Int[Tensor, "B l"]:
    """The last ``count`` columns without columns that are padding for everybody. Shapes: [B, <= count]."""
    items = items[:, max(0, items.shape[1] - count) :]
    longest = int((items != PAD).sum(1).max()) if items.numel() else 0
    return items[:, items.shape[1] - longest :]


def shortened(history: History, length: int) -> History:
    """The newest ``length`` items, and their times. Where nobody has a history, it is a column of padding."""
    items = newest(history.items, length)
    time = None if history.time is None else history.time[:, history.time.shape[1] - items.shape[1] :]
    if not items.shape[1]:
        items, time = F.pad(items, (1, 0)), None if time is None else F.pad(time, (1, 0))
    return history._replace(items=items, time=time)


def last_state(model: Reader, history: History) -> Float[Tensor, "B D"]:
    """What ``model`` encodes at the last column of what it reads."""
    read = model.reads(history)
    return encoded_at(model, model.embed(read.items), read, last_column(read.items))


def last_column(items: Int[Tensor, "B L"]) -> Bool[Tensor, "B L"]:
    """True there and nowhere else."""
    return F.pad(torch.zeros_like(items[:, 1:], dtype=torch.bool), (0, 1), value=True)


def encoded_at(model: Scorer | Reader, x: Float[Tensor, "B L D"], history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
    """What ``model`` encodes of ``x`` at these positions, row-major; by its ``encode_at`` where it has one."""
    if hasattr(model, "encode_at"):
        rows: Tensor = model.encode_at(x, history, where)
        return rows
    return model.encode(x, history)[where]
