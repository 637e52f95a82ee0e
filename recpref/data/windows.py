"""Cutting long histories into windows: the spans of the flat item array that training rows are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from recpref.data.randomness import Draw


class Spans(NamedTuple):
    """Row r is ``items[start[r]:stop[r]]`` of the flat array, all of one user."""

    start: Int64[np.ndarray, " R"]
    stop: Int64[np.ndarray, " R"]


def sliding(offsets: Int64[np.ndarray, " U1"], size: int, stride: int) -> Spans:
    """Windows of at most ``size`` items, ``stride`` apart, counted from the newest item.

    A history of n <= size is one window. A longer one has windows starting at n - size, n - size - stride, ... and a last
    one at 0, every one full. Example: n=400, size=200, stride=100 starts at 200, 100, 0; n=250 at 50, 0.

    Source: the authors' BERT4Rec data generator (sliding windows).
    """
    first, last = offsets[:-1], offsets[1:]
    length = last - first
    overhang = np.maximum(length - size, 0)
    count = np.where(length > 0, -(-overhang // stride) + 1, 0)
    user = np.repeat(np.arange(len(length)), count)
    turn = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    start = first[user] + np.maximum(overhang[user] - turn * stride, 0)
    return Spans(start, np.minimum(start + size, last[user]))


def cropped(spans: Spans, share: float, shortest: int, draw: Draw) -> Spans:
    """The same rows, a ``share`` of which (drawn anew for each epoch) end at a random item, never below ``shortest`` items.

    A history that always ends at the same item is memorised place by place; one that ends anywhere teaches what follows
    what. Rows shorter than ``shortest`` stay whole.
    """
    if not share:
        return spans
    chance, where = draw.uniform(2, stream=1).numpy().T
    spare = np.maximum(spans.stop - spans.start - shortest, 0)
    cut = (where * (spare + 1)).astype(np.int64)
    return Spans(spans.start, spans.stop - np.where(chance < share, cut, 0))
