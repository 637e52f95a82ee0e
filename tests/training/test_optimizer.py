"""The optimiser: its course by hand, what decays, and the average of the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from recpref.training.optimizer import Optimizer


class Net(nn.Module):
    """A table, a weight, a bias and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 2)
        self.linear = nn.Linear(2, 2)
        self.norm = nn.LayerNorm(2)


def factors(n_steps: float, steps: range | list[int], **options: object) -> list[float]:
    return [Optimizer(**options).factor(step, n_steps) for step in steps]


def test_warm_up_by_hand() -> None:
    """Four steps: 1/4, 2/4, 3/4, 4/4, then constant."""
    assert factors(100, range(6), warmup_steps=4) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(100, [0, 1, 99], warmup_steps=0) == [1, 1, 1]


def test_linear_by_hand() -> None:
    """Ten steps: 1 - step / 10; beyond the end it stays at zero."""
    assert factors(10, [0, 1, 5, 9, 10, 11], decay="linear") == pytest.approx([1, 0.9, 0.5, 0.1, 0, 0], abs=1e-15)


def test_cosine_by_hand() -> None:
    """(1 + cos(pi * step / 12)) / 2: cos is 1, .866, .5, 0, -.5, -1."""
    expected = [1, (1 + math.sqrt(3) / 2) / 2, 0.75, 0.5, 0.25, 0, 0]
    assert factors(12, [0, 2, 4, 6, 8, 12, 20], decay="cosine") == pytest.approx(expected, abs=1e-15)


def test_after_warm_up_decay_counts_from_step_0() -> None:
    """As in BERT: with 4 of 10 steps warm-up, step 5 has 1 - 5 / 10."""
    assert factors(10, [4, 5, 9], decay="linear", warmup_steps=4) == pytest.approx([0.6, 0.5, 0.1], abs=1e-15)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_warm_up_is_linear_whatever_follows(decay: str) -> None:
    """In BERT's optimisation the decay does not touch the warm-up."""
    assert factors(8, range(4), decay=decay, warmup_steps=4) == pytest.approx([0.25, 0.5, 0.75, 1], abs=1e-15)


@pytest.mark.parametrize("decay", ["none", "linear", "cosine"])
def test_without_an_end_nothing_decays(decay: str) -> None:
    assert factors(math.inf, [0, 3, 10**6], decay=decay, warmup_steps=4) == [0.25, 1, 1]


def test_the_rate_of_each_step() -> None:
    """lr .1, two steps of warm-up, linear over four: step 0 runs at .1 * 1/2, steps 2 and 3 at .1 * 2/4 and .1 * 1/4."""
    optimizer, schedule = Optimizer(lr=0.1, warmup_steps=2, decay="linear")(Net(), 4)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert [rates[n] for n in (0, 2, 3, 4)] == pytest.approx([0.05, 0.05, 0.025, 0], abs=1e-15)


@pytest.mark.parametrize(("method", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_the_method_and_its_betas(method: str, kind: type) -> None:
    optimizer, _ = Optimizer(method=method, lr=0.02, beta2=0.98)(Net(), 10)
    assert type(optimizer) is kind
    assert all(group["betas"] == (0.9, 0.98) and group["initial_lr"] == 0.02 for group in optimizer.param_groups)


def test_biases_and_norms_do_not_decay() -> None:
    """Without a gradient AdamW multiplies what decays with 1 - lr * weight_decay = 1 - .1 * .5, and leaves the rest."""
    net = Net()
    nn.init.ones_(net.linear.bias)
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    optimizer, _ = Optimizer(lr=0.1, weight_decay=0.5)(net, 10)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in net.named_parameters():
        share = 0.95 if name in ("table.weight", "linear.weight") else 1.0
        torch.testing.assert_close(value.detach(), before[name] * share, rtol=1e-6, atol=0)


def test_every_parameter_that_trains_is_in_one_group() -> None:
    net = Net()
    net.norm.weight.requires_grad_(False)
    optimizer, _ = Optimizer()(net, 10)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters() if parameter is not net.norm.weight)


@pytest.mark.parametrize("decay", [0.15, 0.5, 0.999])
@pytest.mark.parametrize("n", [1, 2, 12])
def test_average_by_hand(decay: float, n: int) -> None:
    """The first update copies; the next, after m updates, keeps a share of min(decay, (m + 1) / (m + 10))."""
    net = nn.Linear(2, 3)
    averaged = Optimizer(average=decay).averaged(net)
    rng = torch.Generator().manual_seed(0)
    expected = None
    for m in range(n):
        with torch.no_grad():
            net.weight.copy_(torch.randn(3, 2, generator=rng))
        averaged.update_parameters(net)
        keep = min(decay, (m + 1) / (m + 10))
        expected = net.weight.detach().clone() if expected is None else keep * expected + (1 - keep) * net.weight.detach()
    torch.testing.assert_close(averaged.module.weight.detach(), expected, rtol=1e-5, atol=1e-6)
    assert averaged.module.weight is not net.weight


def test_average_takes_buffers_as_they_are() -> None:
    net = nn.BatchNorm1d(2)
    averaged = Optimizer(average=0.9).averaged(net)
    for value in (1.0, 5.0):
        net.running_mean.fill_(value)
        averaged.update_parameters(net)
    assert averaged.module.running_mean.tolist() == [5, 5]


def test_without_average_there_is_none() -> None:
    assert Optimizer().averaged(Net()) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"optimizer\.lr=0\.0 must be positive"),
        ({"lr": -1e-3}, r"optimizer\.lr=-0\.001 must be positive"),
        ({"lr": math.nan}, r"optimizer\.lr=nan must be positive"),
        ({"weight_decay": -0.1}, r"optimizer\.weight_decay=-0\.1 and .* must not be negative"),
        ({"warmup_steps": -1}, r"optimizer\.warmup_steps=-1 must not be negative"),
        ({"beta2": 1.0}, r"optimizer\.beta2=1\.0 must lie in \(0, 1\)"),
        ({"beta2": 0.0}, r"optimizer\.beta2=0\.0 must lie in \(0, 1\)"),
        ({"average": 1.0}, r"optimizer\.average=1\.0 must lie in \[0, 1\)"),
        ({"average": -0.5}, r"optimizer\.average=-0\.5 must lie in \[0, 1\)"),
    ],
)
def test_options_that_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Optimizer(**options)
