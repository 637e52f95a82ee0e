"""Precision: the share of the first k places that hold something relevant."""

from __future__ import annotations

import torch

from recpref.metrics.precision import precision


def test_by_hand() -> None:
    """Hits 1 0 1: 1/1, 1/2, 2/3."""
    hits, relevant = torch.tensor([[1, 0, 1]]).bool(), torch.tensor([4])
    assert [precision(hits, relevant, k).item() for k in (1, 2, 3)] == [1, 1 / 2, 2 / 3]


def test_empty_places_are_misses() -> None:
    """Two items in the catalogue, both relevant, ten places: 2/10."""
    assert precision(torch.ones(1, 2).bool(), torch.tensor([2]), 10).item() == 0.2


def test_how_many_are_relevant_does_not_matter() -> None:
    hits = torch.tensor([[1, 0], [1, 0]]).bool()
    assert precision(hits, torch.tensor([1, 100]), 2).tolist() == [0.5, 0.5]
