"""Binary cross-entropy: by hand, and torch's over all answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recpref.losses.bce import BCE
from recpref.types import Candidates


def test_by_hand() -> None:
    """Probabilities 1/2 for the positive, 3/4 and 1/2 for negatives: (ln 2 + ln 4 + ln 2) / 3."""
    logits, candidates = torch.tensor([[0.0, math.log(3), 0.0]]), Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))
    assert BCE()(logits, candidates).item() == pytest.approx((math.log(2) + math.log(4) + math.log(2)) / 3, abs=1e-6)


def test_it_is_torchs_mean_over_all_answers() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    answers = torch.zeros(5, 4, dtype=torch.float64).index_fill(1, torch.tensor(0), 1)
    expected = F.binary_cross_entropy_with_logits(logits, answers, reduction="none").mean(1)
    torch.testing.assert_close(BCE()(logits, Candidates(torch.ones(5).long(), torch.ones(5, 3).long())), expected)


def test_an_accidental_positive_is_not_among_the_answers() -> None:
    negatives = torch.tensor([[2, 3]])
    marked = BCE()(torch.tensor([[0.3, -torch.inf, 0.1]]), Candidates(torch.tensor([2]), negatives, hit=negatives == 2))
    torch.testing.assert_close(marked, BCE()(torch.tensor([[0.3, 0.1]]), Candidates(torch.tensor([2]), negatives[:, 1:])))
