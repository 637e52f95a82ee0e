"""Mean reciprocal rank: one over the rank of the first hit."""

from __future__ import annotations

import torch

from recpref.metrics.mrr import mrr


def test_by_hand() -> None:
    """Hits 0 0 1: 1/3 at 3, and nothing at 2."""
    hits, relevant = torch.tensor([[0, 0, 1]]).bool(), torch.tensor([1])
    assert [mrr(hits, relevant, k).item() for k in (2, 3)] == [0, 1 / 3]


def test_only_the_first_hit_counts() -> None:
    """Hits 0 1 1 with 5 relevant: 1/2, whatever follows and whatever is missing."""
    assert mrr(torch.tensor([[0, 1, 1]]).bool(), torch.tensor([5]), 3).item() == 0.5


def test_a_list_shorter_than_k_and_an_empty_one() -> None:
    assert mrr(torch.tensor([[0, 1]]).bool(), torch.tensor([1]), 10).item() == 0.5
    assert mrr(torch.zeros(2, 0).bool(), torch.tensor([1, 2]), 10).tolist() == [0, 0]
