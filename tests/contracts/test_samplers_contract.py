"""What every sampler promises. A new file in recpref/samplers is tested here without editing this suite."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from recpref import components
from recpref.types import PAD, Batch, History

V, U, N = 12, 6, 5
ALL = [name for name in components.names("sampler") if name != "catalogue"]
OWNED = {1: [3, 4], 2: [1, 2, 3, 5, 8], 3: [12], 4: [3, 6, 7], 5: [1, 12], 6: [3, 3, 9, 10, 11]}
TRAIN = SimpleNamespace(user=np.repeat(list(OWNED), [len(items) for items in OWNED.values()]), item=np.concatenate([*OWNED.values()]))
COUNTS = np.bincount(TRAIN.item, minlength=V + 1)
POSITIVE = {user: items[0] for user, items in OWNED.items()}


def every(name: str) -> list[dict[str, Any]]:
    """All choices of the options that samplers have in common, and what else one offers."""
    known = components.options_of(components.find("sampler", name))
    found: list[dict[str, Any]] = [{}]
    for option, values in (("source", ["in_batch", "popularity"]), ("shared", [False, True]), ("exclude_history", [False, True])):
        found = [{**given, option: value} for given in found for value in values] if option in known else found
    return [given for given in found if (given.get("source"), given.get("shared")) != ("in_batch", False)]


CHOICES = [(name, options) for name in ALL for options in every(name)]
choices = pytest.mark.parametrize(("name", "options"), CHOICES, ids=[f"{name}-{options}" for name, options in CHOICES])
samplers = pytest.mark.parametrize("name", ALL)


def built(name: str, **options: Any):
    facts = {"n_items": V, "n_users": U, "item_counts": COUNTS, "train": TRAIN}
    return components.build(components.find("sampler", name), {"n_negatives": N, **options}, facts)


def batch(seed: int = 0, columns: int = 3) -> Batch:
    """Every user with one of his items first, then PAD, then targets as popular as the items are (at least 1 each)."""
    rng = torch.Generator().manual_seed(seed)
    popular = torch.from_numpy(np.maximum(COUNTS, 1)).double().index_fill(0, torch.tensor(PAD), 0)
    targets = torch.multinomial(popular, U * columns, replacement=True, generator=rng).view(U, columns)
    targets[:, 0], targets[:, 1] = torch.tensor(list(POSITIVE.values())), PAD
    return Batch(History(torch.ones_like(targets), torch.arange(1, U + 1)), targets)


@samplers
def test_options_have_defaults_and_documents(name):
    sampler = components.find("sampler", name)
    assert all(option.default is not inspect.Parameter.empty for option in components.options_of(sampler).values())
    assert "Source" in inspect.getdoc(inspect.getmodule(sampler))
    assert "q" in inspect.getdoc(sampler)


@choices
def test_shapes_and_ranges(name, options):
    given = batch()
    found = built(name, **options)(given, torch.Generator().manual_seed(0))
    rows = int((given.targets != PAD).sum())
    assert torch.equal(found.positive, given.targets[given.targets != PAD])
    assert found.negatives.shape == found.log_q_negatives.shape
    assert found.negatives.shape == (1 if options.get("shared", name == "in_batch") else rows, N)
    assert found.negatives.min() >= 1
    assert found.negatives.max() <= V
    assert found.hit is None or found.hit.shape == (rows, N)
    for log_q in (found.log_q_positive, found.log_q_negatives):
        assert log_q.dtype == torch.float32
        assert log_q.isfinite().all()
        assert (log_q < 0).all()


@choices
def test_randomness_comes_from_the_generator_alone(name, options):
    state = torch.random.get_rng_state()
    left, right, other = (built(name, **options)(batch(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(left.negatives, right.negatives)
    assert not torch.equal(left.negatives, other.negatives)
    assert torch.equal(torch.random.get_rng_state(), state)


@choices
def test_no_unmarked_negative_is_the_positive_or_excluded(name, options):
    given, sampler = batch(), built(name, **options)
    row = (given.targets != PAD).nonzero()[:, 0]
    for seed in range(20):
        found = sampler(given, torch.Generator().manual_seed(seed))
        negatives = found.negatives.expand(len(row), -1)
        kept = torch.ones_like(negatives, dtype=torch.bool) if found.hit is None else ~found.hit
        for user, positive, items, mask in zip(row + 1, found.positive, negatives, kept, strict=True):
            left, owned = set(items[mask].tolist()), set(OWNED[int(user)])
            assert int(positive) not in left
            assert not options.get("exclude_history") or not left & owned
            assert set(items.tolist()) - left <= owned | {int(positive)}  # nothing else is marked


@samplers
def test_what_the_user_has_is_a_negative_unless_it_is_excluded(name):
    """Without ``exclude_history`` no row has a hit but its positive, and users do get other items that they have."""
    given, sampler = batch(), built(name)
    user = (given.targets != PAD).nonzero()[:, 0] + 1
    met = 0
    for seed in range(20):
        found = sampler(given, torch.Generator().manual_seed(seed))
        negatives = found.negatives.expand(len(user), -1)
        assert found.hit is None or torch.equal(found.hit, negatives == found.positive[:, None])
        met += sum(
            item in OWNED[int(u)] and item != p for u, p, row in zip(user, found.positive, negatives.tolist(), strict=True) for item in row
        )
    assert met > 0


@choices
def test_log_q_makes_each_item_count_once(name, options):
    """The expectation of ``sum over the unmarked of 1[item] / (N q)`` is 1 for each item that is no hit, within 5 errors.

    Targets are 90 draws by popularity, one of them the row's own, so those of in_batch are expected 89 / 90 times.
    """
    sampler, rounds = built(name, **options), 600
    weights = torch.zeros(rounds, U, V + 1, dtype=torch.float64)
    for index in range(rounds):
        given = batch(index, 16)
        found = sampler(given, torch.Generator().manual_seed(index))
        first = torch.arange(U) * 15  # the position of each user's first target
        negatives, log_q = (part.expand(len(found.positive), -1)[first] for part in (found.negatives, found.log_q_negatives))
        hit = torch.zeros_like(negatives, dtype=torch.bool) if found.hit is None else found.hit[first]
        weights[index].scatter_add_(1, negatives, (-log_q.double()).exp().masked_fill(hit, 0) / N)
    mean, error = weights.mean(0), weights.std(0) / rounds**0.5
    for user in range(1, U + 1):
        hits = set(OWNED[user]) if options.get("exclude_history") else {POSITIVE[user]}
        for item in range(1, V + 1):
            expected = 0.0 if item in hits else 1.0
            assert abs(float(mean[user - 1, item]) - expected) <= 5 * float(error[user - 1, item]) + 0.02 * expected


@choices
def test_a_batch_without_targets(name, options):
    found = built(name, **options)(batch()._replace(targets=torch.zeros(U, 2, dtype=torch.long)), torch.Generator())
    assert found.positive.shape == (0,)
    assert found.negatives.shape[0] <= 1


@samplers
@pytest.mark.parametrize("n_negatives", [0, V + 1])
def test_a_number_that_the_catalogue_cannot_give_is_refused(name, n_negatives):
    with pytest.raises(ValueError, match=rf"sampler\.n_negatives={n_negatives} must lie between 1 and {V}"):
        built(name, n_negatives=n_negatives)
