"""Cross-entropy of the positive against every candidate."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.types import Candidates

__all__ = ["CrossEntropy"]


class CrossEntropy:
    """``-log softmax(logits)[positive]``; over the catalogue where no negatives are given."""

    def __init__(self) -> None: ...

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, V + 1] (catalogue) or [M, 1 + N] (column 0 is the positive) -> [M]. Units: nats."""
        if candidates.negatives is None:
            return F.cross_entropy(logits, candidates.positive, reduction="none")
        return logits.logsumexp(1) - logits[:, 0]
