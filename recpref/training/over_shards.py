"""Lists over a table whose rows are divided over processes (``table=sharded``): what validation asks while training goes on."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from recpref.item_shards import everybodys, own
from recpref.processes import gathered
from recpref.retrieval.topk import shuffled
from recpref.types import History, Query, Ranking


class OverShards:
    """``TopK`` while the table of ``model``, its ``items``, is divided: all processes ask at the same time, each for users of its own or
    for nobody, and each scores its rows for everybody. Ties are broken as there."""

    def __init__(self, model: Any, *, seed: int = 0):
        self.model, self.place = model, shuffled(model.items.num_embeddings, seed).argsort()

    @torch.inference_mode()
    def recommend(self, query: Query, k: int) -> Ranking:
        """Shapes: [B, k]; B may be 0. PAD and -inf fill places for which no item is left.

        Raises: FloatingPointError where the model returns NaN.
        """
        assert query.candidates is None  # validation has none
        shards, items = self.model.items.shards, query.history.items
        state = self.model.state(query.history if len(items) else self._somebody(items))[: len(items)]
        exclude = items[:, :0] if query.exclude is None else query.exclude
        width = int(gathered(items.new_tensor([exclude.shape[1]])).max())
        excluded = gathered(F.pad(exclude, (0, width - exclude.shape[1])))
        found = shards.best(everybodys(state, shards.group), k, exclude=excluded, place=self.place)
        return Ranking(*(own(part, len(items), shards.group) for part in found))

    def _somebody(self, items: torch.Tensor) -> History:
        """A user without a history: models do not know an empty batch."""
        time = items.new_zeros(1, 1) if getattr(self.model, "needs_time", False) else None
        return History(items.new_zeros(1, 1), items.new_zeros(1), time)
