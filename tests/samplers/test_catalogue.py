"""The catalogue sampler: the positives in row-major order and nothing else."""

from __future__ import annotations

import torch

from recpref.samplers.catalogue import Catalogue
from recpref.types import Batch, Candidates, History


def batch_of(targets: list[list[int]]) -> Batch:
    """A batch whose histories do not matter."""
    tensor = torch.tensor(targets)
    return Batch(History(torch.ones_like(tensor), torch.arange(1, len(targets) + 1)), tensor)


def test_by_hand() -> None:
    """Row 1 holds targets 4 and 6, its first column among them, and row 2 holds 5."""
    found = Catalogue()(batch_of([[4, 0, 6], [0, 5, 0]]), torch.Generator())
    assert found.positive.tolist() == [4, 6, 5]
    assert found == Candidates(found.positive)


def test_the_generator_is_not_touched() -> None:
    rng = torch.Generator().manual_seed(0)
    before = rng.get_state()
    Catalogue()(batch_of([[1, 2]]), rng)
    assert torch.equal(rng.get_state(), before)


def test_a_batch_without_targets() -> None:
    assert Catalogue()(batch_of([[0, 0]]), torch.Generator()).positive.shape == (0,)
