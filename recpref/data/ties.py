"""Rows of one user and one moment: which they are, and whether the order they stand in repeats itself.

Such rows have no order of their own. Where the file gives the same two items the same order again and again, that order is
the file's and not the users', and a sequence model learns it.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw

SAMPLED = 1_000_000  # rows; enough to know an agreement to a hundredth, and no cost
FEWEST = 100  # repeated neighbours below which an agreement is noise
RULED = 0.6  # of repeated neighbours in the same order: more than that is no accident

__all__ = ["agreement", "at_random", "follows", "tied_rows"]


def tied_rows(data: Interactions) -> tuple[Int[Tensor, " t"] | None, Int[Tensor, " t"] | None]:
    """The rows that share user and time with another one, and a number for each such moment; None where time is unknown."""
    if data.time is None:
        return None, None
    moment = np.cumsum(np.append(True, ~data.tied()))
    tied = np.flatnonzero((np.bincount(moment) > 1)[moment])
    return torch.from_numpy(tied), torch.from_numpy(moment[tied])


def at_random(data: Interactions) -> Interactions:
    """The same rows, those of one moment in an order that depends on nothing but the numbers of user and item."""
    tied, moment = tied_rows(data)
    if tied is None or moment is None:
        return data.noted("ties=random: there are no times, and so no ties")
    pair = torch.from_numpy(data.user * (data.n_items + 1) + data.item)[tied]
    order = np.arange(len(data))
    order[tied] = tied[(moment + Draw(0, 0, pair).uniform(1)[:, 0]).argsort(stable=True)]
    return data.where(order).noted(f"ties=random: {len(tied):,} of {len(data):,} rows share user and time with another one")


def agreement(data: Interactions) -> float | None:
    """How often two occurrences of the same two items, as neighbours of one moment, stand in the same order.

    0.5 where ties have no order, 1 where a rule orders them. Of the first million rows; None without times, or where fewer than a
    hundred neighbours are repeated. The estimate is Simpson's index of each pair of items, unbiased for any number of occurrences.
    """
    if data.time is None:
        return None
    item = data.item[:SAMPLED]
    tied = data.tied(SAMPLED) & (item[1:] != item[:-1])
    first, second = item[:-1][tied], item[1:][tied]
    _, pair, times = np.unique(
        np.minimum(first, second) * (data.n_items + 1) + np.maximum(first, second), return_inverse=True, return_counts=True
    )
    up = np.bincount(pair, weights=first < second, minlength=len(times))
    repeated = times > 1
    n, up = times[repeated], up[repeated]
    if n.sum() < FEWEST:
        return None
    agreeing = (up * (up - 1) + (n - up) * (n - up - 1)) / (n - 1)
    return float(agreeing.sum() / n.sum())


def follows(order_agreement: float | None) -> bool:
    """Is that agreement one of rows that follow a rule? Not known is no."""
    return order_agreement is not None and order_agreement > RULED
