"""Binary cross-entropy: is this item the next one, yes or no, asked of the positive and of each negative.

Source: Kang and McAuley, "Self-attentive sequential recommendation" (ICDM 2018), section III, with one negative; averaged
over the 1 + N answers as in Petrov and Macdonald, "gSASRec" (RecSys 2023).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recpref.losses import compared
from recpref.types import Candidates

__all__ = ["BCE"]


class BCE:
    """``-(log sigmoid(s+) + sum_j log(1 - sigmoid(s_j))) / (1 + N)``; N counts the negatives that are none by accident.

    ``prior``: a score of 0 says "as likely as any of the 1 + N", and not "one half": ``log N`` is taken off every score, which changes no
    ranking. Without it a model first learns that nearly every answer is "no", by what all its item vectors then have in common, and
    for some epochs nothing else. With one negative it changes nothing. Source: the bias of Lin et al., "Focal loss for dense object
    detection" (ICCV 2017), section 4.1; noise-contrastive estimation takes off ``log N q`` (Gutmann and Hyvärinen, AISTATS 2010).

    Raises: ValueError without negatives: over a whole catalogue the positive would be lost among V answers of "no".
    """

    needs_negatives = True

    def __init__(self, *, prior: bool = False):
        self.prior = prior

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]:
        """Shapes: logits [M, 1 + N] -> [M]. Units: nats an answer."""
        pair = compared(logits, candidates, self)
        positive, negatives, kept = pair.with_prior() if self.prior else pair
        total = F.logsigmoid(positive[:, 0]) + F.logsigmoid(-negatives).sum(1)  # log sigmoid(inf) = 0
        return -total / (1 + kept.sum(1))
