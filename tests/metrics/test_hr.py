"""Hit rate: 1 where anything relevant stands among the first k."""

from __future__ import annotations

import torch

from recpref.metrics.hr import hr


def test_by_hand() -> None:
    """Hits 0 1 0: nothing at 1, something at 2; hits 0 0 0: nothing at all."""
    hits = torch.tensor([[0, 1, 0], [0, 0, 0]]).bool()
    relevant = torch.tensor([1, 2])
    assert hr(hits, relevant, 1).tolist() == [0, 0]
    assert hr(hits, relevant, 2).tolist() == [1, 0]


def test_two_hits_count_once() -> None:
    assert hr(torch.ones(1, 3).bool(), torch.tensor([3]), 3).tolist() == [1]


def test_a_list_shorter_than_k() -> None:
    """The catalogue has two items and k is 10."""
    assert hr(torch.tensor([[0, 1], [0, 0]]).bool(), torch.tensor([1, 1]), 10).tolist() == [1, 0]
