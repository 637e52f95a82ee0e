"""Who consumed what, once each: what models of sets, not of sequences, start from."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Int
from torch import Tensor

from recpref.data.interactions import Interactions
from recpref.types import PAD


def consumed(train: Interactions) -> sp.csr_array:
    """Shapes: [U + 1, V + 1], 1 where the user consumed the item, however often; row and column 0 are empty."""
    shape = train.n_users + 1, train.n_items + 1
    matrix = sp.csr_array((np.ones(len(train)), (train.user, train.item)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def distinct(items: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """The items of each row, sorted, with repeats replaced by PAD."""
    items = items.sort(1).values
    again = torch.zeros_like(items, dtype=torch.bool)
    again[:, 1:] = items[:, 1:] == items[:, :-1]
    return items.masked_fill(again, PAD)
