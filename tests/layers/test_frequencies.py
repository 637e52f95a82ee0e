"""Filters in the frequency domain: a circular convolution, in any precision. More by hand in test_adapters.py and in test_fmlprec.py."""

from __future__ import annotations

import pytest
import torch

from recpref.layers.frequencies import filtered


@pytest.mark.parametrize("length", [6, 7])
def test_it_is_a_circular_convolution(length: int) -> None:
    """With the inverse transform of the filter, summed by hand in double precision."""
    rng = torch.Generator().manual_seed(length)
    x = torch.randn(2, length, 3, generator=rng, dtype=torch.float64)
    weight = torch.randn(length // 2 + 1, 3, 2, generator=rng, dtype=torch.float64)
    kernel = torch.fft.irfft(torch.view_as_complex(weight), n=length, dim=0)  # [L, D]
    expected = torch.zeros_like(x)
    for step in range(length):
        for before in range(length):
            expected[:, step] += kernel[(step - before) % length] * x[:, before]
    torch.testing.assert_close(filtered(x, weight), expected)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_at_the_end_only(precision: torch.dtype) -> None:
    """A length that is no power of two, which transforms in half precision do not take."""
    rng = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 50, 4, generator=rng).to(precision), torch.randn(26, 4, 2, generator=rng).to(precision)
    found = filtered(x.requires_grad_(), weight)
    assert found.dtype == precision
    assert torch.equal(found, filtered(x.float(), weight.float()).to(precision))
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == precision
