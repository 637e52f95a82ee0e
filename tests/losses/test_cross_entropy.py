"""Cross-entropy: torch's over the catalogue, and the positive in column 0 against the negatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recpref.losses.cross_entropy import CrossEntropy
from recpref.types import Candidates


def some_logits(rows: int, columns: int) -> torch.Tensor:
    """Random logits in double precision."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


def test_by_hand() -> None:
    """Scores ln 1, ln 2, ln 5 for items 1, 2, 3: p(2) = 2 / 8, so ln 4; with the negative 1 only: p = 2 / 3, so ln 1.5."""
    catalogue = torch.tensor([[-math.inf, 0.0, math.log(2), math.log(5)]])
    assert CrossEntropy()(catalogue, Candidates(torch.tensor([2]))).item() == pytest.approx(math.log(4), abs=1e-6)
    pair = torch.tensor([[math.log(2), 0.0]])
    assert CrossEntropy()(pair, Candidates(torch.tensor([2]), torch.tensor([[1]]))).item() == pytest.approx(math.log(1.5), abs=1e-6)


def test_the_catalogue_is_torchs_row_by_row() -> None:
    logits, positive = some_logits(6, 9), torch.tensor([1, 8, 3, 3, 5, 2])
    logits[:, 0] = -math.inf
    ours = CrossEntropy()(logits, Candidates(positive))
    assert ours.shape == (6,)
    torch.testing.assert_close(ours, F.cross_entropy(logits, positive, reduction="none"), rtol=0, atol=0)


def test_column_0_is_the_positive_whatever_its_id() -> None:
    logits = some_logits(4, 3)
    candidates = Candidates(torch.tensor([9, 1, 2, 2]), torch.tensor([[3, 4]]))
    expected = F.cross_entropy(logits, torch.zeros(4, dtype=torch.long), reduction="none")
    torch.testing.assert_close(CrossEntropy()(logits, candidates), expected, rtol=0, atol=1e-12)


def test_all_other_items_as_negatives_are_the_catalogue() -> None:
    n_items, positive = 7, torch.tensor([1, 7, 4])
    logits = some_logits(3, n_items + 1)
    logits[:, 0] = -math.inf
    negatives = torch.tensor([[item for item in range(1, n_items + 1) if item != p] for p in positive.tolist()])
    chosen = logits.gather(1, torch.cat([positive[:, None], negatives], 1))
    left, right = CrossEntropy()(chosen, Candidates(positive, negatives)), CrossEntropy()(logits, Candidates(positive))
    torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("negatives", [None, torch.tensor([[1]])])
def test_huge_scores_stay_finite_and_no_rows_give_no_values(negatives: torch.Tensor | None) -> None:
    logits = torch.tensor([[1e30, -1e30]], requires_grad=True)
    loss = CrossEntropy()(logits, Candidates(torch.tensor([0]), negatives))
    loss.sum().backward()
    assert loss.item() == 0
    assert logits.grad.isfinite().all()
    assert CrossEntropy()(torch.zeros(0, 2), Candidates(torch.zeros(0, dtype=torch.long), negatives)).shape == (0,)
