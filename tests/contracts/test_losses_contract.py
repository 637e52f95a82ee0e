"""What every loss promises. A new file in recpref/losses is tested here without editing this suite."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from recpref import components
from recpref.losses import cross_entropy
from recpref.objectives.score import Score
from recpref.samplers.catalogue import Catalogue
from recpref.types import Candidates

M, N, V = 6, 5, 20
ALL = components.names("loss")
losses = pytest.mark.parametrize("name", ALL)
OTHERWISE: dict[str, list[dict[str, Any]]] = {  # every option away from its default
    "bce": [{"prior": True}],
    "bpr_max": [{"penalty": 0.0}],
    "cross_entropy": [{"label_smoothing": 0.1}, {"temperature": 0.5}],
    "gbce": [{"t": 0.0}, {"t": 1.0}, {"prior": True}],
    "sampled_softmax": [{"correction": "all"}, {"temperature": 0.5}],
    "top1": [{"weights": "softmax"}, {"penalty": 0.0}],
}
CHOICES = [(name, options) for name in ALL for options in [{}, *OTHERWISE.get(name, [])]]
choices = pytest.mark.parametrize(("name", "options"), CHOICES, ids=[f"{name}-{options}" for name, options in CHOICES])


def built(name: str, **options: Any):
    facts = {"n_items": V, "n_users": 3, "item_counts": torch.ones(V + 1).numpy(), "train": None}
    return components.build(components.find("loss", name), options, facts)


def unpenalised(name: str, options: dict[str, Any]):
    """A penalty on the size of scores is no comparison: it is taken out."""
    penalty = {"penalty": 0.0} if "penalty" in components.options_of(components.find("loss", name)) else {}
    return built(name, **options, **(penalty if "penalty" not in options else {}))


def sampled(seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, Candidates]:
    rng = torch.Generator().manual_seed(seed)
    positive, negatives = torch.randint(1, V + 1, (M,), generator=rng), torch.randint(1, V + 1, (M, N), generator=rng)
    log_q = torch.rand(V + 1, generator=rng, dtype=dtype).log()
    logits = torch.randn(M, 1 + N, generator=rng, dtype=dtype)
    return logits, Candidates(positive, negatives, log_q[positive], log_q[negatives])


def rows(candidates: Candidates, chosen: slice | torch.Tensor) -> Candidates:
    return Candidates(*(None if part is None else part[chosen] for part in candidates))


def columns(candidates: Candidates, chosen: torch.Tensor) -> Candidates:
    """Other negatives, or the same ones in another order."""
    own = (candidates.negatives, candidates.log_q_negatives, candidates.hit)
    negatives, log_q, hit = (None if part is None else part[:, chosen] for part in own)
    return candidates._replace(negatives=negatives, log_q_negatives=log_q, hit=hit)


def struck(logits: torch.Tensor, candidates: Candidates, hit: torch.Tensor) -> tuple[torch.Tensor, Candidates]:
    """As the objective hands over accidental positives."""
    logits = torch.cat([logits[:, :1], logits[:, 1:].masked_fill(hit, -torch.inf)], 1)
    return logits, candidates._replace(hit=hit)


@losses
def test_options_have_defaults_and_documents(name):
    loss = components.find("loss", name)
    assert all(option.default is not inspect.Parameter.empty for option in components.options_of(loss).values())
    assert inspect.getdoc(loss)
    assert "Source" in inspect.getdoc(inspect.getmodule(loss))
    assert set(components.options_of(loss)) == {key for options in OTHERWISE.get(name, []) for key in options}


@choices
def test_one_finite_value_a_row(name, options):
    logits, candidates = sampled()
    values = built(name, **options)(logits, candidates)
    assert values.shape == (M,)
    assert torch.isfinite(values).all()


@choices
def test_rows_do_not_touch_each_other(name, options):
    logits, candidates = sampled()
    whole = built(name, **options)(logits, candidates)
    half = built(name, **options)(logits[:3], rows(candidates, slice(3)))
    torch.testing.assert_close(whole[:3], half)
    assert built(name, **options)(logits[:0], rows(candidates, slice(0))).shape == (0,)


@choices
def test_a_better_positive_costs_less_and_a_better_negative_more(name, options):
    logits, candidates = sampled()
    loss = unpenalised(name, options)
    raised = logits.clone()
    raised[:, 0] += 1
    assert (loss(raised, candidates) < loss(logits, candidates)).all()
    raised = logits.clone()
    raised[:, 1:] += 1
    assert (loss(raised, candidates) > loss(logits, candidates)).all()


@choices
def test_the_order_of_the_negatives_is_no_matter(name, options):
    logits, candidates = sampled()
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = torch.cat([logits[:, :1], logits[:, 1:][:, order]], 1)
    torch.testing.assert_close(built(name, **options)(logits, candidates), built(name, **options)(shuffled, columns(candidates, order)))


@choices
def test_shared_negatives_are_the_same_for_every_row(name, options):
    logits, candidates = sampled()
    shared = columns(candidates, torch.arange(N))._replace(
        negatives=candidates.negatives[:1], log_q_negatives=candidates.log_q_negatives[:1]
    )
    repeated = shared._replace(negatives=shared.negatives.expand(M, -1), log_q_negatives=shared.log_q_negatives.expand(M, -1))
    torch.testing.assert_close(built(name, **options)(logits, shared), built(name, **options)(logits, repeated))


@choices
def test_the_catalogue_is_scored_or_refused(name, options):
    """Over V + 1 columns PAD is -inf, which must reach neither the values nor the gradients; a loss of samples says so."""
    logits = torch.randn(M, V + 1, generator=torch.Generator().manual_seed(1))
    logits[:, 0] = -torch.inf
    logits.requires_grad_()
    try:
        values = built(name, **options)(logits, Candidates(torch.arange(1, M + 1)))
    except ValueError as error:
        assert f"loss={name}" in str(error)  # noqa: PT017
        assert "sampler" in str(error)  # noqa: PT017
        with pytest.raises(ValueError, match=f"loss={name} .*sampler=uniform"):
            Score(Catalogue(), built(name, **options))
        return
    values.sum().backward()
    assert values.shape == (M,)
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[:, 0].any()
    positive = logits.grad[torch.arange(M), torch.arange(1, M + 1)]
    assert (positive < 0).all()


@choices
def test_extreme_scores_stay_finite(name, options):
    logits, candidates = sampled()
    logits = (logits * 100).requires_grad_()
    values = built(name, **options)(logits, candidates)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()


@choices
def test_an_accidental_positive_gets_no_gradient_and_costs_nothing(name, options):
    """One hit in the first row, four in the second, five in the third: values and gradients stay finite, with and without scale."""
    hit = torch.zeros(M, N, dtype=torch.bool)
    hit[0, 2] = hit[1, 1:] = hit[2] = True
    for scale in (1, 100):
        logits, candidates = struck(*sampled(), hit)
        logits = (logits * scale).requires_grad_()
        values = built(name, **options)(logits, candidates)
        values.sum().backward()
        assert torch.isfinite(values).all()
        assert torch.isfinite(logits.grad).all()
        assert not logits.grad[:, 1:][hit].any()
        assert (logits.grad[1, 1] != 0) or scale > 1
    untouched, marked = (built(name, **options)(*given) for given in (sampled(), struck(*sampled(), hit)))
    torch.testing.assert_close(marked[3:], untouched[3:])


@choices
def test_which_place_a_hit_has_is_no_matter(name, options):
    logits, candidates = sampled()
    hit = torch.zeros(M, N, dtype=torch.bool)
    hit[:, 1] = True
    order = torch.tensor([1, 0, 2, 3, 4])
    moved = torch.cat([logits[:, :1], logits[:, 1:][:, order]], 1)
    left = built(name, **options)(*struck(logits, candidates, hit))
    torch.testing.assert_close(left, built(name, **options)(*struck(moved, columns(candidates, order), hit[:, order])))


@choices
def test_gradients_are_those_of_the_values(name, options):
    """Finite differences in double precision, with a hit in the first row."""
    logits, candidates = sampled(dtype=torch.float64)
    hit = torch.zeros(M, N, dtype=torch.bool)
    hit[0, 2] = True
    loss = built(name, **options)

    def values(logits: torch.Tensor) -> torch.Tensor:
        return loss(*struck(logits, candidates, hit))

    assert torch.autograd.gradcheck(values, logits.requires_grad_())


FUSED = [(name, options) for name, options in CHOICES if hasattr(components.find("loss", name), "fused")]


@pytest.mark.parametrize(("name", "options"), FUSED, ids=[f"{name}-{options}" for name, options in FUSED])
@pytest.mark.parametrize("chunk", [1, 3, 7, 20, 21, 100])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_a_fused_loss_is_the_plain_one_in_value_and_gradients(name, options, chunk, dtype, tolerance, monkeypatch):
    """Whatever the chunk: PAD alone in the first one, one item left over for the last, one chunk for all."""
    monkeypatch.setattr(cross_entropy, "FEWEST", chunk)
    monkeypatch.setattr(cross_entropy, "CHUNK", {"cpu": 0})
    rng = torch.Generator().manual_seed(0)
    given = [torch.randn(shape, generator=rng, dtype=dtype) * 2 for shape in ((M, 4), (V + 1, 4), (V + 1,))]
    positive, weight = torch.randint(1, V + 1, (M,), generator=rng), torch.rand(M, generator=rng, dtype=dtype)
    found = []
    for fused in (True, False):
        h, table, bias = (part.clone().requires_grad_() for part in given)
        real = torch.where(torch.arange(V + 1) == 0, -torch.inf, bias)
        loss = built(name, **options)
        values = loss.fused(h, table, real, positive) if fused else loss(F.linear(h, table, real), Candidates(positive))
        (values * weight).sum().backward()
        found.append((values.detach(), h.grad, table.grad, bias.grad))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)
