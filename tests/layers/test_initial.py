"""How weights begin: BERT's numbers, and scipy's truncated normal."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from recpref.layers.initial import initialise, truncated_normal
from recpref.layers.transformer import Positions


def test_weights_start_as_berts_do():
    """N(0, .02) cut at two deviations has a deviation of .88 * .02 = .0176; biases start at 0 and norms at 1."""
    torch.manual_seed(0)
    module = nn.ModuleDict(
        {"linear": nn.Linear(100, 100), "table": nn.Embedding(100, 100), "norm": nn.LayerNorm(4), "at": Positions(100, 100)}
    )
    initialise(module)
    for name in ("linear", "table", "at"):
        weight = module[name].weight
        assert float(weight.detach().abs().max()) <= 0.04
        assert float(weight.detach().std()) == pytest.approx(0.0176, rel=0.03)
    assert not module["linear"].bias.any()
    assert bool((module["norm"].weight == 1).all())
    assert not module["norm"].bias.any()


def test_many_numbers_are_drawn_from_the_same_distribution(monkeypatch: pytest.MonkeyPatch):
    """scipy's truncated normal is the oracle, for both ways; the smaller one is torch's, number by number."""
    cut = stats.truncnorm(-2, 2, scale=0.3)
    few, many, torchs = (torch.empty(200, 100) for _ in range(3))
    torch.manual_seed(1)
    truncated_normal(few, 0.3)
    torch.manual_seed(1)
    nn.init.trunc_normal_(torchs, std=0.3, a=-0.6, b=0.6)
    assert torch.equal(few, torchs)
    monkeypatch.setattr("recpref.layers.initial.MANY", 20_000)
    truncated_normal(many, 0.3)
    assert not torch.equal(few, many)
    for weight in (few, many):
        assert float(weight.abs().max()) <= 0.6
        assert stats.kstest(weight.flatten().double().numpy(), cut.cdf).pvalue > 0.01
