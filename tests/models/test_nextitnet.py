"""NextItNet: convolutions written out on a bare sequence, and a receptive field counted by gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recpref.models.nextitnet import CausalConvolution, NextItNet
from recpref.types import History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> NextItNet:
    torch.manual_seed(0)
    net = NextItNet(V, **{"d_model": 8, "n_layers": 2, "dilations": (1, 2), "max_len": 40, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def encoded(net: NextItNet, given: History) -> torch.Tensor:
    return net.encode(net.embed(given.items), given)


def unrolled(part: CausalConvolution, x: torch.Tensor, dilation: int) -> torch.Tensor:
    """Step t is the sum over k of W_k x[t - (2 - k) dilation], for as many as there are; then the norm, then the ReLU."""
    weight, bias = part.convolution.weight, part.convolution.bias
    rows = []
    for t in range(len(x)):
        taps = [(k, t - (2 - k) * dilation) for k in range(3)]
        rows.append(bias + sum(weight[:, :, k] @ x[s] for k, s in taps if s >= 0))
    return torch.relu(F.layer_norm(torch.stack(rows), (8,), part.norm.weight, part.norm.bias, 1e-8))


@torch.no_grad()
def test_equal_to_the_sums_written_out():
    """Blocks of l = 1 and l = 2, so convolutions of dilation 1, 2 and 2, 4, on each bare row of a padded batch."""
    net, rows = model(), [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11, 12]]
    for row, found in zip(rows, encoded(net, history(*rows)), strict=True):
        x = net.items.weight[row]
        for block, dilation in zip(net.blocks, (1, 2), strict=True):
            x = x + unrolled(block.second, unrolled(block.first, x, dilation), 2 * dilation)
        torch.testing.assert_close(found[-len(row) :], net.head(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("n_layers", "dilations", "field"), [(1, (1,), 7), (2, (1, 2), 19), (2, (1,), 13), (3, (1, 2), 25)])
def test_the_receptive_field_by_gradient(n_layers, dilations, field):
    """1 + 2 (l + 2 l) a block: l = 1 sees 7 items, l = 1, 2 sees 19, l = 1, 2, 1 sees 25; and nothing that comes later."""
    net, given = model(n_layers=n_layers, dilations=dilations), history([1] * 32)
    for block in net.blocks:
        for part in (block.first, block.second):
            nn.init.constant_(part.norm.bias, 9.0)  # no ReLU is shut
    x = torch.randn(1, 32, 8).requires_grad_()
    net.encode(x, given)[:, 29].sum().backward()
    seen = (x.grad.abs().sum(2)[0] > 0).nonzero()[:, 0].tolist()
    assert seen == list(range(30 - field, 30))


def test_padding_is_seen_by_nobody():
    """Whatever the vectors of padding are, real steps stay what they are, to the last bit of a gradient."""
    net, given = model(), history([1, 2, 3], [4] * 9)
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[0, -3:].sum().backward()
    assert (x.grad[0, :-3] == 0).all()
    assert (x.grad[1] == 0).all()


def test_the_defaults_see_what_the_docstring_says():
    """1 + 3 x 2 x (1 + 4 + 1 + 4) = 61."""
    net = NextItNet(V)
    assert 1 + sum(part.before for block in net.blocks for part in (block.first, block.second)) == 61


def test_parameters_by_hand():
    """Table 21 x 8 and 21 biases; two blocks of two convolutions of 3 x 8 x 8 + 8 and norms of 16; a head of 8 x 8 + 8."""
    assert sum(p.numel() for p in model().parameters()) == 21 * 9 + 4 * (3 * 64 + 8 + 16) + 72


@pytest.mark.parametrize("options", [{"n_layers": 0}, {"kernel_size": 0}, {"dilations": (1, 0)}, {"dilations": ()}])
def test_impossible_sizes_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        NextItNet(V, **options)
