"""What every loss promises. A new file in recpref/losses is tested here without editing this suite."""

from __future__ import annotations

import pytest
import torch

from recpref import components
from recpref.types import Candidates

M, N = 6, 5
losses = pytest.mark.parametrize("name", components.names("loss"))


def built(name: str):
    facts = {"n_items": 20, "n_users": 3, "item_counts": torch.ones(21).numpy(), "train": None}
    return components.build(components.find("loss", name), {}, facts)


def sampled(seed: int = 0) -> tuple[torch.Tensor, Candidates]:
    rng = torch.Generator().manual_seed(seed)
    negatives = torch.randint(1, 21, (M, N), generator=rng)
    return torch.randn(M, 1 + N, generator=rng), Candidates(torch.randint(1, 21, (M,), generator=rng), negatives)


@losses
def test_one_finite_value_a_row(name):
    logits, candidates = sampled()
    values = built(name)(logits, candidates)
    assert values.shape == (M,)
    assert torch.isfinite(values).all()


@losses
def test_rows_do_not_touch_each_other(name):
    logits, candidates = sampled()
    whole = built(name)(logits, candidates)
    half = built(name)(logits[:3], Candidates(candidates.positive[:3], candidates.negatives[:3]))
    torch.testing.assert_close(whole[:3], half)


@losses
def test_a_better_positive_costs_less_and_a_better_negative_more(name):
    logits, candidates = sampled()
    loss = built(name)
    raised = logits.clone()
    raised[:, 0] += 1
    assert (loss(raised, candidates) < loss(logits, candidates)).all()
    raised = logits.clone()
    raised[:, 1:] += 1
    assert (loss(raised, candidates) > loss(logits, candidates)).all()


@losses
def test_the_order_of_the_negatives_is_no_matter(name):
    logits, candidates = sampled()
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = torch.cat([logits[:, :1], logits[:, 1:][:, order]], 1)
    torch.testing.assert_close(
        built(name)(logits, candidates), built(name)(shuffled, candidates._replace(negatives=candidates.negatives[:, order]))
    )


@losses
def test_the_catalogue_is_scored_or_refused(name):
    """Over V + 1 columns PAD is -inf, which must reach neither the values nor the gradients; a loss of samples says so."""
    logits = torch.randn(M, 21, generator=torch.Generator().manual_seed(1))
    logits[:, 0] = -torch.inf
    logits.requires_grad_()
    try:
        values = built(name)(logits, Candidates(torch.arange(1, M + 1)))
    except ValueError as error:
        assert "sampler" in str(error)  # noqa: PT017
        return
    values.sum().backward()
    assert values.shape == (M,)
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[:, 0].any()
    positive = logits.grad[torch.arange(M), torch.arange(1, M + 1)]
    assert (positive < 0).all()


@losses
def test_extreme_scores_stay_finite(name):
    logits, candidates = sampled()
    logits = (logits * 100).requires_grad_()
    values = built(name)(logits, candidates)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()
