"""Recall: the share of the relevant items that was found."""

from __future__ import annotations

import torch

from recpref.metrics.hr import hr
from recpref.metrics.recall import recall


def test_by_hand() -> None:
    """Hits 1 0 1 with 4 relevant: 1/4 at 1 and at 2, 2/4 at 3."""
    hits, relevant = torch.tensor([[1, 0, 1]]).bool(), torch.tensor([4])
    assert [recall(hits, relevant, k).item() for k in (1, 2, 3)] == [0.25, 0.25, 0.5]


def test_the_denominator_is_not_cut_at_k() -> None:
    """Three relevant items and one place: a perfect list has recall 1/3, as in trec_eval."""
    assert recall(torch.ones(1, 3).bool(), torch.tensor([3]), 1).item() == 1 / 3


def test_with_one_relevant_item_it_is_the_hit_rate() -> None:
    hits, relevant = torch.cat([torch.eye(5), torch.zeros(1, 5)]).bool(), torch.ones(6).long()
    assert all(torch.equal(recall(hits, relevant, k), hr(hits, relevant, k)) for k in (1, 3, 5, 9))


def test_a_list_shorter_than_k() -> None:
    assert recall(torch.tensor([[0, 1]]).bool(), torch.tensor([2]), 10).item() == 0.5
