"""Cross-entropy of the positive against every candidate.

Over the catalogue it is computed in chunks of items that fit into the processor's cache, so that memory does not grow with
M x V: forward keeps the log of the partition function and backward computes the scores anew. Source of the smoothing:
Szegedy et al., "Rethinking the Inception architecture" (CVPR 2016), section 7; of the recomputation: Wijmans et al., "Cut
your losses in large-vocabulary language models" (ICLR 2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recpref.types import PAD, Candidates

__all__ = ["CrossEntropy"]

CHUNK = {"cpu": 2**20, "cuda": 2**27}  # scores held at once: 4 MB, a second-level cache; 0.5 GB, which keeps a GPU busy
FEWEST = 128  # items a chunk, however many rows there are


class CrossEntropy:
    """``-log softmax(logits / temperature)[positive]``; over the catalogue where no negatives are given.

    ``label_smoothing`` is the share of the target that is spread evenly over the candidates, the positive among them; PAD and
    accidental positives are no candidates. Sampled negatives are taken as they are: ``loss=sampled_softmax`` corrects for
    how they were drawn.

    Raises: ValueError for a smoothing outside [0, 1) or a temperature that is not positive.
    """

    def __init__(self, *, label_smoothing: float = 0.0, temperature: float = 1.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
        if not temperature > 0:
            raise ValueError(f"loss.temperature={temperature} must be positive")
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
        chunk = max(FEWEST, CHUNK.get(h_MD.device.type, CHUNK["cpu"]) // max(1, len(h_MD)))
        values = log_partition(h_MD, table_VD, bias_V, chunk) - scores
        if not self.label_smoothing:
            return values
        mean = h_MD @ table_VD[PAD + 1 :].mean(0) + bias_V[PAD + 1 :].mean()  # the mean score is the score of the mean item
        return values + self.label_smoothing * (scores - mean)


def log_partition(
    h_MD: Float[Tensor, "M D"], table_VD: Float[Tensor, "V1 D"], bias_V: Float[Tensor, " V1"], chunk: int
) -> Float[Tensor, " M"]:
    """``(h_MD @ table_VD.T + bias_V).logsumexp(1)``, holding ``chunk`` columns at a time."""
    result: Tensor = _LogPartition.apply(h_MD, table_VD, bias_V, chunk)
    return result


def _scores(h_MD: Tensor, table_VD: Tensor, bias_V: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """The scores of one chunk of items after the other; mixed precision would round them."""
    for start in range(0, len(table_VD), chunk):
        here = slice(start, start + chunk)
        with torch.autocast(h_MD.device.type, enabled=False):
            scores = torch.addmm(bias_V[here], h_MD, table_VD[here].T)
        yield here, scores


class _LogPartition(torch.autograd.Function):
    """The running maximum and sum of Milakov and Gimelshein (2018), algorithm 3."""

    @staticmethod
    def forward(ctx: Any, h_MD: Tensor, table_VD: Tensor, bias_V: Tensor, chunk: int) -> Tensor:
        highest = h_MD.new_full((len(h_MD),), torch.finfo(h_MD.dtype).min)  # finite: a chunk may hold PAD alone
        total = torch.zeros_like(highest)
        for _, scores in _scores(h_MD, table_VD, bias_V, chunk):
            higher = torch.maximum(highest, scores.amax(1))
            total = total * (highest - higher).exp() + scores.sub_(higher[:, None]).exp_().sum(1)
            highest = higher
        result = highest + total.log()
        ctx.save_for_backward(h_MD, table_VD, bias_V, result)
        ctx.chunk = chunk
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_M: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h_MD, table_VD, bias_V, result = ctx.saved_tensors
        grad_h, grad_table, grad_bias = torch.zeros_like(h_MD), torch.empty_like(table_VD), torch.empty_like(bias_V)
        for here, scores in _scores(h_MD, table_VD, bias_V, ctx.chunk):
            weights = scores.sub_(result[:, None]).exp_().mul_(grad_M[:, None])
            with torch.autocast(h_MD.device.type, enabled=False):
                grad_h.addmm_(weights, table_VD[here])
                torch.mm(weights.T, h_MD, out=grad_table[here])
            torch.sum(weights, 0, out=grad_bias[here])
        return grad_h, grad_table, grad_bias, None
