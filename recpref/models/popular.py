"""Popular: everybody gets the items with the most training interactions. The baseline that every table must show.

Source of the recent windows: Ji, Sun, Zhang and Li, "A re-visit of the popularity baseline in recommender systems" (SIGIR
2020). Divergence: one window, which ends with the newest training interaction, for everybody.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recpref.data.interactions import Interactions
from recpref.types import PAD, History

__all__ = ["Popular"]
DAY = 86_400  # seconds


class Popular(nn.Module):
    """A state of one number and a table of counts. Validation and test interactions are never counted.

    With ``last_days``, or ``last_share`` of the time from the first training interaction to the last, only interactions of
    that window count. Interactions as old as the window's beginning are in it.

    Raises: ValueError for both windows at once, or for one that is not above 0 (and, a share, at most 1).
    """

    counts: Tensor

    def __init__(self, n_items: int, *, last_days: float | None = None, last_share: float | None = None):
        super().__init__()
        if last_days is not None and last_share is not None:
            raise ValueError(f"last_days={last_days} and last_share={last_share} are two windows; set one")
        if last_days is not None and not last_days > 0:
            raise ValueError(f"last_days={last_days} must be above 0")
        if last_share is not None and not 0 < last_share <= 1:
            raise ValueError(f"last_share={last_share} must be above 0 and at most 1")
        self.last_days, self.last_share = last_days, last_share
        self.register_buffer("counts", torch.zeros(n_items + 1))

    def fit(self, train: Interactions) -> None:
        """Counts the training interactions of each item. Raises: ValueError for a window where there is no clock."""
        windowed = self.last_days is not None or self.last_share is not None
        counted = train.where(self._recent(train)) if windowed else train
        self.counts.copy_(torch.from_numpy(counted.item_counts))

    def _recent(self, train: Interactions) -> Bool[np.ndarray, " n"]:
        if train.time is None or train.clock != "seconds":
            option = "last_days" if self.last_days is not None else "last_share"
            raise ValueError(f"model.{option} needs times in seconds, and {train.name} has clock={train.clock}; name a time column")
        newest, oldest = int(train.time.max()), int(train.time.min())
        length = self.last_days * DAY if self.last_days is not None else (self.last_share or 1) * (newest - oldest)
        return train.time >= newest - length

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """A one for everybody. Shapes: [B, 1]."""
        return self.counts.new_ones(len(history.items), 1)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """Shapes: [V + 1, 1] counts and a bias that is -inf for PAD."""
        bias = torch.zeros_like(self.counts)
        bias[PAD] = -torch.inf
        return self.counts[:, None], bias
