"""Prefix: read a history up to some item and predict the next one, at the last step only. For every model read there.

Source: the augmentation of Tan et al., "Improved recurrent neural networks for session-based recommendations" (DLRS 2016),
section 3.1, as used by SR-GNN and FMLP-Rec. It is what a model needs that turns a whole history into one vector. Divergence:
an optional ``stride``, because a history of n items has n - 1 prefixes, and each costs as much as all of ``next_item``.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64

from recpref.data.randomness import Draw
from recpref.data.windows import Spans
from recpref.types import PAD, Batch, History

__all__ = ["Prefix"]


class Prefix:
    """``stride`` is the step between rows as a share of the window; 0 makes every prefix a row.

    With a stride, each row stands for the prefixes between it and the row before, and is one of them at random in every
    epoch, so that all of them are learned in time. A row is two numbers; no prefix is ever copied.

    Raises: ValueError for a share outside [0, 1].
    """

    causal = None
    one_place = True

    def __init__(self, max_len: int, *, stride: float = 0.0):
        if not 0 <= stride <= 1:
            raise ValueError(f"examples.stride={stride} must lie in [0, 1]")
        self.max_len, self.step = max_len, max(1, int(stride * max_len))

    def spans(self, offsets: Int64[np.ndarray, " U1"]) -> Spans:
        """For every row all that any of its prefixes may read, and its last target. Rows count back from the newest item."""
        first, last = offsets[:-1], offsets[1:]
        count = np.maximum(-(-(last - first - 1) // self.step), 0)
        user = np.repeat(np.arange(len(count)), count)
        turn = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        stop = last[user] - turn * self.step
        return Spans(np.maximum(first[user], stop - self.max_len - self.step), stop)

    def cut(self, spans: Spans, draw: Draw) -> Spans:
        """The rows of one epoch: at most ``max_len`` items and the target after them."""
        spare = np.minimum(self.step, spans.stop - spans.start - 1)
        earlier = (draw.uniform(1, stream=1)[:, 0].numpy() * spare).astype(np.int64)
        stop = spans.stop - earlier
        return Spans(np.maximum(spans.start, stop - self.max_len - 1), stop)

    def __call__(self, history: History, draw: Draw) -> Batch:
        """Shapes: items [B, L + 1] -> inputs [B, L] and targets [B, L], PAD but in the last column."""
        time = None if history.time is None else history.time[:, :-1]
        targets = torch.full_like(history.items[:, 1:], PAD)
        targets[:, -1] = history.items[:, -1]
        return Batch(history._replace(items=history.items[:, :-1], time=time), targets)
