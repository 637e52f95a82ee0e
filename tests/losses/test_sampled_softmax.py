"""Sampled softmax: by hand, equal to the whole softmax where nothing is left out, and unbiased where something is."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recpref.losses.cross_entropy import CrossEntropy
from recpref.losses.sampled_softmax import SampledSoftmax
from recpref.negatives import candidates
from recpref.samplers.popularity import popular_draw, shares
from recpref.samplers.uniform import Uniform
from recpref.types import Batch, Candidates, History

NOBODY = SimpleNamespace(user=np.zeros(0, dtype=np.int64), item=np.zeros(0, dtype=np.int64))  # training rows that no one asks for
V = 12


def batch_of(*targets: int) -> Batch:
    tensor = torch.tensor(targets)[:, None]
    return Batch(History(torch.ones_like(tensor), torch.arange(1, len(targets) + 1)), tensor)


def catalogue_scores(rows: int, scale: float = 1.0) -> torch.Tensor:
    scores = torch.randn(rows, V + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * scale
    return scores.index_fill(1, torch.tensor(0), -math.inf)


def picked(scores: torch.Tensor, found: Candidates) -> torch.Tensor:
    """The logits of candidates, as the objective hands them over."""
    items = torch.cat([found.positive[:, None], found.negatives.expand(len(scores), -1)], 1)
    logits = scores.gather(1, items)
    return logits if found.hit is None else logits.masked_fill(torch.nn.functional.pad(found.hit, (1, 0)), -math.inf)


def test_by_hand() -> None:
    """All scores 0, negatives of q 1/2 and 1/8: they stand for 1 / (2 * 1/2) = 1 and 1 / (2 * 1/8) = 4 items, so ln(1 + 1 + 4).

    ``all``: weights 1/q of positive (1/4), and negatives: 4, 2 and 8, so ln(14 / 4).
    """
    found = Candidates(torch.tensor([1]), torch.tensor([[2, 3]]), torch.tensor([0.25]).log(), torch.tensor([[0.5, 0.125]]).log())
    assert SampledSoftmax()(torch.zeros(1, 3), found).item() == pytest.approx(math.log(6), abs=1e-6)
    assert SampledSoftmax(correction="all")(torch.zeros(1, 3), found).item() == pytest.approx(math.log(3.5), abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_every_other_item_once_is_cross_entropy(temperature: float) -> None:
    """Each of the others is expected once among V - 1 negatives: q = 1 / (V - 1)."""
    scores, positive = catalogue_scores(4), torch.tensor([1, V, 4, 4])
    others = torch.tensor([[item for item in range(1, V + 1) if item != p] for p in positive.tolist()])
    log_q = torch.full((4, V - 1), -math.log(V - 1), dtype=torch.float64)
    found = Candidates(positive, others, log_q[:, 0], log_q)
    whole = CrossEntropy(temperature=temperature)(scores, Candidates(positive))
    torch.testing.assert_close(SampledSoftmax(temperature=temperature)(picked(scores, found), found), whole, rtol=0, atol=1e-10)


def test_the_whole_catalogue_shared_is_cross_entropy() -> None:
    """V different shared negatives: every item once, the positive struck out."""
    found = Uniform(V, NOBODY, n_negatives=V, shared=True)(batch_of(1, 5, 5), torch.Generator().manual_seed(0))
    scores = catalogue_scores(3)
    whole = CrossEntropy()(scores, Candidates(found.positive))
    torch.testing.assert_close(SampledSoftmax()(picked(scores, found), found), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_partition_function_is_estimated_without_bias(alpha: float) -> None:
    """Mean of 40,000 estimates by 3 negatives, hits struck out, within four standard errors of the whole sum."""
    rounds, counts = 40_000, torch.arange(V + 1).numpy()
    q, rng = shares(counts, alpha), torch.Generator().manual_seed(1)
    batch = batch_of(*[7] * rounds)
    found = candidates(batch, popular_draw(q[1:].cumsum(0), rounds, 3, rng), q.log(), None)
    scores = catalogue_scores(1).expand(rounds, -1)
    values = SampledSoftmax()(picked(scores, found), found)
    estimates = (values + scores[:, 7]).exp()  # the loss is log Z - s+
    error = estimates.std() / math.sqrt(rounds)
    assert abs(estimates.mean() - scores[0].exp().sum()) < 4 * error
    assert error < 0.05 * estimates.mean()


def test_correcting_the_positive_too_is_biased() -> None:
    """The control: the same draws, the usual correction, a hundred standard errors off."""
    rounds, counts = 40_000, torch.arange(V + 1).numpy()
    q, rng = shares(counts, 1.0), torch.Generator().manual_seed(1)
    found = candidates(batch_of(*[7] * rounds), popular_draw(q[1:].cumsum(0), rounds, 3, rng), q.log(), None)
    scores = catalogue_scores(1).expand(rounds, -1)
    estimates = (SampledSoftmax(correction="all")(picked(scores, found), found) + scores[:, 7]).exp()
    assert abs(estimates.mean() - scores[0].exp().sum()) > 20 * estimates.std() / math.sqrt(rounds)


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_approach_those_of_cross_entropy(shared: bool) -> None:
    """Mean gradient of the catalogue's scores over many draws: the bias of a ratio falls as 1 / N, the error is measured."""
    positive, whole, rng = torch.tensor([3]), catalogue_scores(1, 0.5).requires_grad_(), torch.Generator().manual_seed(2)
    CrossEntropy()(whole, Candidates(positive)).sum().backward()
    distance = {}
    rounds = 500 if shared else 4000
    for n in (2, 11):
        batch = batch_of(*[3] * (1 if shared else rounds))
        sampler, gradients = Uniform(V, NOBODY, n_negatives=n, shared=shared), []
        for _ in range(rounds if shared else 1):
            found = sampler(batch, rng)
            scores = whole.detach().expand(len(found.positive), -1).clone().requires_grad_()
            SampledSoftmax()(picked(scores, found), found).sum().backward()
            gradients.append(scores.grad)
        gradient = torch.cat(gradients)
        error = gradient.std(0).norm() / math.sqrt(rounds)
        distance[n] = float((gradient.mean(0) - whole.grad[0]).norm())
    assert distance[11] < distance[2] / 2
    assert distance[11] < 4 * error + 0.1 * whole.grad.norm() / 11


def test_a_sampler_without_log_q_is_refused() -> None:
    with pytest.raises(ValueError, match="sampler that gives log q"):
        SampledSoftmax()(torch.zeros(1, 2), Candidates(torch.tensor([1]), torch.tensor([[2]])))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_is_positive(value: float) -> None:
    with pytest.raises(ValueError, match=rf"loss\.temperature={value} must be positive and finite"):
        SampledSoftmax(temperature=value)
