"""What training knows of the items: how popular they are, and what makes two of them alike."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recpref.consumed import consumed
from recpref.data.interactions import Interactions
from recpref.suggest import unknown
from recpref.types import PAD

HEAD, MID, TAIL = 0, 1, 2
SHARE = 0.2  # of all interactions, that the head and the tail each hold


@dataclass(frozen=True)
class Facts:
    """Of the training rows alone. ``alike_by`` names a column of the items' features; without it, items are alike by their users."""

    train: Interactions
    alike_by: str | None = None

    @cached_property
    def popularity(self) -> Int[Tensor, " V1"]:
        """How many training interactions an item has. Shapes: [V + 1]."""
        return torch.from_numpy(self.train.item_counts)

    @cached_property
    def strata(self) -> Int[Tensor, " V1"]:
        """HEAD: the fewest most popular items that hold a fifth of all interactions; TAIL: the least popular that hold the last.

        Equally popular items are in the order of their numbers; an item without interactions is in the tail, PAD too.

        Shapes: [V + 1]. Source: Abdollahpouri et al., "User-centered evaluation of popularity bias" (UMAP 2021).
        """
        counts = self.train.item_counts
        order = np.argsort(-counts, kind="stable")
        before = (counts[order].cumsum() - counts[order]) / max(counts.sum(), 1)
        strata = np.full(len(counts), MID)
        strata[order[before < SHARE]] = HEAD
        strata[order[before >= 1 - SHARE]] = TAIL
        strata[counts == 0] = TAIL
        return torch.from_numpy(strata)

    @cached_property
    def share_of_users(self) -> Float[Tensor, " V1"]:
        """The share of training users that have an item; one that nobody has counts as if a single user had it. Shapes: [V + 1]."""
        n_columns = self.train.n_items + 1
        once = np.unique(self.train.user * n_columns + self.train.item) % n_columns
        n_users = max(int((np.diff(self.train.offsets) > 0).sum()), 1)
        return torch.from_numpy(np.maximum(np.bincount(once, minlength=n_columns), 1) / n_users)

    @cached_property
    def traits(self) -> sp.csr_array:
        """A row an item, of length 1 (or 0): the inner product of two is their cosine. Shapes: [V + 1, T].

        Raises: ValueError where the items have no such feature.
        """
        matrix = consumed(self.train).T.tocsr() if self.alike_by is None else self._words(self.alike_by)
        length = np.sqrt(matrix.sum(1))
        return sp.csr_array(sp.diags_array(np.divide(1, length, out=np.zeros_like(length), where=length > 0)) @ matrix)

    def _words(self, column: str) -> sp.csr_array:
        """Which words, or members of lists, each item's feature has."""
        features = self.train.items.features
        if features is None or column not in features:
            raise ValueError(unknown("feature of items", column, () if features is None else map(str, features.columns)))
        words = list(map(_words_of, features[column].tolist()))
        number = {word: place for place, word in enumerate(sorted(set().union(*words)))}
        column_of = np.array([number[word] for of_item in words for word in of_item], dtype=np.int64)
        item = np.repeat(np.arange(1, len(words) + 1), [len(of_item) for of_item in words])
        return sp.csr_array((np.ones(len(item)), (item, column_of)), shape=(len(words) + 1, len(number)))


def _words_of(value: object) -> set[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return set()
    if isinstance(value, list | tuple | np.ndarray):
        return set(map(str, value))
    return set(re.split(r"[\s|,;]+", str(value).strip())) - {""}


def filled(lists: Int[Tensor, "U K"], k: int) -> Int[Tensor, " n"]:
    """The items of all lists, cut at k, without empty places."""
    items = lists[:, :k]
    return items[items != PAD]
