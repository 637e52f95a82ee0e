"""Positions, masks, and the Transformer layer against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recpref.layers.transformer import LN_EPS, Positions, TransformerLayer, attention_mask, causal_at


class Untouched(nn.Module):
    """Passes everything on, and claims a rate, so that the layer takes the path it takes under attention dropout."""

    rate = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x


def layer_of(norm: str, *, activation: str = "gelu", dropout: float = 0.0, attention_dropout: float = 0.0) -> TransformerLayer:
    """A small layer with weights far from their start."""
    torch.manual_seed(0)
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 12}
    layer = TransformerLayer(**sizes, dropout=dropout, attention_dropout=attention_dropout, activation=activation, norm=norm)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer


def torch_layer(ours: TransformerLayer, activation: str) -> nn.TransformerEncoderLayer:
    """Torch's layer with the weights of ours."""
    theirs = nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation=activation, layer_norm_eps=LN_EPS, batch_first=True, norm_first=ours.pre_norm
    )
    pairs = {
        "self_attn.in_proj_": ours.query_key_value,
        "self_attn.out_proj.": ours.output,
        "linear1.": ours.up,
        "linear2.": ours.down,
        "norm1.": ours.attention_norm,
        "norm2.": ours.feed_forward_norm,
    }
    theirs.load_state_dict({prefix + name: value for prefix, part in pairs.items() for name, value in part.state_dict().items()})
    return theirs.eval()


# -------------------------------------------------------------------------------------------------------------- positions


def positions() -> Positions:
    """Three positions of width two: the newest item gets (1, 2), the one before it (3, 4), the oldest (5, 6)."""
    part = Positions(3, 2)
    part.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return part


def test_positions_count_from_the_newest_item():
    torch.testing.assert_close(positions()(torch.zeros(1, 2, 2)), torch.tensor([[[3.0, 4.0], [1.0, 2.0]]]))
    torch.testing.assert_close(positions()(torch.zeros(1, 3, 2))[0, 0], torch.tensor([5.0, 6.0]))


def test_positions_remember_how_far_training_reached():
    part = positions()
    assert part.usable() == 3
    part(torch.zeros(1, 2, 2))
    part(torch.zeros(1, 1, 2))
    assert part.usable() == 2
    part.eval()(torch.zeros(1, 3, 2))
    assert part.usable() == 2
    again = Positions(3, 2)
    again.load_state_dict(part.state_dict())
    assert again.usable() == 2


def test_positions_refuse_a_sequence_that_is_too_long():
    with pytest.raises(ValueError, match="a sequence of length 4 does not fit max_len=3"):
        positions()(torch.zeros(1, 4, 2))


# ------------------------------------------------------------------------------------------------------------------ masks


def test_the_bidirectional_mask_hides_padding_only():
    assert attention_mask(torch.tensor([[0, 5, 6]]), causal=False).tolist() == [[[[False, True, True]]]]
    assert attention_mask(torch.tensor([[4, 5, 6]]), causal=False) is None


def test_the_causal_mask_hides_padding_and_the_future():
    """Row t may see up to t but no padding; the padded row 0 sees itself, so that its softmax is a number."""
    expected = [[True, False, False], [False, True, False], [False, True, True]]
    assert attention_mask(torch.tensor([[0, 5, 6]]), causal=True).tolist() == [[expected]]
    expected = [[True, False], [True, True]]
    assert attention_mask(torch.tensor([[5, 6]]), causal=True).tolist() == [[expected]]


# ------------------------------------------------------------------------------------------------------ transformer layer


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("items", [[[1, 2, 3, 4], [5, 6, 7, 8]], [[0, 0, 3, 4], [5, 6, 7, 8]]], ids=["full", "padded"])
def test_the_layer_equals_torchs(norm, activation, causal, items):
    ours, items = layer_of(norm, activation=activation).eval(), torch.tensor(items)
    x = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    future = torch.ones(4, 4, dtype=torch.bool).triu(1) if causal else None
    expected = torch_layer(ours, activation)(x, src_mask=future, src_key_padding_mask=items == 0)
    real = items != 0
    torch.testing.assert_close(ours(x, attention_mask(items, causal=causal))[real], expected[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("items", [[[1, 2, 3], [4, 5, 6]], [[0, 2, 3], [4, 5, 6]]], ids=["full", "padded"])
def test_the_path_with_attention_dropout_agrees_with_the_fused_kernel(norm, causal, items):
    """The written-out attention is reached through a dropout that claims a rate and does nothing; gradients agree, too."""
    layer, mask = layer_of(norm), attention_mask(torch.tensor(items), causal=causal)
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    fused = layer.train()(x, mask)
    (gradient,) = torch.autograd.grad(fused.square().sum(), x)
    layer.attention_dropout = Untouched()
    written_out = layer.train()(x, mask)
    torch.testing.assert_close(written_out, fused, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(written_out.square().sum(), x)[0], gradient, atol=1e-4, rtol=1e-4)


def test_attention_dropout_has_the_right_expectation():
    """The output is linear in the dropped weights: averaged over many masks it is the one without dropout."""
    layer = layer_of("pre", attention_dropout=0.3)
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(1)).expand(20_000, -1, -1)
    with torch.no_grad():
        torch.manual_seed(6)
        drawn = layer.train().attend(x, None)
        exact = layer.eval().attend(x[:1], None)
    error = drawn.std(0) / 20_000**0.5
    assert bool(((drawn.mean(0) - exact[0]).abs() < 5 * error + 1e-4).all())


def test_dropout_acts_in_training_and_not_in_evaluation():
    layer, x = layer_of("post", dropout=0.5), torch.ones(1, 2, 8)
    torch.manual_seed(0)
    assert not torch.equal(layer.train()(x, None), layer.train()(x, None))
    assert torch.equal(layer.eval()(x, None), layer.eval()(x, None))


def test_the_layer_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        TransformerLayer(d_model=8, n_heads=3, d_ff=8, dropout=0, attention_dropout=0, activation="gelu", norm="pre")


def test_the_layer_refuses_no_heads():
    with pytest.raises(ValueError, match="n_heads=0"):
        TransformerLayer(d_model=8, n_heads=0, d_ff=8, dropout=0, attention_dropout=0, activation="gelu", norm="pre")


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("causal", [False, True])
@given(where=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_some_rows_of_a_layer_are_those_rows(norm: str, rate: float, causal: bool, where: list[list[bool]]) -> None:
    """``at`` computes what ``forward`` does, there and in this order; gradients too. None, one or all of a row may be asked for."""
    asked = torch.tensor(where)
    layer = layer_of(norm, dropout=rate, attention_dropout=rate).eval()
    x = torch.randn(len(asked), 6, 8, requires_grad=True)
    items = torch.ones(len(asked), 6, dtype=torch.long).index_fill(1, torch.tensor([0]), 0)
    mask = attention_mask(items, causal=causal)
    whole, some = layer(x, mask, causal=causal)[asked], layer.at(x, mask, asked)
    torch.testing.assert_close(some, whole)
    weights = torch.randn_like(whole)
    left, right = (torch.autograd.grad((part * weights).sum(), x)[0] for part in (whole, some))
    torch.testing.assert_close(left, right)


def test_causal_layers_at_few_places_and_at_many() -> None:
    """The same rows; where they are few, no more than the first layer is asked everywhere."""
    layers = torch.nn.ModuleList([layer_of("pre").eval(), layer_of("pre").eval()])
    items = torch.tensor([[0, 0, 3, 4], [1, 2, 3, 4]])
    x = torch.randn(2, 4, 8)
    mask = attention_mask(items, causal=True)
    whole = layers[1](layers[0](x, mask, causal=True), mask, causal=True)
    counted: list[int] = []
    layers[1].register_forward_hook(lambda *_: counted.append(1))
    for where, asked in ((items == 4, 0), (items != 0, 1)):
        torch.testing.assert_close(causal_at(layers, x, items, where), whole[where])
        assert len(counted) == asked


@pytest.mark.parametrize("length", [5, 128, 129, 300])
def test_causal_attention_in_blocks_is_attention(length: int) -> None:
    """With a rate too small to drop anything, queries by the block read what torch's own kernel reads; and their gradients."""
    torch.manual_seed(0)
    layer = TransformerLayer(d_model=8, n_heads=2, d_ff=8, dropout=0, attention_dropout=1e-6, activation="relu", norm="pre")
    items = torch.randint(1, 9, (3, length))
    items[1, : length // 2] = 0
    mask = attention_mask(items, causal=True)
    found = []
    for training in (True, False):
        x = torch.randn(3, length, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        out = layer.train(training)(x, mask, causal=True)
        out.square().sum().backward()
        found.append((out.detach(), x.grad))
    torch.testing.assert_close(found[0], found[1])
