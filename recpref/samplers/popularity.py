"""Popular negatives: items are drawn in proportion to a power of how often training has them.

Source: Mikolov et al., "Distributed representations of words and phrases" (NIPS 2013), section 2.2, for the power .75;
Hidasi and Karatzoglou, "Recurrent neural networks with top-k gains" (CIKM 2018), for its use among items. Divergence: an
item that training does not have counts as one, so that every item can be drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Generator, Tensor

from recpref.negatives import Histories, Rows, candidates, check_count, positives
from recpref.types import Batch, Candidates

__all__ = ["Popularity"]


class Popularity:
    """``n_negatives`` items a position, with replacement, ``q = counts^alpha / their sum``.

    ``shared`` draws one set for the whole batch. The positive, and with ``exclude_history`` what the user has in training,
    are marked as hits where they were drawn; ``log q`` is that of the draw, whatever was marked.

    Raises: ValueError for fewer negatives than 1 or more than items, or a negative alpha.
    """

    def __init__(
        self,
        item_counts: Shaped[np.ndarray, " V1"],
        train: Rows,
        *,
        n_negatives: int = 256,
        alpha: float = 0.75,
        shared: bool = False,
        exclude_history: bool = False,
    ):
        check_count(n_negatives, len(item_counts) - 1)
        self.n_negatives, self.shared = n_negatives, shared
        q = shares(item_counts, alpha)
        self.histories = Histories(train, len(item_counts) - 1) if exclude_history else None
        self.cumulative, self.log_q = q[1:].cumsum(0), q.log().float()

    def __call__(self, batch: Batch, rng: Generator) -> Candidates:
        """Shapes: negatives [M, N], or [1, N] where they are shared."""
        n_rows = 1 if self.shared else len(positives(batch)[0])
        self.log_q = self.log_q.to(rng.device)
        self.cumulative = self.cumulative.to(rng.device)
        negatives = popular_draw(self.cumulative, n_rows, self.n_negatives, rng)
        return candidates(batch, negatives, self.log_q, self.histories and self.histories.to(rng.device))


def popular_draw(cumulative: Float[Tensor, " V"], n_rows: int, n: int, rng: Generator) -> Int[Tensor, "_ n"]:
    """``n`` items for each row: the inverse of the cumulative distribution at uniform numbers of 53 bits."""
    at = torch.rand((n_rows, n), generator=rng, device=rng.device, dtype=torch.float64) * cumulative[-1]
    return torch.searchsorted(cumulative, at, right=True).clamp_(max=len(cumulative) - 1) + 1


def shares(item_counts: Shaped[np.ndarray, " V1"], alpha: float) -> Float[Tensor, " V1"]:
    """The probability of each item; 0 for PAD. Float64. Raises: ValueError for a negative alpha."""
    if not alpha >= 0:
        raise ValueError(f"sampler.alpha={alpha} must not be negative")
    weights = torch.as_tensor(np.maximum(item_counts, 1), dtype=torch.float64) ** alpha
    weights[0] = 0
    return weights / weights.sum()
