"""What samplers share: the positives of a batch, what users have already, and how draws become candidates.

``log q`` is the log of the expected number of times that an item is among a row's N negatives, over N. For draws with
replacement that is the probability of one draw; for others, the chance of being chosen at all over N. An accidental positive
is marked and not drawn anew, so the q of all others stays what it was: then ``sum_j e^s_j / (N q_j)`` over the unmarked has
the sum of e^s over the items that are no hits as its expectation.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from recpref.types import PAD, Batch, Candidates

WORTH_REDRAWING = 64  # items of the catalogue for each that is drawn: above, hardly any comes twice


@runtime_checkable
class Rows(Protocol):
    """The part of Interactions that samplers look at. Shapes: [n] each; users and items are numbered from 1."""

    @property
    def user(self) -> np.ndarray: ...

    @property
    def item(self) -> np.ndarray: ...


class Histories:
    """The items that each user has in training, asked about in bulk: sorted (user, item) keys."""

    def __init__(self, train: Rows, n_items: int):
        self.n_items, self.width = n_items, n_items + 1
        keys = np.unique(train.user.astype(np.int64) * self.width + train.item)
        user, item = np.divmod(keys, self.width)
        n_users = int(user.max(initial=0))
        offsets = np.searchsorted(user, np.arange(n_users + 2))  # user u owns offsets[u]:offsets[u + 1]
        lacking = user * self.width + item - 1 - (np.arange(len(keys)) - offsets[user])  # how many smaller items the user lacks
        self.keys, self.lacking, self.offsets = (torch.from_numpy(array) for array in (keys, lacking, offsets))

    def to(self, device: torch.device) -> Histories:
        """Itself, moved there once."""
        self.keys, self.lacking, self.offsets = (tensor.to(device) for tensor in (self.keys, self.lacking, self.offsets))
        return self

    def has(self, user: Int[Tensor, "R 1"], items: Int[Tensor, "#R N"]) -> Bool[Tensor, "R N"]:
        """Whether each user has each item."""
        wanted = user * self.width + items
        if not len(self.keys):
            return torch.zeros_like(wanted, dtype=torch.bool)
        place = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
        return self.keys[place] == wanted

    def n_lacking(self, user: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
        """How many items each user does not have. Users are those of training."""
        return self.n_items - (self.offsets[user + 1] - self.offsets[user])

    def lacked(self, user: Int[Tensor, "R 1"], place: Int[Tensor, "R N"]) -> Int[Tensor, "R N"]:
        """The item at ``place`` (from 0) among those that the user does not have, in the order of their ids."""
        smaller = torch.searchsorted(self.lacking, user * self.width + place, right=True) - self.offsets[user]
        return place + smaller + 1


def positives(batch: Batch) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
    """The targets of a batch, row-major, and the row of each."""
    row, column = (batch.targets != PAD).nonzero(as_tuple=True)
    return batch.targets[row, column], row


def candidates(batch: Batch, negatives: Int[Tensor, "#M N"], log_q: Float[Tensor, " V1"], histories: Histories | None) -> Candidates:
    """Negatives drawn by ``log_q`` without a look at the row: the positive, and what the user has if asked, are marked."""
    positive, row = positives(batch)
    hit = negatives == positive[:, None]
    if histories is not None:
        user = batch.history.user[:, None]
        shared = len(negatives) == 1  # then users are asked, not positions
        hit = hit | (histories.has(user, negatives)[row] if shared else histories.has(user[row], negatives))
    return Candidates(positive, negatives, log_q[positive], log_q[negatives], hit)


def uniform_draw(n_items: int, n_rows: int | None, n: int, rng: Generator) -> Int[Tensor, "_ n"]:
    """``n`` items for each row, with replacement; where ``n_rows`` is None, one row of ``n`` different items."""
    if n_rows is None:
        return different(n_items, n, rng)[None]
    return torch.randint(1, n_items + 1, (n_rows, n), generator=rng, device=rng.device)


def different(n_items: int, n: int, rng: Generator) -> Int[Tensor, " n"]:
    """``n`` different items, each set of them in each order as likely as any other.

    Of a large catalogue, the first that come in independent draws: that costs nothing an item.
    """
    if n_items < WORTH_REDRAWING * n:
        return torch.randperm(n_items, generator=rng, device=rng.device)[:n] + 1
    items = torch.empty(0, dtype=torch.long, device=rng.device)
    while len(items) < n:
        items = torch.cat([items, torch.randint(1, n_items + 1, (n + n // 32 + 8,), generator=rng, device=rng.device)])
        kept, of = items.sort(stable=True)
        again = torch.zeros_like(items, dtype=torch.bool)
        again[of[1:]] = kept[1:] == kept[:-1]
        items = items[~again]
    return items[:n]


def check_count(n_negatives: int, n_items: int) -> None:
    """Raises: ValueError for a number of negatives that the catalogue cannot give."""
    if n_items < 2:
        raise ValueError(f"a catalogue of {n_items} items has no negatives; use sampler=catalogue")
    if not 1 <= n_negatives <= n_items:
        raise ValueError(
            f"sampler.n_negatives={n_negatives} must lie between 1 and {n_items}, the number of items; say, for example, "
            f"sampler.n_negatives={max(1, n_items // 10)}"
        )
