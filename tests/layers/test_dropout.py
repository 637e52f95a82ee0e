"""Dropout: its rate, its expectation, its gradient, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recpref.layers.dropout import Dropout


def test_dropout_scales_by_the_rounded_rate():
    """A rate of .2 keeps round(.8 * 256) = 205 of 256; what is kept is multiplied by 256 / 205."""
    torch.manual_seed(0)
    values = Dropout(0.2)(torch.ones(10_000)).unique()
    torch.testing.assert_close(values, torch.tensor([0.0, 256 / 205]))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_expectation_and_drops_at_the_rounded_rate(rate):
    """With p kept of n values, the mean deviates by sqrt((1 - p) / (p n)) and the zero fraction by sqrt(p (1 - p) / n)."""
    torch.manual_seed(1)
    n, kept = 200_000, round((1 - rate) * 256) / 256
    dropped = Dropout(rate)(torch.ones(n))
    assert abs(float(dropped.double().mean()) - 1) < 4 * ((1 - kept) / (kept * n)) ** 0.5
    assert abs(float((dropped == 0).double().mean()) - (1 - kept)) < 4 * (kept * (1 - kept) / n) ** 0.5
    assert abs((1 - kept) - rate) <= 1 / 512


@pytest.mark.parametrize("rate", [0.001, 0.0019])
def test_dropout_at_a_rate_that_rounds_to_zero_drops_nothing(rate):
    """Round(.9981 * 256) is 256, which fits no byte: a trap, because a byte compares with 256 as with 0."""
    assert bool((Dropout(rate)(torch.ones(10_000)) == 1).all())


def test_dropout_at_a_rate_next_to_one_keeps_the_expectation():
    """Round(.001 * 256) is 0, so that 1 of 256 is kept: the deviation of the mean is sqrt(255 / n)."""
    torch.manual_seed(3)
    dropped = Dropout(0.999)(torch.ones(400_000))
    assert float(dropped.max()) == 256
    assert abs(float(dropped.double().mean()) - 1) < 4 * (255 / 400_000) ** 0.5


def test_dropout_in_evaluation_or_at_rate_zero_is_the_identity():
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_gradient_of_dropout_is_its_mask():
    def dropped(x: Tensor) -> Tensor:
        torch.manual_seed(4)
        return Dropout(0.4)(x)

    x = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(dropped, x)
    (gradient,) = torch.autograd.grad(dropped(x).sum(), x)
    torch.testing.assert_close(gradient, dropped(x) / x)


@given(st.lists(st.integers(0, 5), min_size=0, max_size=4), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
@settings(max_examples=25, deadline=None)
def test_dropout_keeps_shape_and_type_whatever_the_number_of_elements(shape, dtype):
    x = torch.ones(shape, dtype=dtype)
    dropped = Dropout(0.5)(x)
    assert dropped.shape == x.shape
    assert dropped.dtype == dtype
    assert bool(((dropped == 0) | (dropped == 2)).all())


def test_dropout_neighbours_are_independent():
    """Each of 64 places within eight words is dropped half the time, and two neighbours a quarter of the time (n = 20,000)."""
    torch.manual_seed(5)
    dropped = torch.stack([Dropout(0.5)(torch.ones(64)) for _ in range(2000)]) == 0
    assert abs(float(dropped.double().mean()) - 0.5) < 0.01
    both = (dropped[:, 1:] & dropped[:, :-1]).double().mean(0)
    assert float((both - 0.25).abs().max()) < 5 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_dropout_refuses_a_rate_outside_its_range(rate):
    with pytest.raises(ValueError, match=rf"dropout rate of {rate} must lie in \[0, 1\)"):
        Dropout(rate)
