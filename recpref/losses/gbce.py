"""Generalised binary cross-entropy: the positive's answer raised to a power, against the overconfidence that sampling brings.

Source: Petrov and Macdonald, "gSASRec: reducing overconfidence in sequential recommendation trained with negative sampling"
(RecSys 2023), and their PyTorch code. Divergence: the authors transform the positive's logit, in float64, so that an ordinary BCE takes
the power; ``log(sigmoid(s)^beta) = beta * log sigmoid(s)`` is the same number, exact in any precision.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["GBCE"]


class GBCE:
    """``-(beta log sigmoid(s+) + sum_j log(1 - sigmoid(s_j))) / (1 + k)`` with ``beta = a (t (1 - 1/a) + 1/a)``.

    ``a = k / (V - 1)`` is the share of the negatives that was sampled. ``t = 0`` is BCE; ``t = 1`` is calibrated in full.
    ``prior`` takes ``log(k / beta)`` off every score, as BCE's takes ``log N`` (see there).

    Raises: ValueError for t outside [0, 1], and for no negatives or more than there are other items.
    """

    needs_negatives = True

    def __init__(self, n_items: int, *, t: float = 0.75, prior: bool = False):
        if not 0 <= t <= 1:
            raise ValueError(f"loss.t={t} must lie in [0, 1]")
        self.n_items, self.t, self.prior = n_items, t, prior

    def beta(self, k: int) -> float:
        """The power for ``k`` negatives. Raises: ValueError where that is no share of the other items."""
        if not 1 <= k <= self.n_items - 1:
            raise ValueError(
                f"loss=gbce with {k} negatives: sampler.n_negatives must lie between 1 and {self.n_items - 1}, the number of other items"
            )
        return 1 - self.t * (1 - k / (self.n_items - 1))

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + k] -> [M]. Units: nats an answer."""
        pair = compared(logits, candidates, self)
        beta = self.beta(pair.negatives.shape[1]) if len(logits) else 1.0
        positive, negatives, kept = pair.with_prior(beta) if self.prior else pair
        total = beta * F.logsigmoid(positive[:, 0]) + F.logsigmoid(-negatives).sum(1)
        return -total / (1 + kept.sum(1))
