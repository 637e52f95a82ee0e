"""Cross-entropy: torch's over the catalogue, and the positive in column 0 against the negatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recpref.losses.cross_entropy import CrossEntropy, log_partition, rows_at_once
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


def test_smoothing_is_torchs_over_the_real_items() -> None:
    """Without the PAD column, torch's own; item i stands in column i - 1 there."""
    logits, positive = some_logits(5, 8), torch.tensor([1, 7, 3, 3, 5])
    logits[:, 0] = -math.inf
    expected = F.cross_entropy(logits[:, 1:], positive - 1, reduction="none", label_smoothing=0.2)
    torch.testing.assert_close(CrossEntropy(label_smoothing=0.2)(logits, Candidates(positive)), expected)


def test_smoothing_leaves_accidental_positives_out() -> None:
    loss, positive = CrossEntropy(label_smoothing=0.2), torch.tensor([3])
    marked = loss(torch.tensor([[0.3, -math.inf, 0.1]]), Candidates(positive, torch.tensor([[3, 5]]), hit=torch.tensor([[True, False]])))
    torch.testing.assert_close(marked, loss(torch.tensor([[0.3, 0.1]]), Candidates(positive, torch.tensor([[5]]))))


def test_temperature_divides_the_scores() -> None:
    logits, positive = some_logits(5, 8), torch.tensor([1, 7, 3, 3, 5])
    torch.testing.assert_close(
        CrossEntropy(temperature=0.5)(logits, Candidates(positive)), CrossEntropy()(2 * logits, Candidates(positive))
    )


@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
        {"label_smoothing": math.nan},
        *({"temperature": value} for value in (0.0, -1.0, math.inf, math.nan)),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"loss\.{next(iter(options))}="):
        CrossEntropy(**options)


def fused_inputs(scale: float = 1.0) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    h, table, bias = (torch.randn(shape, generator=rng, dtype=torch.float64) * scale for shape in ((3, 4), (8, 4), (8,)))
    bias[0] = -math.inf
    return [h, table, bias]


def test_gradients_of_the_chunked_partition_function() -> None:
    """Finite differences in h, table and the biases of real items."""
    h, table, bias = fused_inputs()

    def values(h: torch.Tensor, table: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        return log_partition(h, table, torch.cat([bias[:1], real]), 3)

    assert torch.autograd.gradcheck(values, [part.requires_grad_() for part in (h, table, bias[1:].clone())])


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.25, 0.25, 0.25], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
@pytest.mark.parametrize("rows", [1, 2, 64])
def test_rows_of_equal_and_of_different_weight_have_the_plain_gradients(weights: list[float], rows: int) -> None:
    """Equal weights take the gradients of the forward pass, different ones a second pass."""
    plain, chunked = ([part.clone().requires_grad_() for part in fused_inputs()] for _ in range(2))
    weight = torch.tensor(weights, dtype=torch.float64)
    (F.linear(plain[0], plain[1], plain[2]).logsumexp(1) * weight).sum().backward()
    (log_partition(*chunked, rows) * weight).sum().backward()
    for expected, found in zip(plain, chunked, strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize("weight", [1.0, -2.5])
def test_a_single_row_has_the_plain_gradients(weight: float) -> None:
    """And none has gradients of zero."""
    for rows in (1, 0):
        plain, chunked = ([part.clone().requires_grad_() for part in fused_inputs()] for _ in range(2))
        (F.linear(plain[0][:rows], plain[1], plain[2]).logsumexp(1) * weight).sum().backward()
        (log_partition(chunked[0][:rows], *chunked[1:], 64) * weight).sum().backward()
        for expected, found in zip(plain, chunked, strict=True):
            torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize(("n_items", "rows"), [(2**8, 2**12), (3 * 2**8, 2**12 // 3), (2**14, 64), (2**15, 64)])
def test_how_many_rows_are_scored_at_once_by_hand(n_items: int, rows: int) -> None:
    """2^20 scores are held on a processor, and never fewer than 64 rows of them."""
    assert rows_at_once(torch.zeros(1, 2).expand(n_items, 2)) == rows


@pytest.mark.parametrize("scale", [30.0, 1e3])
def test_huge_scores_do_not_overflow_in_chunks(scale: float) -> None:
    h, table, bias = (part.float().requires_grad_() for part in fused_inputs(scale))
    values = CrossEntropy().fused(h, table, bias, torch.tensor([1, 2, 7]))
    values.sum().backward()
    assert values.isfinite().all()
    assert h.grad.isfinite().all()
    assert table.grad.isfinite().all()


def test_mixed_precision_keeps_the_partition_function_in_single() -> None:
    h, table, bias = (part.float() for part in fused_inputs())
    expected = CrossEntropy().fused(h, table, bias, torch.tensor([1, 2, 7]))
    with torch.autocast("cpu", torch.bfloat16):
        h16, table = h.bfloat16().requires_grad_(), table.requires_grad_()
        values = CrossEntropy().fused(h16, table, bias, torch.tensor([1, 2, 7]))
        values.sum().backward()
    torch.testing.assert_close(values, expected, rtol=2e-2, atol=2e-2)
    assert h16.grad.dtype == torch.bfloat16


def test_no_rows_give_no_values_in_chunks_either() -> None:
    h, table, bias = fused_inputs()
    assert CrossEntropy().fused(h[:0], table, bias, torch.zeros(0, dtype=torch.long)).shape == (0,)
