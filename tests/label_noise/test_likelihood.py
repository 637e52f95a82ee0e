"""Noisy labels: the published gradients by hand, probabilities that add up, fixed points, and limits."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from recpref.label_noise.likelihood import Likelihood, auc, liked, logit, observed, unobserved

SCORE = torch.linspace(-4, 4, 9, dtype=torch.float64).repeat_interleave(7)
FLIP = torch.linspace(-3, 3, 7, dtype=torch.float64).repeat(9)


def gradients(part, likelihood: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Of what is maximised, by autograd."""
    score, flip = SCORE.clone().requires_grad_(), FLIP.clone().requires_grad_()
    part(likelihood, score, flip).sum().neg().backward()
    return score.grad, flip.grad


def table(likelihood: str) -> tuple[torch.Tensor, ...]:
    """The gradients of the authors' code: of the positive's score and flip, then of the negative's."""
    s, t, g = torch.sigmoid(SCORE), torch.sigmoid(-SCORE), torch.sigmoid(FLIP)
    if likelihood == "nbpo":
        return (1 - g) * t, -g * s, g * t - s, (1 - g) * s
    if likelihood == "nbpo_s":
        return (1 - g) * s * t, -g * (1 - g) * s, (g - 1) * s * t, g * (1 - g) * s
    z = t + g * s
    if likelihood == "nbpo_e":  # scores as in nbpo, flips as in nbpo_o
        return (1 - g) * t, -g, g * t - s, g * (1 - g) * s / z
    if likelihood == "nbpo_w":  # flips as there, and scores as without flips, each at its weight
        return (1 - g) * t, -g, -(1 - g) * s, g * (1 - g) * s / z
    return t, -g, (g - 1) * s * t / z, g * (1 - g) * s / z


@pytest.mark.parametrize("likelihood", get_args(Likelihood))
def test_gradients_are_those_of_the_paper(likelihood):
    found = *gradients(observed, likelihood), *gradients(unobserved, likelihood)
    for mine, theirs in zip(found, table(likelihood), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-9, rtol=0)


def test_observed_and_unobserved_are_all_there_is():
    """exp(-loss) of the original likelihood is a probability; the two sum to 1."""
    total = torch.exp(-observed("nbpo_o", SCORE, FLIP)) + torch.exp(-unobserved("nbpo_o", SCORE, FLIP))
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-12, rtol=0)


def test_one_pair_by_hand():
    """sigmoid(0) = 1/2 and gamma = 1/4: observed with 3/8, liked among the unobserved with (1/8) / (5/8)."""
    score, flip = torch.zeros(1, dtype=torch.float64), torch.tensor([logit(0.25)], dtype=torch.float64)
    assert observed("nbpo_o", score, flip).item() == pytest.approx(-math.log(3 / 8))
    assert unobserved("nbpo_o", score, flip).item() == pytest.approx(-math.log(5 / 8))
    assert liked(score, flip).item() == pytest.approx(0.2)


@pytest.mark.parametrize("likelihood", ["nbpo", "nbpo_o", "nbpo_e", "nbpo_w"])
def test_without_flips_only_preferences_are_left(likelihood):
    """gamma -> 0 is Bayesian point-wise optimisation, in value and gradient."""
    for part, sign in ((observed, 1), (unobserved, -1)):
        score = SCORE.clone().requires_grad_()
        loss = part(likelihood, score, torch.full_like(score, logit(0.0)))
        (found,) = torch.autograd.grad(loss.sum(), score)
        plain = -torch.nn.functional.logsigmoid(sign * score)
        torch.testing.assert_close(loss, plain, atol=1e-9, rtol=0)
        torch.testing.assert_close(found, torch.autograd.grad(plain.sum(), score)[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize(("positives", "negatives"), [(0, 1), (1, 1), (3, 2)])
def test_fixed_points(positives, negatives):
    """n+ (1 - gamma) (1 - p) = n- (p - gamma (1 - p)), solved for p; with negatives alone p = gamma / (1 + gamma)."""
    gamma = 0.4
    flip = torch.tensor([logit(gamma)], dtype=torch.float64)
    p = (positives * (1 - gamma) + negatives * gamma) / (positives * (1 - gamma) + negatives * (1 + gamma))
    score = torch.tensor([p], dtype=torch.float64).logit().requires_grad_()
    loss = positives * observed("nbpo", score, flip) + negatives * unobserved("nbpo", score, flip)
    assert torch.autograd.grad(loss.sum(), score)[0].item() == pytest.approx(0, abs=1e-9)


def test_the_exact_likelihood_is_expectation_maximisation():
    """A negative's score moves by (liked - sigmoid(score)): its label is the posterior."""
    score = SCORE.clone().requires_grad_()
    (found,) = torch.autograd.grad(unobserved("nbpo_o", score, FLIP).sum(), score)
    torch.testing.assert_close(-found, liked(SCORE, FLIP) - torch.sigmoid(SCORE), atol=1e-12, rtol=0)


def test_extreme_logits_stay_finite():
    score, flip = torch.tensor([-200.0, 200.0, 200.0]), torch.tensor([-200.0, -200.0, 200.0])
    for likelihood in get_args(Likelihood):
        for part in (observed, unobserved):
            leaf = score.clone().requires_grad_()
            loss = part(likelihood, leaf, flip.clone().requires_grad_()).sum()
            assert torch.isfinite(loss)
            assert torch.isfinite(torch.autograd.grad(loss, leaf)[0]).all()


def test_auc_counts_pairs():
    """2 > 1, 2 = 2, 3 > 1, 3 > 2 of four pairs: 3.5 / 4; nothing to compare is no number."""
    assert auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0])) == 3.5 / 4
    assert math.isnan(auc(torch.tensor([]), torch.tensor([1.0])))


@pytest.mark.parametrize("wrong", [-0.1, 1.0])
def test_a_flip_probability_is_one(wrong):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\)"):
        logit(wrong)


def test_a_logit_stays_within_thirty():
    """log(1/3) is that of a quarter; 0 has none below -30."""
    assert logit(0.25) == pytest.approx(-1.0986123)
    assert logit(0) == -30
