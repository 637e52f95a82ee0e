"""Mixed negatives: a share from the batch or by popularity, and the rest uniform.

Source: Yang et al., "Mixed negative sampling for learning two-tower neural networks in recommendations" (WWW 2020): batch
negatives alone never show a model the items that are rarely anyone's target.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Generator

from recpref.negatives import Histories, Rows, candidates, check_count, positives, uniform_draw
from recpref.samplers.in_batch import batch_targets
from recpref.samplers.popularity import popular_draw, shares
from recpref.types import Batch, Candidates

__all__ = ["Mixed"]


class Mixed:
    """``round(share * n_negatives)`` negatives from ``source``, the others uniform.

    ``q`` is that of the mixture, ``(n1 q1 + n2 / V) / (n1 + n2)``, whichever part an item came from. ``alpha`` is the power
    of ``source="popularity"``, 0.75 unless said. ``shared`` negatives are one set for the whole batch; those from the batch always are. The
    positive, and with ``exclude_history`` what the user has in training, are marked as hits.

    Raises: ValueError for a share that leaves one part empty, for ``shared=false`` or an ``alpha`` with negatives from the batch, and for
    fewer negatives than 1 or more than items.
    """

    def __init__(
        self,
        n_items: int,
        item_counts: Shaped[np.ndarray, " V1"],
        train: Rows,
        *,
        n_negatives: int = 256,
        source: Literal["in_batch", "popularity"] = "in_batch",
        share: float = 0.5,
        alpha: float | None = None,
        shared: bool = True,
        exclude_history: bool = False,
    ):
        check_count(n_negatives, n_items)
        self.n_first = round(share * n_negatives)
        if not 1 <= self.n_first < n_negatives:
            raise ValueError(f"sampler.share={share} of {n_negatives} negatives leaves one part empty; use sampler={source} or uniform")
        if source == "in_batch" and not shared:
            raise ValueError("sampler.shared=false cannot be with sampler.source=in_batch: the targets of a batch are one set")
        if source == "in_batch" and alpha is not None:
            raise ValueError(f"sampler.alpha={alpha} is the power of popularity; it needs sampler.source=popularity")
        self.n_items, self.n_negatives, self.source, self.shared = n_items, n_negatives, source, shared
        power = 0.75 if alpha is None else alpha
        self.q = shares(item_counts, power if source == "popularity" else 1.0)
        self.cumulative = self.q[1:].cumsum(0)
        self.histories = Histories(train, n_items) if exclude_history else None

    def __call__(self, batch: Batch, rng: Generator) -> Candidates:
        """Shapes: negatives [1, N], or [M, N] where they are not shared."""
        self.q, self.cumulative = self.q.to(rng.device), self.cumulative.to(rng.device)
        n_rows = 1 if self.shared else len(positives(batch)[0])
        if self.source == "in_batch":
            first = batch_targets(batch, self.n_first, rng)
        else:
            first = popular_draw(self.cumulative, n_rows, self.n_first, rng)
        rest = uniform_draw(self.n_items, None if self.shared else n_rows, self.n_negatives - self.n_first, rng)
        n1, n2 = first.shape[1], rest.shape[1]
        log_q = ((n1 * self.q + n2 / self.n_items) / (n1 + n2)).log().float()
        return candidates(batch, torch.cat([first, rest], 1), log_q, self.histories and self.histories.to(rng.device))
