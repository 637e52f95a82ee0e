"""Popular: everybody gets the items with the most training interactions. The baseline that every table must show."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recpref.data.interactions import Interactions
from recpref.types import PAD, History

__all__ = ["Popular"]


class Popular(nn.Module):
    """A state of one number and a table of counts. Validation and test interactions are never counted."""

    counts: Tensor

    def __init__(self, n_items: int):
        super().__init__()
        self.register_buffer("counts", torch.zeros(n_items + 1))

    def fit(self, train: Interactions) -> None:
        """Counts the training interactions of each item."""
        self.counts.copy_(torch.from_numpy(train.item_counts))

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """A one for everybody. Shapes: [B, 1]."""
        return self.counts.new_ones(len(history.items), 1)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """Shapes: [V + 1, 1] counts and a bias that is -inf for PAD."""
        bias = torch.zeros_like(self.counts)
        bias[PAD] = -torch.inf
        return self.counts[:, None], bias
