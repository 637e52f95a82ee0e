"""BPR: by hand, and only differences matter."""

from __future__ import annotations

import math

import pytest
import torch

from recpref.losses.bpr import BPR
from recpref.types import Candidates

CANDIDATES = Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))


def test_by_hand() -> None:
    """Differences 0 and ln 3: probabilities 1/2 and 3/4, so (ln 2 + ln 4/3) / 2."""
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert BPR()(torch.tensor([[math.log(3), math.log(3), 0.0]]), CANDIDATES).item() == pytest.approx(expected, abs=1e-6)


def test_a_constant_added_to_all_scores_changes_nothing() -> None:
    logits = torch.tensor([[0.3, -0.2, 1.1]])
    torch.testing.assert_close(BPR()(logits, CANDIDATES), BPR()(logits + 5, CANDIDATES))


def test_an_accidental_positive_is_not_in_the_mean() -> None:
    marked = BPR()(torch.tensor([[0.3, -torch.inf, 0.1]]), CANDIDATES._replace(hit=torch.tensor([[True, False]])))
    torch.testing.assert_close(marked, BPR()(torch.tensor([[0.3, 0.1]]), Candidates(torch.tensor([1]), torch.tensor([[3]]))))
