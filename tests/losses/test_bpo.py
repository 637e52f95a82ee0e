"""BPO: by hand, its gradients of the paper, and twice BCE with one negative."""

from __future__ import annotations

import math

import pytest
import torch

from recpref.losses.bce import BCE
from recpref.losses.bpo import BPO
from recpref.types import Candidates


def test_by_hand() -> None:
    """Probabilities 1/2 for the positive, 3/4 and 1/2 for negatives: ln 2 + (ln 4 + ln 2) / 2."""
    logits, candidates = torch.tensor([[0.0, math.log(3), 0.0]]), Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))
    assert BPO()(logits, candidates).item() == pytest.approx(2.5 * math.log(2), abs=1e-6)


def test_with_one_negative_it_is_twice_bce() -> None:
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    candidates = Candidates(torch.ones(5).long(), torch.full((5, 1), 2))
    torch.testing.assert_close(BPO()(logits, candidates), 2 * BCE()(logits, candidates))


def test_gradients_are_the_papers() -> None:
    """-sigmoid(-s) for the positive and sigmoid(s) for a negative, of which there are two."""
    logits = torch.tensor([[0.7, -0.4, 1.3]], dtype=torch.float64, requires_grad=True)
    BPO()(logits, Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))).sum().backward()
    s = logits.detach()[0]
    expected = torch.stack([-(-s[0]).sigmoid(), s[1].sigmoid() / 2, s[2].sigmoid() / 2])
    torch.testing.assert_close(logits.grad[0], expected)
