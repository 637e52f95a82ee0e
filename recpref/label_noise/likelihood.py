"""Noisy labels: an item that was not observed may be liked all the same.

A pair is liked with probability ``sigmoid(score)``. A liked pair goes unobserved with its flip probability
``gamma = sigmoid(flip)``; what is observed is liked. Hence ``P(observed) = (1 - gamma) sigmoid(score)`` and
``P(not observed) = sigmoid(-score) + gamma sigmoid(score)``.

Source: Yu and Qin, "Sampler design for implicit feedback data by noisy-label robust learning" (SIGIR 2020), and the gradients
in the authors' code, of which there are three kinds:

* ``nbpo_o``: the log-likelihood as it is;
* ``nbpo_s``: the surrogate, a sum of probabilities in place of their product;
* ``nbpo``: the surrogate, with the gradient of every ``sigmoid`` replaced by that of its logarithm. No scalar has this
  gradient; the parts that it holds constant are detached here;
* ``nbpo_e`` (ours): scores as in ``nbpo``, flips by the exact likelihood as in ``nbpo_o``, whose posterior finds flips better;
* ``nbpo_w`` (ours): flips as in ``nbpo_e``, and each term of a score weighs ``1 - gamma``, negatives too, as if a label were left out as
  often as it may be flipped: scores are learned where the record is complete. With a constant gamma it is plain preference, scaled.

A flip that carries no gradient is a constant: the terms of ``nbpo`` that only move flips are then left out.

Divergences: the authors set a sigmoid beyond +-10 to 0 or 1 and add 1e-10 to a denominator; logarithms are exact here.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Likelihood = Literal["nbpo", "nbpo_s", "nbpo_o", "nbpo_e", "nbpo_w"]


def observed(likelihood: Likelihood, score: Float[Tensor, "*M"], flip: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """The loss of pairs that were observed; its gradient reaches both logits. Units: nats (``nbpo_s``: probability)."""
    if likelihood == "nbpo_o":
        return -F.logsigmoid(score) - F.logsigmoid(-flip)
    if likelihood == "nbpo_s":
        return -torch.sigmoid(-flip) * torch.sigmoid(score)
    known = -torch.sigmoid(-flip).detach() * F.logsigmoid(score)
    if likelihood in ("nbpo_e", "nbpo_w"):
        return known - F.logsigmoid(-flip)
    return known - torch.sigmoid(score).detach() * F.logsigmoid(-flip) if flip.requires_grad else known


def unobserved(likelihood: Likelihood, score: Float[Tensor, "*M"], flip: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """The loss of pairs that were not observed."""
    if likelihood == "nbpo_o":
        return -F.logsigmoid(-score) - F.softplus(F.logsigmoid(flip) + score)
    if likelihood == "nbpo_s":
        return -torch.sigmoid(-score) - torch.sigmoid(flip) * torch.sigmoid(score)
    if likelihood == "nbpo_w":
        known = -torch.sigmoid(-flip).detach() * F.logsigmoid(-score)
    else:
        known = -F.logsigmoid(-score) - torch.sigmoid(flip).detach() * F.logsigmoid(score)
    if likelihood in ("nbpo_e", "nbpo_w"):
        return known - F.softplus(F.logsigmoid(flip) + score.detach())
    return known - torch.sigmoid(score).detach() * F.logsigmoid(flip) if flip.requires_grad else known


def liked(score: Float[Tensor, "*M"], flip: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """The probability that a pair is liked although it was not observed: ``gamma sigmoid(s) / (sigmoid(-s) + gamma sigmoid(s))``."""
    return torch.sigmoid(F.logsigmoid(flip) + score)


def logit(probability: float) -> float:
    """``log(p / (1 - p))``, within +-30. Raises: ValueError for what is no probability."""
    if not 0 <= probability < 1:
        raise ValueError(f"a flip probability of {probability} must lie in [0, 1)")
    return float(torch.tensor(probability, dtype=torch.float64).logit().clamp(-30, 30))


def summary(positive: Float[Tensor, " n"], negative: Float[Tensor, " m"]) -> dict[str, float]:
    """What the log says of flip probabilities: mean and deviation of those of negatives, and the chance that a negative's exceeds a
    positive's."""
    spread = float(negative.std(correction=0)) if len(negative) else float("nan")
    return {"flip_mean": float(negative.mean()), "flip_sd": spread, "flip_auc": auc(negative, positive)}


def auc(higher: Float[Tensor, " n"], lower: Float[Tensor, " m"]) -> float:
    """The chance that one of ``higher`` exceeds one of ``lower``, ties counting half; NaN where either is empty."""
    if not len(higher) or not len(lower):
        return float("nan")
    ordered, higher = lower.sort().values, higher.contiguous()
    below = torch.searchsorted(ordered, higher) + torch.searchsorted(ordered, higher, right=True)
    return float(below.double().mean() / (2 * len(ordered)))
