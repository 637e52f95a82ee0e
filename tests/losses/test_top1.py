"""TOP1 and TOP1-max: by hand, and equal where the negatives' scores are."""

from __future__ import annotations

import math

import pytest
import torch

from recpref.losses.top1 import TOP1
from recpref.types import Candidates

CANDIDATES = Candidates(torch.tensor([1]), torch.tensor([[2, 3]]))


def test_by_hand() -> None:
    """Positive ln 3; negatives ln 3 and 0 are above it with 1/2 and 1/4; the push is sigmoid((ln 3)^2) and 1/2.

    TOP1 takes the mean, and TOP1-max weighs by 3/4 and 1/4.
    """
    logits, push = torch.tensor([[math.log(3), math.log(3), 0.0]]), 1 / (1 + math.exp(-(math.log(3) ** 2)))
    assert TOP1()(logits, CANDIDATES).item() == pytest.approx((0.5 + push + 0.25 + 0.5) / 2, abs=1e-6)
    assert TOP1(weights="softmax")(logits, CANDIDATES).item() == pytest.approx(0.75 * (0.5 + push) + 0.25 * 0.75, abs=1e-6)
    assert TOP1(penalty=0.0)(logits, CANDIDATES).item() == pytest.approx(0.375, abs=1e-6)


def test_equal_scores_weigh_equally() -> None:
    logits = torch.tensor([[0.3, -0.2, -0.2]])
    torch.testing.assert_close(TOP1()(logits, CANDIDATES), TOP1(weights="softmax")(logits, CANDIDATES))


@pytest.mark.parametrize("weights", ["equal", "softmax"])
def test_an_accidental_positive_is_left_out(weights: str) -> None:
    marked = TOP1(weights=weights)(torch.tensor([[0.3, -torch.inf, 0.1]]), CANDIDATES._replace(hit=torch.tensor([[True, False]])))
    alone = TOP1(weights=weights)(torch.tensor([[0.3, 0.1]]), Candidates(torch.tensor([1]), torch.tensor([[3]])))
    torch.testing.assert_close(marked, alone)


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_penalty_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=rf"loss\.penalty={value} must not be negative, and must be finite"):
        TOP1(penalty=value)
