"""Cloze: hide some items of a window behind [MASK] and predict them from both sides.

Source: Sun et al. (CIKM 2019), section 3.6, and the authors' generator: round(n * mask_ratio) positions (at least one) are
drawn without replacement, every one is replaced by [MASK], and one row in eleven hides only its last item, which is what
the model will be asked at inference. Divergence: masks are drawn anew in every epoch instead of ten fixed times.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64

from recpref.data.randomness import Draw
from recpref.data.windows import Spans, cropped, sliding
from recpref.types import PAD, Batch, History

__all__ = ["Cloze"]


class Cloze:
    """``stride`` is a share of the window, ``last_ratio`` the share of rows that hide only their last item, ``crop`` the
    share of rows that end at a random earlier item (0 as published).

    Raises: ValueError for ratios outside (0, 1] (``last_ratio`` and ``crop`` may be 0).
    """

    causal = False

    def __init__(
        self,
        n_items: int,
        max_len: int,
        *,
        mask_ratio: float = 0.2,
        last_ratio: float = 1 / 11,
        stride: float = 0.5,
        crop: float = 0.0,
    ):
        for name, value in (("mask_ratio", mask_ratio), ("last_ratio", last_ratio), ("stride", stride), ("crop", crop)):
            some = name in ("mask_ratio", "stride")
            if not 0 <= value <= 1 or (some and value == 0):
                raise ValueError(f"examples.{name}={value} must be a share, at most 1 and {'above 0' if some else 'not below 0'}")
        self.mask_id, self.max_len = n_items + 1, max_len
        self.mask_ratio, self.last_ratio, self.stride, self.crop = mask_ratio, last_ratio, stride, crop
        self.one_place = last_ratio == 1

    def spans(self, offsets: Int64[np.ndarray, " U1"]) -> Spans:
        """Windows over each user's history."""
        return sliding(offsets, self.max_len, max(1, int(self.stride * self.max_len)))

    def cut(self, spans: Spans, draw: Draw) -> Spans:
        """The rows of one epoch."""
        return cropped(spans, self.crop, 1, draw)

    def __call__(self, history: History, draw: Draw) -> Batch:
        """Shapes: items [B, L] -> masked items [B, L] and targets [B, L], PAD where nothing is hidden."""
        items = history.items
        real = items != PAD
        noise = draw.uniform(items.shape[1] + 1)
        # a column's number must not depend on how far the row is padded: count columns from the newest item
        order = noise[:, 1:].flip(1).masked_fill(~real, 2.0)
        count = (real.sum(1).double() * self.mask_ratio + 0.5).long().clamp(min=1)
        threshold = order.sort(1).values.gather(1, count[:, None] - 1)
        hidden = order <= threshold
        only_last = noise[:, 0] < self.last_ratio
        hidden[only_last] = False
        hidden[only_last, -1] = True
        targets = torch.where(hidden, items, PAD)
        return Batch(history._replace(items=items.masked_fill(hidden, self.mask_id)), targets)
