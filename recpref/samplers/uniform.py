"""Uniform negatives: any item but the positive, each as likely as the other.

Source: Rendle et al., BPR (UAI 2009), and Kang and McAuley, SASRec (ICDM 2018), with ``exclude_history``; Petrov and
Macdonald, gSASRec (RecSys 2023), without it, at 256 negatives. Divergence: theirs may draw the positive.
"""

from __future__ import annotations

import math

import torch
from torch import Generator

from recpref.negatives import Histories, Rows, candidates, check_count, positives, uniform_draw
from recpref.types import Batch, Candidates

__all__ = ["Uniform"]

BITS = 62  # of a random integer that is brought into range by its remainder: the bias is below V / 2^62


class Uniform:
    """``n_negatives`` uniform items a position.

    * alone: with replacement from all items but the positive, ``q = 1 / (V - 1)``;
    * ``exclude_history``: from all items that the user does not have in training, ``q = 1 / (V - items of the user)``; a user
      who has every item gets negatives that are all marked as hits;
    * ``shared``: one set of different items for the whole batch, ``q = 1 / V``; where it holds a row's positive, or with
      ``exclude_history`` an item that the user has, that is marked as a hit.

    ``log_q_positive`` is that of the row's other items.

    Raises: ValueError for fewer negatives than 1 or more than items.
    """

    def __init__(self, n_items: int, train: Rows, *, n_negatives: int = 256, shared: bool = False, exclude_history: bool = False):
        check_count(n_negatives, n_items)
        self.n_items, self.n_negatives, self.shared = n_items, n_negatives, shared
        self.histories = Histories(train, n_items) if exclude_history else None

    def __call__(self, batch: Batch, rng: Generator) -> Candidates:
        """Shapes: negatives [M, N], or [1, N] where they are shared."""
        if self.shared:
            negatives = uniform_draw(self.n_items, None, self.n_negatives, rng)
            log_q = torch.full((1,), -math.log(self.n_items), device=rng.device).expand(self.n_items + 1)
            return candidates(batch, negatives, log_q, self.histories and self.histories.to(rng.device))
        if self.histories is not None:
            return self._lacked(batch, self.histories.to(rng.device), rng)
        positive, _ = positives(batch)
        negatives = uniform_draw(self.n_items - 1, len(positive), self.n_negatives, rng)
        negatives += negatives >= positive[:, None]  # steps over the positive
        log_q = torch.full((len(positive),), -math.log(self.n_items - 1), device=rng.device)
        return Candidates(positive, negatives, log_q, log_q[:, None].expand_as(negatives))

    def _lacked(self, batch: Batch, histories: Histories, rng: Generator) -> Candidates:
        positive, row = positives(batch)
        user = batch.history.user[row]
        count = histories.n_lacking(user)
        free = count.clamp(min=1)
        bits = torch.randint(0, 2**BITS, (len(positive), self.n_negatives), generator=rng, device=rng.device)
        negatives = histories.lacked(user[:, None], bits % free[:, None]).clamp_(max=self.n_items)
        hit = (negatives == positive[:, None]) | (count == 0)[:, None]
        log_q = -free.float().log()
        return Candidates(positive, negatives, log_q, log_q[:, None].expand_as(negatives), hit)
