"""SR-GNN: the graph of a small session by hand, a message and a reading written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recpref.models.srgnn import SRGNN, Graph, graph_of, node_means
from recpref.types import History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> SRGNN:
    torch.manual_seed(0)
    net = SRGNN(V, **{"d_model": 8, "max_len": 10, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def test_the_graph_of_a_session_with_repeats_by_hand():
    """5 7 9 7 5 7: nodes 5, 7, 9 are 1, 2, 3; edges 5>7 (twice, counted once), 7>9, 9>7, 7>5.

    7 is come to from 5 and 9, half each; 5 and 9 from 7 alone. 7 is left for 9 and 5, half each; 5 and 9 for 7 alone.
    """
    graph = graph_of(history([5, 7, 9, 7, 5, 7]).items)
    assert graph.node.tolist() == [[1, 2, 3, 2, 1, 2]]
    assert graph.incoming.tolist() == [[[0, 0, 0, 0], [0, 0, 1, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]]
    assert graph.outgoing.tolist() == [[[0, 0, 0, 0], [0, 0, 1, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]]


def test_the_graph_of_a_padded_session_by_hand():
    """0 4 2 2: nodes 2, 4 are 1, 2; 4 > 2 and 2 > 2. 2 is come to from 4 and itself; padding is next to nobody."""
    graph = graph_of(history([4, 2, 2], [1, 1, 1, 1]).items)
    assert graph.node.tolist() == [[0, 2, 1, 1], [1, 1, 1, 1]]
    assert graph.incoming[0].tolist() == [[0, 0, 0], [0, 0.5, 0.5], [0, 0, 0]]
    assert graph.outgoing[0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert graph.incoming[1].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_node_is_the_mean_of_its_steps():
    """Item 3 at steps 0 and 2 with vectors 1 and 5 is 3; item 6 is its own; padding is zero where there is none."""
    graph = graph_of(torch.tensor([[3, 6, 3]]))
    means = node_means(torch.tensor([[[1.0], [2.0], [5.0]]]), graph)
    assert means.tolist() == [[[0.0], [3.0], [2.0]]]


@torch.no_grad()
def test_a_message_written_out():
    """Equations 1 to 5 with gates spelled out: h = (1 - z) h~ + z h_before, in torch's convention for z."""
    net = model()
    graph = graph_of(history([5, 7, 9, 7]).items)
    before = torch.randn(1, 4, 8)
    incoming = graph.incoming[0] @ (before[0] @ net.message_in.weight.T + net.message_in.bias)
    outgoing = graph.outgoing[0] @ (before[0] @ net.message_out.weight.T + net.message_out.bias)
    given = torch.cat([incoming, outgoing], 1) @ net.cell.weight_ih.T + net.cell.bias_ih
    known = before[0] @ net.cell.weight_hh.T + net.cell.bias_hh
    r, z = torch.sigmoid(given[:, :16] + known[:, :16]).chunk(2, 1)
    new = torch.tanh(given[:, 16:] + r * known[:, 16:])
    torch.testing.assert_close(net.propagate(before, graph)[0], (1 - z) * new + z * before[0], atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_reading_written_out():
    """alpha_i = q' sigmoid(W1 h_last + W2 h_i + c), over the two real steps; W3 [sum alpha_i h_i; h_last]."""
    net, h = model(), torch.randn(1, 3, 8)
    real = torch.tensor([[[False], [True], [True]]])
    total = torch.zeros(8)
    for i in (1, 2):
        alpha = net.weight.weight[0] @ torch.sigmoid(net.of_last(h[0, 2]) + net.of_each(h[0, i]))
        total += alpha * h[0, i]
    torch.testing.assert_close(net.read(h, real)[0], net.output(torch.cat([total, h[0, 2]])), atol=1e-6, rtol=1e-5)


def test_the_numbering_of_items_does_not_matter():
    """The same session under other ids with the same vectors has the same state."""
    net = model()
    other = torch.arange(V + 1).flip(0).roll(1)  # a permutation that keeps 0
    state = net.state(history([5, 7, 9, 7, 5]))
    net.items.weight.data = net.items.weight.data[other]
    renamed = other.argsort()[torch.tensor([5, 7, 9, 7, 5])].tolist()
    assert renamed != [5, 7, 9, 7, 5]
    torch.testing.assert_close(net.state(history(renamed)), state, atol=1e-5, rtol=0)


def test_every_step_gets_the_vector_of_the_row():
    net, given = model(), history([1, 2, 3], [4, 5])
    found = net.encode(net.embed(given.items), given)
    assert torch.equal(found, net.state(given)[:, None].expand(-1, 3, -1))


def test_padding_is_seen_by_nobody():
    """No gradient reaches padding, whatever its vector."""
    net, given = model(n_steps=2), history([1, 2, 3], [4] * 6)
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[0, -1].sum().backward()
    assert (x.grad[0, :-3] == 0).all()
    assert (x.grad[0, -3:].abs().sum(1) > 0).all()
    assert (x.grad[1] == 0).all()


def test_steps_share_their_weights():
    assert sum(p.numel() for p in model(n_steps=3).parameters()) == sum(p.numel() for p in model().parameters())


def test_no_step_reads_the_bare_items():
    """Two steps are the message passed twice."""
    net, graph = model(n_steps=2), graph_of(history([5, 7, 9]).items)
    h = torch.randn(1, 4, 8)
    twice = net.propagate(net.propagate(h, graph), graph)
    assert isinstance(graph, Graph)
    assert not torch.allclose(twice, net.propagate(h, graph))


def test_parameters_by_hand():
    """Table 21 x 8; messages 2 (64 + 8); cell 3 (16 x 8 + 8 x 8 + 16); reading 2 (64 + 8) + 8; output 16 x 8 + 8."""
    expected = 21 * 8 + 2 * 72 + 3 * (128 + 64 + 16) + 2 * 72 + 8 + 136
    assert sum(p.numel() for p in model().parameters()) == expected


def test_the_start_is_the_authors():
    """Everything uniform within 1 / sqrt(100)."""
    for parameter in SRGNN(V).parameters():
        assert parameter.abs().max() <= 0.1
        assert parameter.numel() < 50 or abs(parameter.std() - 0.1 / 3**0.5) < 0.02


@pytest.mark.parametrize("option", ["d_model", "n_steps", "max_len"])
def test_sizes_below_one_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}=0 must be at least 1"):
        SRGNN(V, **{option: 0})
