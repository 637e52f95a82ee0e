"""Score the positives of a batch against sampled candidates, at exactly the positions that carry loss."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recpref.types import PAD, Batch, Candidates, Loss, Sampler, Scorer, Step

__all__ = ["Score"]


class Score:
    """Examples, sampler and loss put together: the objective of every model that has none of its own."""

    def __init__(self, sampler: Sampler, loss: Loss):
        self.sampler, self.loss = sampler, loss

    def __call__(self, model: Scorer, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The summed loss and the number of positions it was taken at. Shapes: scalars."""
        carries_loss = batch.targets != PAD
        h_BLD = model.encode(model.embed(batch.history.items), batch.history)
        candidates = self.sampler(batch, step.rng)
        items = candidates.negatives
        if items is not None:
            positive = candidates.positive[:, None]
            items = torch.cat([positive, items.expand(len(positive), -1)], 1)
        logits_MC = corrected(model.score(h_BLD[carries_loss], items), candidates)
        return self.loss(logits_MC, candidates).sum(), carries_loss.sum(), {}


def corrected(logits_MC: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, "M C"]:
    """Scores less the log of each candidate's sampling probability, and accidental positives at -inf.

    Shapes: [M, 1 + N] where negatives were sampled; the catalogue's scores are left as they are.
    """
    if candidates.negatives is None:
        return logits_MC
    positive, negatives = logits_MC[:, :1], logits_MC[:, 1:]
    if candidates.log_q_positive is not None and candidates.log_q_negatives is not None:
        positive, negatives = positive - candidates.log_q_positive[:, None], negatives - candidates.log_q_negatives
    if candidates.hit is not None:
        negatives = negatives.masked_fill(candidates.hit, -torch.inf)
    return torch.cat([positive, negatives], 1)
