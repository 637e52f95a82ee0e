"""Next item: at every step predict the item that follows. For causal models only.

Source: Kang and McAuley (ICDM 2018), section III. Divergence: histories longer than ``max_len`` give several windows, so
that no item is left untrained (``stride=0`` keeps only the newest window, as the authors do).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from recpref.data.randomness import Draw
from recpref.data.windows import Spans, cropped, sliding
from recpref.types import Batch, History

__all__ = ["NextItem"]


class NextItem:
    """``stride`` is the step between windows as a share of the window; 0 keeps only the newest one.
    ``crop`` is the share of rows that end at a random earlier item.

    Raises: ValueError for a share outside [0, 1].
    """

    causal = True

    def __init__(self, max_len: int, *, stride: float = 0.5, crop: float = 0.0):
        for name, value in (("stride", stride), ("crop", crop)):
            if not 0 <= value <= 1:
                raise ValueError(f"examples.{name}={value} must lie in [0, 1]")
        self.max_len, self.stride, self.crop = max_len, stride, crop

    def spans(self, offsets: Int64[np.ndarray, " U1"]) -> Spans:
        """Windows of up to ``max_len`` inputs and one more target; a history of one item teaches nothing and is left out."""
        longest = int(np.diff(offsets).max(initial=0))
        stride = max(1, int(self.stride * self.max_len)) if self.stride else longest + 1
        spans = sliding(offsets, self.max_len + 1, stride)
        if self.stride == 0:
            newest = np.isin(spans.stop, offsets[1:])
            spans = Spans(spans.start[newest], spans.stop[newest])
        useful = spans.stop - spans.start > 1
        return Spans(spans.start[useful], spans.stop[useful])

    def cut(self, spans: Spans, draw: Draw) -> Spans:
        """The rows of one epoch."""
        return cropped(spans, self.crop, 2, draw)

    def __call__(self, history: History, draw: Draw) -> Batch:
        """Shapes: items [B, L + 1] -> inputs [B, L] and targets [B, L]."""
        inputs, targets = history.items[:, :-1], history.items[:, 1:]
        time = None if history.time is None else history.time[:, :-1]
        return Batch(history._replace(items=inputs, time=time), targets.masked_fill(inputs == 0, 0))
