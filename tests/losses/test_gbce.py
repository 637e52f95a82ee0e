"""Generalised BCE: by hand, its two ends, and the authors' transform of the logit in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recpref.losses.bce import BCE
from recpref.losses.gbce import GBCE
from recpref.types import Candidates

V = 41


def given(scale: float = 1.0, n: int = 10) -> tuple[torch.Tensor, Candidates]:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 1 + n, generator=rng, dtype=torch.float64) * scale
    return logits, Candidates(torch.ones(6).long(), torch.full((6, n), 2))


def test_by_hand() -> None:
    """10 of the 40 other items: a = 1/4. t = 1/2: beta = 1/4 (1/2 (1 - 4) + 4) = 5/8. All scores 0: (5/8 + 10) ln 2 / 11."""
    assert GBCE(V, t=0.5).beta(10) == 5 / 8
    logits, candidates = given(0)
    torch.testing.assert_close(GBCE(V, t=0.5)(logits, candidates), torch.full((6,), 10.625 / 11 * math.log(2), dtype=torch.float64))


def test_its_ends() -> None:
    """t = 0 is BCE; t = 1 is the share of the negatives that was sampled; with every other item sampled all t are BCE."""
    torch.testing.assert_close(GBCE(V, t=0.0)(*given()), BCE()(*given()), rtol=0, atol=0)
    assert GBCE(V, t=1.0).beta(10) == 10 / 40
    assert GBCE(V, t=1.0).beta(1) == pytest.approx(1 / 40)  # one negative is enough
    torch.testing.assert_close(GBCE(V, t=0.9)(*given(n=40)), BCE()(*given(n=40)))


@pytest.mark.parametrize("t", [0.25, 0.75, 1.0])
def test_it_is_bce_of_the_transformed_logit(t: float) -> None:
    """``log(1 / (sigmoid(s)^-beta - 1))`` as the positive's logit: values and gradients, to the precision that leaves."""
    logits, candidates = given(3)
    a = 10 / (V - 1)
    beta = a * (t * (1 - 1 / a) + 1 / a)
    left, right = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    positive = -torch.log(right[:, :1].sigmoid() ** -beta - 1)
    answers = torch.zeros_like(logits).index_fill(1, torch.tensor(0), 1)
    theirs = F.binary_cross_entropy_with_logits(torch.cat([positive, right[:, 1:]], 1), answers, reduction="none").mean(1)
    ours = GBCE(V, t=t)(left, candidates)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    ours.sum().backward(), theirs.sum().backward()
    torch.testing.assert_close(left.grad, right.grad, rtol=1e-8, atol=1e-8)


def test_single_precision_is_enough() -> None:
    """Scores of 40, where sigmoid is 1 in single precision and the authors' transform divides by zero."""
    logits, candidates = given(40)
    torch.testing.assert_close(GBCE(V)(logits.float(), candidates).double(), GBCE(V)(logits, candidates), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_with_a_prior_scores_of_zero_pull_in_no_common_direction(t: float) -> None:
    """``beta (1 - p) = k p`` at a score of 0; with t = 0 it is BCE's prior."""
    logits, candidates = given(0)
    logits.requires_grad_()
    GBCE(V, t=t, prior=True)(logits, candidates).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(1), torch.zeros(6, dtype=torch.float64))
    torch.testing.assert_close(GBCE(V, t=0.0, prior=True)(*given()), BCE(prior=True)(*given()), rtol=0, atol=0)
    offset = math.log(10 / GBCE(V, t=t).beta(10))
    torch.testing.assert_close(GBCE(V, t=t, prior=True)(*given()), GBCE(V, t=t)(given()[0] - offset, given()[1]))


@pytest.mark.parametrize("n", [0, 41])
def test_a_number_of_negatives_that_is_no_share_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=rf"loss=gbce with {n} negatives: sampler\.n_negatives must lie between 1 and 40"):
        GBCE(V)(*given(n=n))


@pytest.mark.parametrize("t", [-0.1, 1.1, math.nan])
def test_t_is_a_share(t: float) -> None:
    with pytest.raises(ValueError, match=r"loss\.t=.* must lie in \[0, 1\]"):
        GBCE(V, t=t)
