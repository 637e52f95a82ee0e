"""NDCG with binary gain."""

from __future__ import annotations

import math

import pytest
import torch

from recpref.metrics.ndcg import ndcg


def test_by_hand() -> None:
    """Hits 0 1 with 1 relevant: (1 / log2 3) / (1 / log2 2) = .6309; nothing at 1."""
    hits, relevant = torch.tensor([[0, 1]]).bool(), torch.tensor([1])
    assert ndcg(hits, relevant, 1).item() == 0
    assert ndcg(hits, relevant, 2).item() == pytest.approx(0.6309297535714574, abs=1e-15)


def test_by_hand_with_two_relevant() -> None:
    """Hits 1 0 1 with 2 relevant: (1 + 1/log2 4) / (1 + 1/log2 3) = 1.5 / 1.6309."""
    assert ndcg(torch.tensor([[1, 0, 1]]).bool(), torch.tensor([2]), 3).item() == pytest.approx(1.5 / (1 + 1 / math.log2(3)), abs=1e-15)


def test_the_best_list_is_one_whatever_k() -> None:
    """Five relevant items and k = 2: the best possible list has two hits, and so it is the ideal."""
    hits = torch.ones(1, 5).bool()
    assert [ndcg(hits, torch.tensor([5]), k).item() for k in (1, 2, 5)] == pytest.approx([1, 1, 1], abs=1e-15)


def test_a_list_shorter_than_k() -> None:
    """Two places, k = 10, three relevant: the ideal still has three hits, 1 + .6309 + .5."""
    expected = 1 / (1 + 1 / math.log2(3) + 0.5)
    assert ndcg(torch.tensor([[1, 0]]).bool(), torch.tensor([3]), 10).item() == pytest.approx(expected, abs=1e-15)
