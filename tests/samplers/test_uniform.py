"""Uniform negatives: all other items alike, and none that the user has if so asked."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import torch
from scipy.stats import chisquare

from recpref.samplers.uniform import Uniform
from recpref.types import Batch, History

V = 9
TRAIN = SimpleNamespace(user=np.array([1, 1, 1, *[2] * V]), item=np.array([2, 5, 9, *range(1, V + 1)]))


def batch_of(*targets: int) -> Batch:
    """One target a user."""
    tensor = torch.tensor(targets)[:, None]
    return Batch(History(torch.ones_like(tensor), torch.arange(1, len(targets) + 1)), tensor)


def frequencies(sampler: Uniform, *targets: int, rounds: int = 2000) -> np.ndarray:
    """How often each item was drawn for the first row. Shapes: [V + 1]."""
    rng = torch.Generator().manual_seed(0)
    return sum(np.bincount(sampler(batch_of(*targets), rng).negatives[0].numpy(), minlength=V + 1) for _ in range(rounds))


def test_every_other_item_is_as_likely() -> None:
    found = frequencies(Uniform(V, TRAIN, n_negatives=5), 4)
    assert found[[0, 4]].tolist() == [0, 0]
    assert chisquare(np.delete(found, [0, 4])).pvalue > 1e-3
    log_q = Uniform(V, TRAIN, n_negatives=5)(batch_of(4), torch.Generator()).log_q_negatives
    torch.testing.assert_close(log_q, torch.full((1, 5), -math.log(V - 1)))


def test_without_the_history_every_item_that_is_left_is_as_likely() -> None:
    """User 1 has 2, 5 and 9: six are left."""
    sampler = Uniform(V, TRAIN, n_negatives=5, exclude_history=True)
    found = frequencies(sampler, 5)
    assert found[[0, 2, 5, 9]].tolist() == [0, 0, 0, 0]
    assert chisquare(np.delete(found, [0, 2, 5, 9])).pvalue > 1e-3
    torch.testing.assert_close(sampler(batch_of(5), torch.Generator()).log_q_negatives, torch.full((1, 5), -math.log(6)))


def test_of_a_large_catalogue_every_part_is_as_likely() -> None:
    """A million items, of which user 1 has three: each tenth of them gets a tenth of 20,000 draws."""
    found = Uniform(10**6, TRAIN, n_negatives=20_000, exclude_history=True)(batch_of(5), torch.Generator().manual_seed(0)).negatives
    assert chisquare(np.histogram(found.numpy(), bins=10, range=(1, 10**6))[0]).pvalue > 1e-3


def test_a_user_who_has_everything_gets_hits() -> None:
    found = Uniform(V, TRAIN, n_negatives=5, exclude_history=True)(batch_of(5, 3), torch.Generator())
    assert found.hit.tolist() == [[False] * 5, [True] * 5]
    assert found.log_q_negatives.isfinite().all()
    assert found.negatives.max() <= V


def test_a_shared_set_has_no_item_twice() -> None:
    sampler, rng = Uniform(V, TRAIN, n_negatives=5, shared=True), torch.Generator().manual_seed(0)
    sets = [sampler(batch_of(5, 3), rng).negatives for _ in range(2000)]
    assert all(len(set(one[0].tolist())) == 5 for one in sets)
    assert chisquare(np.bincount(torch.cat(sets).flatten().numpy())[1:]).pvalue > 1e-3
