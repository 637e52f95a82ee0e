"""eSASRec: LiGR layers over the item table, causal and padding-invariant."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recpref.composition.compose import compose
from recpref.layers.ligr import LiGRLayer
from recpref.losses.sampled_softmax import SampledSoftmax
from recpref.models.esasrec import ESASRec
from recpref.types import Candidates, History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> ESASRec:
    torch.manual_seed(0)
    net = ESASRec(V, **{"d_model": 8, "n_heads": 2, "max_len": 6, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.4)
    return net


def test_causal_by_gradient():
    """Step 1 of four depends on items 0 and 1; in a padded row, on real ones only."""
    net, given = model(), history([1, 2, 3, 4], [5, 6, 7])
    x = net.embed(given.items).detach().requires_grad_()
    net.encode(x, given)[:, 1].sum().backward()
    assert (x.grad.abs().sum(2) > 0).tolist() == [[True, True, False, False], [False, True, False, False]]


def test_the_layers_are_ligr_over_items_and_positions():
    """Shut gates leave the item's vector and its position: no scale goes in, and no norm comes out."""
    net, given = model(), history([1, 2, 3])
    for layer in net.layers:
        assert isinstance(layer, LiGRLayer)
        for gate in (layer.attention_gate, layer.feed_forward_gate):
            nn.init.zeros_(gate.weight), nn.init.constant_(gate.bias, -40.0)
    expected = net.items.weight[[1, 2, 3]] + net.positions.weight[:3].flip(0)
    torch.testing.assert_close(net.encode(net.embed(given.items), given)[0], expected)


def test_histories_longer_than_any_training_row_are_cut():
    net = model().train()
    given = history([1, 2, 3])
    net.encode(net.embed(given.items), given)
    net.eval()
    torch.testing.assert_close(net.state(history([9, 8, 1, 2, 3])), net.state(given))


def test_parameters_by_hand():
    """Table 21 x 8, positions 6 x 8; a layer: attention 4 x 72, SwiGLU 3 x 8 x 32, gates 2 x 72, norms 2 x 16."""
    assert sum(p.numel() for p in model().parameters()) == 21 * 8 + 6 * 8 + 2 * (4 * 72 + 3 * 256 + 2 * 72 + 2 * 16)


def test_the_recipe_trains_as_sasrec_does():
    """The next item at every step."""
    assert compose(["model=esasrec"]).examples.name == "next_item"


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        model(n_heads=3)


def test_the_published_loss_is_cross_entropy_over_the_samples():
    """As in RecTools: no correction of uniform negatives, which ``correction=all`` subtracts from both sides."""
    plan = compose(["model=esasrec", "recipe=published"])
    loss, logits = SampledSoftmax(**plan.loss.options), torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    log_q = torch.full((), -math.log(30))
    drawn = Candidates(torch.ones(5).long(), torch.ones(5, 8).long(), log_q.expand(5), log_q.expand(5, 8))
    torch.testing.assert_close(loss(logits, drawn), F.cross_entropy(logits, torch.zeros(5).long(), reduction="none"))
    assert plan.optimizer["beta2"] == 0.98
