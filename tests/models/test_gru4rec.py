"""GRU4Rec: torch's GRU over unpadded sequences, whatever the padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recpref.models.gru4rec import GRU4Rec
from recpref.types import History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> GRU4Rec:
    torch.manual_seed(0)
    net = GRU4Rec(V, **{"d_model": 8, "max_len": 8, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def encoded(net: GRU4Rec, given: History) -> torch.Tensor:
    return net.encode(net.embed(given.items), given)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_equal_to_torch_on_each_row_alone(n_layers):
    """A GRU of torch's with copied weights reads the bare sequences one by one."""
    net, rows = model(n_layers=n_layers), [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    theirs = nn.GRU(8, 8, n_layers, batch_first=True)
    theirs.load_state_dict(net.recurrence.state_dict())
    ours = encoded(net, history(*rows))
    for row, found in zip(rows, ours, strict=True):
        expected, _ = theirs(net.items.weight[row][None])
        torch.testing.assert_close(found[-len(row) :], expected[0], atol=1e-6, rtol=0)


def test_one_step_by_hand():
    """From a zero state: r is idle but for the biases, h = (1 - z) n."""
    net = model()
    x, gru = net.items.weight[3], net.recurrence
    gates = gru.weight_ih_l0 @ x + gru.bias_ih_l0
    r, z = torch.sigmoid((gates + gru.bias_hh_l0)[:16]).chunk(2)
    n = torch.tanh(gates[16:] + r * gru.bias_hh_l0[16:])
    torch.testing.assert_close(net.state(history([3]))[0], (1 - z) * n)


def test_causal_by_gradient():
    """Step 1 of four depends on items 0 and 1 and on no later one; in a padded row, on real ones only."""
    net, given = model(), history([1, 2, 3, 4], [5, 6, 7])
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[:, 1].sum().backward()
    assert (x.grad.abs().sum(2) > 0).tolist() == [[True, True, False, False], [False, True, False, False]]


def test_a_hidden_width_of_its_own_is_brought_back():
    """The state has the width of the table."""
    net = model(d_hidden=12)
    assert net.state(history([1, 2])).shape == (1, 8)
    assert net.recurrence.hidden_size == 12


def test_the_state_reads_the_newest_items():
    net = model()
    torch.testing.assert_close(net.state(history([7, 7, *range(1, 9)])), net.state(history(list(range(1, 9)))))


def test_dropout_acts_in_training_only():
    net = model(dropout=0.5)
    assert torch.equal(encoded(net, history([1, 2])), encoded(net, history([1, 2])))
    net.train()
    assert not torch.equal(encoded(net, history([1, 2])), encoded(net, history([1, 2])))


def test_parameters_by_hand():
    """Table 21 x 8 and 21 biases; three gates of 8 x 8 twice and two biases; with a state of 12, also 12 x 8 + 8 to come back."""
    assert sum(p.numel() for p in model().parameters()) == 21 * 9 + 3 * (2 * 64 + 2 * 8)
    wide = sum(p.numel() for p in model(d_hidden=12).parameters())
    assert wide == 21 * 9 + 3 * (12 * 8 + 12 * 12 + 2 * 12) + 12 * 8 + 8


@pytest.mark.parametrize("option", ["d_model", "n_layers", "d_hidden", "max_len"])
def test_sizes_below_one_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}=0 must be at least 1"):
        GRU4Rec(V, **{option: 0})
