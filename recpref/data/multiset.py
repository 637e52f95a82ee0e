"""Rows as multisets: is every row of some parts a row of the data, and none used more often than the data has it?

Users whose rows agree in number and in the sum of 64-bit hashes have the same multiset of rows, so that only the others
need be sorted. The hash is one round of SplitMix64's finaliser: that two different multisets of a user agree has a negligible chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from recpref.data.blocks import BLOCK, each, edges
from recpref.data.interactions import Interactions

SLOTS = 32
_HALF = np.uint64(32)
_ITEM, _TIME = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_MIXED, _LOW = np.uint64(0xBF58476D1CE4E5B9), np.uint64(29)


class Tally(NamedTuple):
    """For each user: how many rows, and the sum of their hashes (modulo 2 ** 64)."""

    rows: Int64[np.ndarray, " U"]
    hashes: UInt64[np.ndarray, " U"]


class Excess(NamedTuple):
    """``n`` rows that some parts hold more often than the data does. ``counts`` of one, in the data and in each part."""

    n: int
    user: int
    item: int
    counts: tuple[int, ...]


def tally(data: Interactions) -> Tally:
    """The tally of (item, time) rows, user by user."""
    rows = np.diff(data.offsets)
    hashes = np.zeros(len(rows), dtype=np.uint64)
    users = np.flatnonzero(rows)
    ends = np.append(data.offsets[:-1][users], len(data))
    blocks = np.unique(np.append(np.searchsorted(ends[:-1], np.arange(0, len(data), BLOCK)), len(users)))  # whole users, about a block each

    def add(one: int, other: int) -> None:
        part = slice(ends[one], ends[other])
        hashed = _hashed(data.item[part], None if data.time is None else data.time[part])
        hashes[users[one:other]] = np.add.reduceat(hashed, ends[one:other] - ends[one])

    each(blocks.tolist(), add)
    return Tally(rows, hashes)


def _hashed(item: Int64[np.ndarray, " n"], time: Int64[np.ndarray, " n"] | None) -> UInt64[np.ndarray, " n"]:
    x = item.view(np.uint64) * _ITEM
    if time is not None:
        x += time.view(np.uint64) * _TIME
    x ^= x >> _HALF
    x *= _MIXED
    x ^= x >> _LOW
    return x


def excesses(data: Interactions, parts: Sequence[Interactions], tallied: Callable[[Interactions], Tally] = tally) -> list[Excess]:
    """What ``parts`` together hold more often than ``data``: first rows that the data lacks, then rows used too often.

    All are sorted by user and share their numbering. ``tallied`` may remember the tallies of parts that come again.
    """
    whole, each = tallied(data), [tallied(part) for part in parts]
    rows = np.sum([part.rows for part in each], axis=0)
    hashes = np.sum([part.hashes for part in each], axis=0, dtype=np.uint64)
    doubtful = (rows > 0) & ((rows != whole.rows) | (hashes != whole.hashes))
    return _counted([_of(doubtful, part) for part in (data, *parts)]) if doubtful.any() else []


def _of(users: Bool[np.ndarray, " U"], data: Interactions) -> Int64[np.ndarray, "3 n"]:
    """User, item and time of these users' rows."""
    kept = users[data.user - 1]
    time = np.zeros(len(data), np.int64) if data.time is None else data.time
    return np.stack([data.user[kept], data.item[kept], time[kept]])


def _counted(parts: list[Int64[np.ndarray, "3 _"]]) -> list[Excess]:
    """Sorts all rows, and compares how often each occurs in the other parts with how often it does in the first."""
    source = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    rows = np.concatenate(parts, axis=1)
    order = np.lexsort(rows[::-1])
    rows, source = rows[:, order], source[order]
    new = np.append(True, (rows[:, 1:] != rows[:, :-1]).any(0))
    group = np.cumsum(new) - 1
    counts = np.stack([np.bincount(group[source == n], minlength=group[-1] + 1) for n in range(len(parts))])
    over = np.maximum(counts[1:].sum(0) - counts[0], 0)
    found = []
    for kind in (counts[0] == 0, counts[0] > 0):
        for example in np.flatnonzero(kind & (over > 0))[:1]:
            user, item, _ = rows[:, new][:, example].tolist()
            found.append(Excess(int(over[kind].sum()), user, item, tuple(counts[:, example].tolist())))
    return found


def among(user: Int64[np.ndarray, " m"], item: Int64[np.ndarray, " m"], data: Interactions) -> Bool[np.ndarray, " m"]:
    """Which pairs of a user and an item occur in ``data``.

    A filter lets a few of the rows of ``data`` through, and only these are sorted. Both are walked through user by user, so that
    memory is read in order.
    """
    width, may_be = data.n_items + 1, _filter(user, item, data.n_users)

    def through(one: int, other: int) -> np.ndarray:
        u, i = data.user[one:other], data.item[one:other]
        maybe = may_be(u, i)
        return u[maybe] * width + i[maybe]

    found = each(edges(len(data)), through)
    pairs, known = user * width + item, np.sort(np.concatenate([np.full(1, -1), *found]))
    return np.asarray(known[np.searchsorted(known, pairs, side="right") - 1] == pairs)


def _filter(user: Int64[np.ndarray, " m"], item: Int64[np.ndarray, " m"], n_users: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Tells of users and items whether they may be one of these pairs: certainly where each user is in one pair.

    Otherwise each user has a few slots in a table, in which his items are marked by their hash.
    """
    of_user = np.bincount(user, minlength=n_users + 1)
    if of_user.max(initial=0) <= 1:
        only = np.zeros(n_users + 1, dtype=np.int64)
        only[user] = item
        return lambda u, i: only[u] == i
    size = SLOTS * of_user
    base = np.cumsum(size) - size

    def slot(u: np.ndarray, i: np.ndarray) -> np.ndarray:
        chance = ((i.view(np.uint64) * _ITEM) >> _HALF).view(np.int64)  # 32 bits
        return base[u] + ((chance * size[u]) >> 32)

    table = np.zeros(size.sum() + 1, dtype=bool)
    table[slot(user, item)] = True
    return lambda u, i: table[slot(u, i)]
