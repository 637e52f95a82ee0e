"""FMLP-Rec: a filter is a circular convolution, and the window is as long as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recpref.layers.frequencies import filtered
from recpref.models.fmlprec import FilterLayer, FMLPRec
from recpref.types import History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> FMLPRec:
    torch.manual_seed(0)
    net = FMLPRec(V, **{"d_model": 8, "max_len": 6, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def layer_of(max_len: int) -> FilterLayer:
    torch.manual_seed(0)
    layer = FilterLayer(d_model=8, d_ff=12, max_len=max_len, dropout=0.0).eval()
    nn.init.normal_(layer.filter)
    return layer


@pytest.mark.parametrize("length", [5, 6])
@torch.no_grad()
def test_a_filter_is_a_circular_convolution(length):
    """y[t] = sum over s of g[s] x[(t - s) mod L], where g is the inverse transform of the filter, channel by channel."""
    layer, x = layer_of(length), torch.randn(2, length, 8)
    kernel = torch.fft.irfft(torch.view_as_complex(layer.filter), n=length, dim=0)
    expected = torch.zeros_like(x)
    for t in range(length):
        for s in range(length):
            expected[:, t] += kernel[s] * x[:, (t - s) % length]
    torch.testing.assert_close(filtered(x, layer.filter), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_filter_of_ones_changes_nothing():
    """1 + 0i at every frequency: the identity, and the layer is LN(2 x) = LN(x) and a feed-forward network."""
    layer, x = layer_of(6), torch.randn(2, 6, 8)
    layer.filter[..., 0], layer.filter[..., 1] = 1.0, 0.0
    torch.testing.assert_close(filtered(x, layer.filter), x, atol=1e-6, rtol=1e-5)
    normed = F.layer_norm(x, (8,), eps=1e-12)
    expected = F.layer_norm(normed + layer.down(F.gelu(layer.up(normed))), (8,), eps=1e-12)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_filter_of_the_lowest_frequency_is_the_mean():
    """1 at frequency 0 and 0 elsewhere: every step becomes the mean of all."""
    layer, x = layer_of(6), torch.randn(2, 6, 8)
    layer.filter.zero_()
    layer.filter[0, :, 0] = 1.0
    torch.testing.assert_close(filtered(x, layer.filter), x.mean(1, keepdim=True).expand_as(x), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_turn_of_phase_is_a_shift():
    """exp(-2 pi i f / L) at frequency f moves everything one step later, the last to the front: the window is a circle."""
    layer, x = layer_of(6), torch.randn(2, 6, 8)
    turn = torch.exp(-2j * torch.pi * torch.arange(4) / 6)
    layer.filter.copy_(torch.view_as_real(turn)[:, None].expand(-1, 8, -1))
    torch.testing.assert_close(filtered(x, layer.filter), x.roll(1, dims=1), atol=1e-5, rtol=1e-4)


def test_every_batch_is_brought_to_the_same_length():
    """Alone, padded by two, or padded to the whole window: the same steps; older ones are zero vectors with a position."""
    net = model()
    bare, padded, full = history([4, 5]), history([4, 5], [1] * 4), history([4, 5], [1] * 6)
    alone, two, six = (net.encode(net.embed(given.items), given) for given in (bare, padded, full))
    torch.testing.assert_close(alone[0], two[0, -2:], atol=1e-6, rtol=0)
    torch.testing.assert_close(alone[0], six[0, -2:], atol=1e-6, rtol=0)


def test_it_looks_ahead():
    """By gradient: the first step depends on the last, which is why it may not learn next items."""
    net, given = model(), history([1, 2, 3, 4])
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[0, 0].sum().backward()
    assert (x.grad[0].abs().sum(1) > 0).all()
    assert net.causal is False


def test_no_gradient_reaches_padding():
    net, given = model(), history([1, 2, 3], [4] * 6)
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[0, -1].sum().backward()
    assert (x.grad[0, :-3] == 0).all()


def test_a_sequence_longer_than_the_window_does_not_fit():
    net, given = model(), history([1] * 7)
    with pytest.raises(ValueError, match="a sequence of length 7 does not fit max_len=6"):
        net.encode(net.embed(given.items), given)
    torch.testing.assert_close(net.state(history([9, 1, 2, 3, 4, 5, 6])), net.state(history([1, 2, 3, 4, 5, 6])))


def test_parameters_by_hand():
    """Table 21 x 8, positions 6 x 8, a norm of 16; a layer: filter 4 x 8 x 2, 8 x 32 + 32 up, 32 x 8 + 8 down, two norms of 16."""
    layer = 64 + (256 + 32) + (256 + 8) + 32
    assert sum(p.numel() for p in model().parameters()) == 21 * 8 + 6 * 8 + 16 + 2 * layer


@pytest.mark.parametrize("option", ["d_model", "n_layers", "d_ff", "max_len"])
def test_sizes_below_one_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}=0 must be at least 1"):
        FMLPRec(V, **{option: 0})
