"""Cross-entropy of the positive against every candidate.

Over the catalogue it is computed in chunks of rows that fit into the processor's cache, so that memory does not grow with
M x V, and the gradients are taken in the same pass. Source of the smoothing: Szegedy et al., "Rethinking the Inception
architecture" (CVPR 2016), section 7; of the single pass: Hsu et al., "Liger kernel" (2024), section 3.2.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recpref.types import PAD, Candidates

__all__ = ["CrossEntropy"]

CHUNK = {"cpu": 2**20, "cuda": 2**27}  # scores held at once: 4 MB, which stay in a cache; 0.5 GB, which keeps a GPU busy
FEWEST = 64  # rows a chunk, however many items there are


class CrossEntropy:
    """``-log softmax(logits / temperature)[positive]``; over the catalogue where no negatives are given.

    ``label_smoothing`` is the share of the target that is spread evenly over the candidates, the positive among them; PAD and
    accidental positives are no candidates. Sampled negatives are taken as they are: ``loss=sampled_softmax`` corrects for
    how they were drawn.

    Raises: ValueError for a smoothing outside [0, 1) or a temperature that is not positive and finite.
    """

    def __init__(self, *, label_smoothing: float = 0.0, temperature: float = 1.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
        if not 0 < temperature < math.inf:
            raise ValueError(f"loss.temperature={temperature} must be positive and finite")
        self.label_smoothing, self.temperature = label_smoothing, temperature

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, V + 1] (catalogue) or [M, 1 + N] (column 0 is the positive) -> [M]. Units: nats."""
        logits = logits / self.temperature
        column = candidates.positive if candidates.negatives is None else torch.zeros_like(candidates.positive)
        values = F.cross_entropy(logits, column, reduction="none")
        if not self.label_smoothing:
            return values
        kept = logits > -torch.inf
        mean = logits.masked_fill(~kept, 0).sum(1) / kept.sum(1)
        return values + self.label_smoothing * (logits.gather(1, column[:, None])[:, 0] - mean)

    def fused(
        self, h_MD: Float[Tensor, "M D"], table_VD: Float[Tensor, "V1 D"], bias_V: Float[Tensor, " V1"], positive_M: Int[Tensor, " M"]
    ) -> Float[Tensor, " M"]:
        """The same value and gradients for scores ``h_MD @ table_VD.T + bias_V``, without ever holding them. Units: nats."""
        h_MD, bias_V = (part.to(table_VD.dtype) / self.temperature for part in (h_MD, bias_V))
        scores = (h_MD * F.embedding(positive_M, table_VD)).sum(1) + bias_V[positive_M]
        values = log_partition(h_MD, table_VD, bias_V, rows_at_once(table_VD)) - scores
        if not self.label_smoothing:
            return values
        mean = h_MD @ table_VD[PAD + 1 :].mean(0) + bias_V[PAD + 1 :].mean()  # the mean score is the score of the mean item
        return values + self.label_smoothing * (scores - mean)

    def over_shards(self, h_MD: Float[Tensor, "M D"], table: Any, positive_M: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """The same over a table whose rows are divided over processes (``tables/sharded.py``). Units: nats."""
        values: Tensor = table.cross_entropy(h_MD, positive_M, temperature=self.temperature, label_smoothing=self.label_smoothing)
        return values


def rows_at_once(table_VD: Float[Tensor, "V1 D"]) -> int:
    """Of how many rows the scores over this table are held at once, where it is."""
    return max(FEWEST, CHUNK.get(table_VD.device.type, CHUNK["cpu"]) // len(table_VD))


def log_partition(
    h_MD: Float[Tensor, "M D"], table_VD: Float[Tensor, "V1 D"], bias_V: Float[Tensor, " V1"], rows: int
) -> Float[Tensor, " M"]:
    """``(h_MD @ table_VD.T + bias_V).logsumexp(1)``, holding the scores of so many rows at a time."""
    result: Tensor = _LogPartition.apply(h_MD, table_VD, bias_V, rows)
    return result


class _LogPartition(torch.autograd.Function):
    """Takes the gradients while the scores are at hand. They hold for rows of equal weight, as those of a mean have, and cost a
    second pass where backward finds that the weights differ."""

    @staticmethod
    def forward(ctx: Any, h_MD: Tensor, table_VD: Tensor, bias_V: Tensor, rows: int) -> Tensor:
        result, *gradients = sweep(h_MD, table_VD, bias_V, None, rows, learning=any(ctx.needs_input_grad))
        ctx.save_for_backward(h_MD, table_VD, bias_V, *gradients)
        ctx.rows = rows
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_M: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h_MD, table_VD, bias_V, *gradients = ctx.saved_tensors
        if len(grad_M) and bool((grad_M == grad_M[0]).all()):
            grad_h, grad_table, grad_bias = (part * grad_M[0] for part in gradients)
        else:
            _, grad_h, grad_table, grad_bias = sweep(h_MD, table_VD, bias_V, grad_M, ctx.rows, learning=True)
        return grad_h, grad_table, grad_bias, None


def sweep(h_MD: Tensor, table_VD: Tensor, bias_V: Tensor, weight_M: Tensor | None, rows: int, *, learning: bool) -> list[Tensor]:
    """The log-partition of every row and, if ``learning``, the gradients of their (weighted) sum."""
    scores = h_MD.new_empty(min(rows, len(h_MD)), len(table_VD))
    result = h_MD.new_empty(len(h_MD))
    gradients = [torch.empty_like(h_MD), torch.zeros_like(table_VD), torch.zeros_like(bias_V)] if learning else []
    with torch.autocast(h_MD.device.type, enabled=False):  # mixed precision would round the scores
        for start in range(0, len(h_MD), rows):
            here = slice(start, start + rows)
            part = h_MD[here]
            weights = torch.addmm(bias_V, part, table_VD.T, out=scores[: len(part)])
            highest = weights.amax(1)
            total = weights.sub_(highest[:, None]).exp_().sum(1)
            result[here] = highest + total.log()
            if learning:
                share = (1 / total if weight_M is None else weight_M[here] / total)[:, None]
                torch.mul(weights @ table_VD, share, out=gradients[0][here])
                torch.addmm(gradients[1], weights.T, part * share, out=gradients[1])
                gradients[2].addmv_(weights.T, share[:, 0])
    return [result, *gradients]
