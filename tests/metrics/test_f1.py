"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

import pytest
import torch

from recpref.metrics.f1 import f1
from recpref.metrics.precision import precision
from recpref.metrics.recall import recall


def test_by_hand() -> None:
    """Hits 1 0 1 with 4 relevant: P = 2/3, R = 2/4, so 2 * (1/3) / (7/6) = 4/7."""
    assert f1(torch.tensor([[1, 0, 1]]).bool(), torch.tensor([4]), 3).item() == pytest.approx(4 / 7, abs=1e-15)


def test_is_the_harmonic_mean() -> None:
    hits = torch.rand(50, 8, generator=torch.Generator().manual_seed(0)) < 0.4
    hits[:, 0] = True  # otherwise the mean is 0 / 0
    relevant = hits.sum(1) + 2
    for k in (1, 4, 8, 12):
        p, r = precision(hits, relevant, k), recall(hits, relevant, k)
        torch.testing.assert_close(f1(hits, relevant, k), 2 / (1 / p + 1 / r), rtol=0, atol=1e-12)


def test_nothing_found() -> None:
    assert f1(torch.zeros(1, 3).bool(), torch.tensor([4]), 3).item() == 0
