"""BPR-max: by hand, a loop, and BPR with one negative."""

from __future__ import annotations

import math

import pytest
import torch

from recpref.losses.bpr import BPR
from recpref.losses.bpr_max import BPRMax
from recpref.types import Candidates


def given(n: int) -> tuple[torch.Tensor, Candidates]:
    logits = torch.randn(5, 1 + n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return logits, Candidates(torch.ones(5).long(), torch.full((5, n), 2))


def test_by_hand() -> None:
    """Negatives ln 3 and 0 weigh 3/4 and 1/4; the positive beats them with 1/2 and 3/4: -ln(9/16), and 3/4 (ln 3)^2 of penalty."""
    logits, candidates = torch.tensor([[math.log(3), math.log(3), 0.0]]), Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))
    expected = -math.log(9 / 16) + 0.5 * 0.75 * math.log(3) ** 2
    assert BPRMax(penalty=0.5)(logits, candidates).item() == pytest.approx(expected, abs=1e-6)


def test_it_is_the_sum_of_the_paper() -> None:
    logits, candidates = given(4)
    positive, negatives = logits[:, :1], logits[:, 1:]
    weights = negatives.softmax(1)
    expected = -(weights * (positive - negatives).sigmoid()).sum(1).log() + 2 * (weights * negatives**2).sum(1)
    torch.testing.assert_close(BPRMax(penalty=2.0)(logits, candidates), expected)


def test_with_one_negative_and_no_penalty_it_is_bpr() -> None:
    torch.testing.assert_close(BPRMax(penalty=0.0)(*given(1)), BPR()(*given(1)), rtol=0, atol=1e-14)


def test_an_accidental_positive_has_no_weight() -> None:
    """With the negative ln 3 alone: the positive, ln 3 too, beats it with 1/2, so ln 2, and 1/2 (ln 3)^2 of penalty."""
    found = Candidates(torch.tensor([1]), torch.tensor([[1, 2]]), hit=torch.tensor([[True, False]]))
    values = BPRMax(penalty=0.5)(torch.tensor([[math.log(3), -math.inf, math.log(3)]]), found)
    assert values.item() == pytest.approx(math.log(2) + 0.5 * math.log(3) ** 2, abs=1e-6)


def test_a_row_of_accidental_positives_costs_nothing() -> None:
    hit = torch.ones(1, 2, dtype=torch.bool)
    logits = torch.tensor([[1.0, -torch.inf, -torch.inf]])
    assert BPRMax()(logits, Candidates(torch.tensor([1]), torch.tensor([[1, 1]]), hit=hit)).item() == 0


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_penalty_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=rf"loss\.penalty={value} must not be negative, and must be finite"):
        BPRMax(penalty=value)
