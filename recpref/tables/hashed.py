"""Hash embeddings: an item's vector is a weighted sum of a few rows that it shares with others.

Source: Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations" (NIPS 2017), section 3: ``e = sum_i p_i
E[h_i]`` with k hashes into B rows and importance weights p of the item's own. Divergences: the hashes are permutations of the items cut
to B rows, so that rows are shared evenly (theirs are random functions); every item has its own p, so that their second hash is the
identity; p starts at ``1 / sqrt(k)``, and is not appended to the vector. Where B and the number of items have a common factor, a few
numbers more than there are items are permuted: hashes of the same remainder by B would put the same items together.
"""

from __future__ import annotations

import math
import random
from itertools import count

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.layers.initial import truncated_normal
from recpref.layers.item_table import STD, Table

__all__ = ["Hashed"]

SHARING = 10  # items for each row, where nothing else is said


class Hashed(Table):
    """``n_rows`` x D numbers, ``n_hashes`` an item, and one more an item where the model has biases.

    Two items whose hashes all agree differ in their importance only, which is a length and not a direction. With one hash, V + 1 rows
    and no importance it is a whole table in another order.

    Raises: ValueError for fewer rows or hashes than 1, or more rows than V + 1.
    """

    def __init__(
        self,
        n_items: int,
        d_model: int,
        bias: bool,
        *,
        n_rows: int | None = None,
        n_hashes: int = 2,
        importance: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        n_rows = max(1, (n_items + 1) // SHARING) if n_rows is None else n_rows
        if not 1 <= n_rows <= n_items + 1:
            raise ValueError(f"table.n_rows={n_rows} must lie between 1 and {n_items + 1}, the number of items and padding")
        if n_hashes < 1:
            raise ValueError(f"table.n_hashes={n_hashes} must be at least 1")
        self.num_embeddings, self.n_rows = n_items + 1, n_rows
        self.n_permuted = n_items + 1 if n_rows == n_items + 1 else _coprime(n_rows, n_items + 1)
        self.hashes = [_permutation(self.n_permuted, random.Random(f"{seed} {number}")) for number in range(n_hashes)]
        self.shared = nn.Embedding(n_rows, d_model)
        truncated_normal(self.shared.weight, STD)
        self.importance = nn.Parameter(torch.full((n_items + 1, n_hashes), n_hashes**-0.5)) if importance else None
        self.keep_biases(n_items, bias)

    def forward(self, items: Int[Tensor, "*S"]) -> Float[Tensor, "*S D"]:
        """Shapes: [..] -> [.., D]."""
        weight = None if self.importance is None else self.importance[items]
        total = 0.0
        for number, (factor, shift) in enumerate(self.hashes):
            vectors = self.shared((items * factor + shift) % self.n_permuted % self.n_rows)
            total = total + (vectors if weight is None else vectors * weight[..., number, None])
        assert isinstance(total, Tensor)  # there is a hash
        return total


def _coprime(n: int, least: int) -> int:
    """The smallest number from ``least`` on that has no factor in common with ``n``."""
    return next(m for m in count(least) if math.gcd(m, n) == 1)


def _permutation(n: int, rng: random.Random) -> tuple[int, int]:
    """``a`` and ``b`` for which ``(a i + b) mod n`` takes every value once."""
    while True:
        factor = rng.randrange(1, n + 1)
        if math.gcd(factor, n) == 1:
            return factor, rng.randrange(n)
