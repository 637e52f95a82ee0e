"""The LiGR layer: a pre-norm Transformer layer whose branches are gated by what they are added to.

Source: Borisyuk et al., "From features to transformers: redefining ranking for scalable impact" (2025), the gated residual
of section 3, and the layer of RecTools that eSASRec (Tikhonovich et al., RecSys 2025) is built of: SwiGLU feed-forward
(Shazeer, 2020) without biases. Divergence: LayerNorm's epsilon is BERT's 1e-12, not 1e-5.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.transformer import TransformerLayer

__all__ = ["LiGRLayer"]


class LiGRLayer(TransformerLayer):
    """``x = x + sigmoid(W x) * Drop(f(LN(x)))``, once with attention and once with ``down(Drop(silu(a) * b))`` as ``f``.

    ``a`` and ``b`` are the halves of ``up(x)``, ``d_ff`` wide each. Its only base is the layer that it shares attention with.

    Shapes: [B, L, D] -> [B, L, D].
    Raises: ValueError where ``n_heads`` does not divide ``d_model``.
    """

    def __init__(self, *, d_model: int, n_heads: int, d_ff: int, dropout: float, attention_dropout: float):
        super().__init__(
            d_model=d_model,
            n_heads=n_heads,
            d_ff=d_ff,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation="gelu",  # never called: ``transform`` is SwiGLU
            norm="pre",
        )
        self.up, self.down = nn.Linear(d_model, 2 * d_ff, bias=False), nn.Linear(d_ff, d_model, bias=False)
        self.attention_gate, self.feed_forward_gate = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def forward(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, *, causal: bool = False) -> Float[Tensor, "B L D"]:
        x = x + torch.sigmoid(self.attention_gate(x)) * self.dropout(self.attend(self.attention_norm(x), mask, causal=causal))
        return x + torch.sigmoid(self.feed_forward_gate(x)) * self.dropout(self.transform(self.feed_forward_norm(x)))

    def at(self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "#B 1 #L L"] | None, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
        x, mixed = self.attended_at(x, mask, where)
        x = x + torch.sigmoid(self.attention_gate(x)) * self.dropout(mixed)
        return x + torch.sigmoid(self.feed_forward_gate(x)) * self.dropout(self.transform(self.feed_forward_norm(x)))

    def transform(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(self.dropout(F.silu(gate) * value))
