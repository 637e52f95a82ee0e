"""Semantic ids: an item's vector is the sum of vectors of its codes, which items that are alike share, level by level.

The codes are those of a column of the items' features, made by whatever quantiser (residual k-means, RQ-VAE) of whatever is known of the
items, so that what is learned of one item holds for its like, and an item without interactions has a vector.

Source: Singh et al., "Better generalization with semantic IDs: a case study in ranking for recommendations" (RecSys 2024), with codes by
themselves (unigrams: a table for each level, and sums). Codes as in Rajput et al., "TIGER" (NeurIPS 2023), whose last level tells items
apart that are equal in all others: items of the same codes have one vector here.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.layers.initial import truncated_normal
from recpref.layers.item_table import STD, Table
from recpref.suggest import unknown

__all__ = ["SemanticIds"]


class SemanticIds(Table):
    """``n_levels`` tables of ``n_codes`` rows of width D, and a bias an item where the model has some.

    ``column`` holds for every item a list of ``n_levels`` whole numbers from 0 to ``n_codes - 1``, or a text of them (``12 250 3 0``).
    ``describe`` reads it.

    With one level and codes 0..V - 1 it is a whole table, whose padding is nothing.

    Raises: ValueError for sizes below 1; ``describe`` for a column that is not there, and for codes that are none.
    """

    codes: Tensor

    def __init__(self, n_items: int, d_model: int, bias: bool, *, column: str = "codes", n_levels: int = 4, n_codes: int = 256):
        super().__init__()
        for name, size in (("n_levels", n_levels), ("n_codes", n_codes)):
            if size < 1:
                raise ValueError(f"table.{name}={size} must be at least 1")
        self.num_embeddings, self.column, self.n_levels, self.n_codes = n_items + 1, column, n_levels, n_codes
        self.shared = nn.Embedding(1 + n_levels * n_codes, d_model, padding_idx=0)  # row 0 is padding's
        truncated_normal(self.shared.weight, STD / math.sqrt(n_levels))
        with torch.no_grad():
            self.shared.weight[0] = 0
        self.register_buffer("codes", torch.zeros(n_items + 1, n_levels, dtype=torch.int32))  # rows of ``shared``
        self.keep_biases(n_items, bias)

    def describe(self, ids: np.ndarray, features: pd.DataFrame | None) -> SemanticIds:
        """Itself, knowing the codes of items 1..V: their original ids and their features, in that order."""
        if features is None or self.column not in features:
            known = () if features is None else map(str, features.columns)
            raise ValueError(f"table.column={self.column}: {unknown('feature of items', self.column, known)}")
        found = np.array([self._codes(item, value) for item, value in zip(ids.tolist(), features[self.column], strict=True)])
        rows = found + 1 + self.n_codes * np.arange(self.n_levels)
        self.codes[1:] = torch.from_numpy(rows).to(self.codes)
        return self

    def _codes(self, item: Any, value: Any) -> list[int]:
        """The codes of one item. Raises: ValueError where they are none."""
        parts = re.split(r"[\s|,;]+", value.strip()) if isinstance(value, str) else value
        parts = list(parts) if isinstance(parts, list | tuple | np.ndarray) else [parts]
        right = [re.fullmatch(r"\d{1,9}", str(part)) and int(part) < self.n_codes for part in parts]
        if len(parts) != self.n_levels or not all(right):
            wanted = f"{self.n_levels} codes from 0 to {self.n_codes - 1}; say table.n_levels= and table.n_codes= as they are"
            raise ValueError(f"table.column={self.column}: item {item!r} has {value!r}, which is not {wanted}")
        return [int(part) for part in parts]

    def forward(self, items: Int[Tensor, "*S"]) -> Float[Tensor, "*S D"]:
        """Shapes: [..] -> [.., D]."""
        return self.shared(self.codes[items].long()).sum(-2)
