"""Mean average precision."""

from __future__ import annotations

import pytest
import torch

from recpref.metrics.map import map as average_precision
from recpref.metrics.mrr import mrr


def test_by_hand() -> None:
    """Hits 1 0 1 with 2 relevant: (1/1 + 2/3) / 2 = 5/6; at 2 only the first: (1/1) / 2."""
    hits, relevant = torch.tensor([[1, 0, 1]]).bool(), torch.tensor([2])
    assert average_precision(hits, relevant, 3).item() == pytest.approx(5 / 6, abs=1e-15)
    assert average_precision(hits, relevant, 2).item() == 0.5


def test_missing_items_count_nothing() -> None:
    """Hits 1 1 with 4 relevant: (1 + 1) / 4; the denominator is not cut at k, as in trec_eval."""
    assert average_precision(torch.ones(1, 2).bool(), torch.tensor([4]), 2).item() == 0.5


def test_with_one_relevant_item_it_is_the_reciprocal_rank() -> None:
    hits, relevant = torch.cat([torch.eye(5), torch.zeros(1, 5)]).bool(), torch.ones(6).long()
    assert all(torch.equal(average_precision(hits, relevant, k), mrr(hits, relevant, k)) for k in (1, 3, 5, 9))
