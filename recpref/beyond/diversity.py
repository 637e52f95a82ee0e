"""Intra-list diversity."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int
from torch import Tensor

from recpref.facts import Facts
from recpref.types import PAD

__all__ = ["diversity"]
BLOCK = 1024  # lists


def diversity(lists: Int[Tensor, "U K"], facts: Facts, k: int) -> float | None:
    """One minus the cosine of two items of a list, on average over its pairs, then over lists of at least two items.

    Items are alike by the users that have both in training, or by ``evaluation.alike_by``. With unit vectors x the cosines
    of a list's pairs sum up to ``(|sum of x|^2 - sum of |x|^2) / 2``; an item without users is like nothing.

    Source: Ziegler, McNee, Konstan and Lausen (WWW 2005). Example: users 1 and 2 have items 1 and 2, user 2 item 3 too:
    cosines 1, 1/sqrt(2), 1/sqrt(2), so that the list 1 2 3 has diversity@3 = 1 - (1 + 2 / sqrt(2)) / 3.
    """
    items = lists[:, :k].numpy()
    items = items[(items != PAD).sum(1) > 1]
    if not len(items):
        return None
    return 1 - float(np.concatenate([_alike(items[i : i + BLOCK], facts.traits) for i in range(0, len(items), BLOCK)]).mean())


def _alike(items: np.ndarray, traits: sp.csr_array) -> np.ndarray:
    """The mean cosine of each list's pairs. Shapes: [B, K] -> [B]."""
    n = (items != PAD).sum(1)
    chosen = sp.csr_array((np.ones(items.size), items.ravel(), np.arange(len(items) + 1) * items.shape[1]), (len(items), traits.shape[0]))
    together = (chosen @ traits).power(2).sum(1)
    alone = chosen @ traits.power(2).sum(1)
    return (together - alone) / (n * (n - 1))
