"""The LiGR layer: gates that shut, gates that open, and a feed-forward network by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recpref.layers.ligr import LiGRLayer
from recpref.layers.transformer import attention_mask


def layer_of(*, gate: float | None = None) -> LiGRLayer:
    """A small layer with weights far from their start; its gates at ``sigmoid(gate)`` whatever they are shown."""
    torch.manual_seed(0)
    layer = LiGRLayer(d_model=8, n_heads=2, d_ff=12, dropout=0.3, attention_dropout=0.3).eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    if gate is not None:
        for part in (layer.attention_gate, layer.feed_forward_gate):
            nn.init.zeros_(part.weight)
            nn.init.constant_(part.bias, gate)
    return layer


X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
MASK = attention_mask(torch.tensor([[1] * 5, [0] * 2 + [1] * 3, [1] * 5]), causal=True)


def test_open_gates_leave_the_plain_residual_layer() -> None:
    """sigmoid(40) = 1: x + attention(LN(x)), then x + SwiGLU(LN(x))."""
    layer = layer_of(gate=40.0)
    x = X + layer.attend(layer.attention_norm(X), MASK)
    torch.testing.assert_close(layer(X, MASK), x + layer.transform(layer.feed_forward_norm(x)))


def test_some_rows_are_those_rows() -> None:
    """Gated as the whole is, not as the layer that attention is shared with."""
    layer, where = layer_of(), torch.rand(3, 5, generator=torch.Generator().manual_seed(2)) < 0.4
    torch.testing.assert_close(layer.at(X, MASK, where), layer(X, MASK, causal=True)[where])


def test_shut_gates_leave_the_input() -> None:
    """sigmoid(-40) = 0: nothing is added."""
    torch.testing.assert_close(layer_of(gate=-40.0)(X, MASK), X)


def test_swiglu_by_hand() -> None:
    """down(silu(a) * b), where a and b are the first and the last d_ff columns of up(x)."""
    layer = layer_of()
    a, b = X @ layer.up.weight[:12].T, X @ layer.up.weight[12:].T
    torch.testing.assert_close(layer.transform(X), (a * a.sigmoid() * b) @ layer.down.weight.T)


def test_the_gate_sees_the_input_before_its_norm() -> None:
    """The first branch by torch's own multi-head attention, gated by what it is added to."""
    layer = layer_of()
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = layer.query_key_value.weight.data, layer.query_key_value.bias.data
    theirs.out_proj.load_state_dict(layer.output.state_dict())
    seen = F.layer_norm(X, (8,), layer.attention_norm.weight, layer.attention_norm.bias, 1e-12)
    mixed, _ = theirs(seen, seen, seen, attn_mask=~torch.ones(5, 5, dtype=torch.bool).tril())
    x = X + torch.sigmoid(layer.attention_gate(X)) * mixed
    x = x + torch.sigmoid(layer.feed_forward_gate(x)) * layer.transform(layer.feed_forward_norm(x))
    torch.testing.assert_close(layer(X, attention_mask(torch.ones(3, 5, dtype=torch.long), causal=True)), x)


def test_parameters_by_hand() -> None:
    """Attention 4 (8 x 8 + 8), SwiGLU 3 x 8 x 12 without biases, two gates of 8 x 8 + 8, two norms of 16."""
    assert sum(p.numel() for p in layer_of().parameters()) == 4 * 72 + 3 * 96 + 2 * 72 + 2 * 16


def test_heads_must_divide_the_width() -> None:
    """As in every layer with attention."""
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        LiGRLayer(d_model=8, n_heads=3, d_ff=8, dropout=0.0, attention_dropout=0.0)
