"""In-batch negatives: the targets of all other positions, shared by every row.

Source: Hidasi et al., "Session-based recommendations with recurrent neural networks" (ICLR 2016), section 3.1.2, and Yi et
al., "Sampling-bias-corrected neural modeling" (RecSys 2019). Divergence: the probability of an item is its share of training,
which is known here, and not estimated from a stream.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Generator, Tensor

from recpref.negatives import Histories, Rows, candidates, check_count, positives
from recpref.processes import from_first, gathered
from recpref.samplers.popularity import shares
from recpref.types import Batch, Candidates

__all__ = ["InBatch"]


class InBatch:
    """At most ``n_negatives`` of the batch's targets, chosen at random, those of other processes among them.

    ``q`` is an item's share of training: targets count as independent draws by popularity, which they are from row to row,
    not within one. A row's positive, and with ``exclude_history`` all that its user has in training (so the other targets of
    its sequence), are marked as hits.

    Raises: ValueError for fewer negatives than 1 or more than items.
    """

    def __init__(self, item_counts: Shaped[np.ndarray, " V1"], train: Rows, *, n_negatives: int = 256, exclude_history: bool = False):
        check_count(n_negatives, len(item_counts) - 1)
        self.n_negatives = n_negatives
        self.log_q = shares(item_counts, 1.0).log().float()
        self.histories = Histories(train, len(item_counts) - 1) if exclude_history else None

    def __call__(self, batch: Batch, rng: Generator) -> Candidates:
        """Shapes: negatives [1, N]; N is smaller than ``n_negatives`` where the batch has fewer targets."""
        self.log_q = self.log_q.to(rng.device)
        negatives = batch_targets(batch, self.n_negatives, rng)
        return candidates(batch, negatives, self.log_q, self.histories and self.histories.to(rng.device))


def batch_targets(batch: Batch, n: int, rng: Generator) -> Int[Tensor, "1 _"]:
    """Up to ``n`` targets of the batch, and of those of other processes, without replacement: the same for all of them.

    The order of gathering is that of the rows of the whole batch, so the first process draws what one alone would draw.
    """
    own = positives(batch)[0]
    targets = gathered(own[:0] if batch.idle else own)
    return from_first(targets[torch.randperm(len(targets), generator=rng, device=rng.device)[:n]])[None]
