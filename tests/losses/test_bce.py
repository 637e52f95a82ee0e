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


def test_with_a_prior_a_score_of_zero_is_the_share_of_yes() -> None:
    """N scores of 0 cost what the constant answer 1 / (1 + N) does, and pull in no common direction; without it they do."""
    n = 7
    candidates = Candidates(torch.ones(3).long(), torch.full((3, n), 2))
    common = {}
    for prior in (True, False):
        logits = torch.zeros(3, 1 + n, dtype=torch.float64, requires_grad=True)
        losses = BCE(prior=prior)(logits, candidates)
        losses.sum().backward()
        common[prior] = logits.grad.sum(1)  # type: ignore[union-attr]
        if prior:
            entropy = -(math.log(1 / (1 + n)) + n * math.log(n / (1 + n))) / (1 + n)
            torch.testing.assert_close(losses, torch.full((3,), entropy, dtype=torch.float64))
    torch.testing.assert_close(common[True], torch.zeros(3, dtype=torch.float64))
    assert (common[False] > 0.3).all()


def test_the_prior_is_an_offset_of_every_score() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    candidates = Candidates(torch.ones(5).long(), torch.ones(5, 8).long())
    torch.testing.assert_close(BCE(prior=True)(logits, candidates), BCE()(logits - math.log(8), candidates))
    one = Candidates(candidates.positive, candidates.negatives[:, :1])  # type: ignore[index]
    torch.testing.assert_close(BCE(prior=True)(logits[:, :2], one), BCE()(logits[:, :2], one), rtol=0, atol=0)


def test_the_prior_knows_of_accidental_positives_and_of_none_at_all() -> None:
    negatives = torch.tensor([[2, 3]])
    logits = torch.tensor([[0.3, -torch.inf, 0.1]], requires_grad=True)
    loss = BCE(prior=True)(logits, Candidates(torch.tensor([2]), negatives, hit=negatives == 2))
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 1] == 0
    nothing = BCE(prior=True)(torch.tensor([[0.3]]), Candidates(torch.tensor([2]), negatives[:, :0]))
    torch.testing.assert_close(nothing, BCE()(torch.tensor([[0.3]]), Candidates(torch.tensor([2]), negatives[:, :0])))
