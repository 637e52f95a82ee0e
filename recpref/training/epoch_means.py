"""What batches logged, as means over epochs. They are part of a saved state, in the middle of an epoch, too, which Lightning's are not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class EpochMeans:
    """The mean of every name over the batches of an epoch that logged it, weighted by their counts; summed as Lightning does."""

    def __init__(self) -> None:
        self.done: list[dict[str, float]] = []  # the epochs before this one
        self.epoch = 0
        self.sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, epoch: int, count: int, values: dict[str, Any]) -> None:
        """What a batch of ``epoch`` (from 0) logged, over ``count``."""
        if epoch != self.epoch:
            self.done, self.epoch, self.sums = self.rows, epoch, {}
        for name, value in values.items():
            total, counted = self.sums.get(name, (torch.tensor(0.0), 0))
            here = torch.as_tensor(value).detach()
            self.sums[name] = total + here.to(torch.promote_types(here.dtype, torch.float32)) * count, counted + count

    @property
    def rows(self) -> list[dict[str, float]]:
        """A row an epoch, counted from one, and this one's as far as it went."""
        if not self.sums:
            return self.done
        means = {name: float(total.cpu() / torch.tensor(count)) for name, (total, count) in self.sums.items()}
        return [*self.done, {"epoch": self.epoch + 1.0, **means}]

    def state(self) -> dict[str, Any]:
        """What a saved state holds of it: plain values and tensors."""
        return {"losses": self.done, "sums": self.sums, "epoch_of_sums": self.epoch}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from there. A state that was saved before there were sums holds the epochs only."""
        self.done, self.sums, self.epoch = state["losses"], state.get("sums", {}), state.get("epoch_of_sums", 0)
