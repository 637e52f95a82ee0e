"""Adapters: what turns a model's own view of a user into one that knows what was retrieved already.

Source: Li et al., "Ada-Retrieval: an adaptive multi-round retrieval paradigm for sequential recommendations" (AAAI 2024): the
learnable filter (LFT) and the context-aware attention (CAT) that adapt items, the GRU and the MLP that adapt users; and the
authors' code. Divergences, each on purpose:

* with ``keep_scale``, what an adapter returns is as long as what it was given. The authors' norms bring everything to variance 1, which
  is far from what a trained base knows, unless its first step is a norm: later rounds then begin as noise, and not as the base;
* weights start as everywhere here (``layers.initial``); theirs are Xavier's with some backbones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recpref.layers.dropout import Dropout
from recpref.layers.frequencies import filtered
from recpref.layers.initial import initialise
from recpref.layers.transformer import LN_EPS

FILTER_STD = 0.02  # the authors'


class Adapted(nn.LayerNorm):
    """``LN(x)``, with ``keep_scale`` times the root mean square of what ``x`` takes the place of, step by step."""

    def __init__(self, d_model: int, keep_scale: bool):
        super().__init__(d_model, eps=LN_EPS)
        self.keep_scale = keep_scale

    def forward(self, x: Float[Tensor, "*B D"], replaced: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:  # type: ignore[override]
        x = super().forward(x)
        return x * replaced.detach().square().mean(-1, keepdim=True).sqrt() if self.keep_scale else x


class ListFilter(nn.Module):
    """LFT: ``LN(c + Drop(W_d irfft(W * rfft(c))))`` along the ``length`` items of a ranked list, of any batch.

    ``filter`` [length // 2 + 1, D, 2] holds the real and the imaginary parts of W, one for all rounds.
    Despite its name in the authors' code (``LowFilterLayer``) it need not be a low-pass.

    Shapes: [B, K, D] -> [B, K, D] with K = length.
    """

    def __init__(self, d_model: int, length: int, *, dropout: float, keep_scale: bool):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(length // 2 + 1, d_model, 2) * FILTER_STD)
        self.output = nn.Linear(d_model, d_model)
        self.norm = Adapted(d_model, keep_scale)
        self.dropout = Dropout(dropout)
        initialise(self)

    def forward(self, c_BKD: Float[Tensor, "B K D"]) -> Float[Tensor, "B K D"]:
        return self.norm(c_BKD + self.dropout(self.output(filtered(c_BKD, self.filter))), c_BKD)


class Reading(NamedTuple):
    """What attention has read so far, and the log of the sum of all weights it was read with."""

    mean: Float[Tensor, "B L D"]
    mass: Float[Tensor, "B L 1"]


class ItemAdapter(nn.Module):
    """CAT: every item vector of a history reads from all lists: ``LN(x + Drop(softmax(x C' / sqrt(D)) C))``.

    One head and no projections, so that equal items of a history stay equal. A list is read once, when it is new: a softmax over two
    lists is the mean of those over each, weighed by the sums of their exponentials.
    """

    def __init__(self, d_model: int, *, dropout: float, keep_scale: bool):
        super().__init__()
        self.norm = Adapted(d_model, keep_scale)
        self.dropout = Dropout(dropout)

    def read(self, x: Float[Tensor, "B L D"], list_BKD: Float[Tensor, "B K D"], earlier: Reading | None) -> Reading:
        """What was read of earlier lists, and of this one."""
        logits = x @ list_BKD.transpose(1, 2) * x.shape[2] ** -0.5
        mean, mass = logits.softmax(2) @ list_BKD, logits.logsumexp(2, keepdim=True)
        if earlier is None:
            return Reading(mean, mass)
        share = torch.sigmoid(mass - earlier.mass).to(mean.dtype)  # which is a half one under mixed precision
        return Reading(torch.lerp(earlier.mean, mean, share), torch.logaddexp(earlier.mass, mass))

    def forward(self, x: Float[Tensor, "B L D"], reading: Reading) -> Float[Tensor, "B L D"]:
        return self.norm(x + self.dropout(reading.mean), x)


class UserAdapter(nn.Module):
    """``LN(h + Drop(W_2 relu(W_1 [h; g])))``, where ``g`` is where a GRU stands that has read the user's vectors of earlier rounds."""

    def __init__(self, d_model: int, *, dropout: float, keep_scale: bool):
        super().__init__()
        self.memory = nn.GRUCell(d_model, d_model)
        self.wide, self.narrow = nn.Linear(2 * d_model, 2 * d_model), nn.Linear(2 * d_model, d_model)
        self.norm = Adapted(d_model, keep_scale)
        self.dropout = Dropout(dropout)
        initialise(self)

    def remember(self, user_MD: Float[Tensor, "M D"], memory_MD: Float[Tensor, "M D"] | None) -> Float[Tensor, "M D"]:
        """One step of the GRU, from zero at first."""
        return self.memory(user_MD, memory_MD)

    def forward(self, h_MD: Float[Tensor, "M D"], memory_MD: Float[Tensor, "M D"]) -> Float[Tensor, "M D"]:
        mixed = self.narrow(torch.relu(self.wide(torch.cat([h_MD, memory_MD], 1))))
        return self.norm(h_MD + self.dropout(mixed), h_MD)
