"""The optimiser and its schedule."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from recpref.training.lazy_adam import LazyAdam, tables_of
from recpref.types import Group


class Optimizer:
    """Adam or AdamW with linear warm-up, then a constant, linear or cosine course to zero at the last step.

    ``average`` > 0 keeps an exponential moving average of the weights with that decay a step; it is what is validated and
    saved (Polyak and Juditsky 1992; 0 is off, as in all papers here).

    Weight decay spares biases and norms (every parameter of one dimension), as BERT's does. A part with ``groups()`` says itself at
    what rate and decay its parameters learn (``types.Group``).

    ``sparse``: of the table of items only the rows that a batch read get gradients and are updated (see ``lazy_rows``); for sampled
    losses over large catalogues. The rows that were not read do not decay, either.

    Raises: ValueError for a rate that is not positive, a negative decay or warm-up, or ``sparse`` with ``average``.
    """

    def __init__(
        self,
        *,
        method: Literal["adamw", "adam"] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 0,
        decay: Literal["none", "linear", "cosine"] = "none",
        beta2: float = 0.999,
        average: float = 0.0,
        sparse: bool = False,
    ):
        if not lr > 0:
            raise ValueError(f"optimizer.lr={lr} must be positive")
        if not weight_decay >= 0 or warmup_steps < 0:
            raise ValueError(f"optimizer.weight_decay={weight_decay} and optimizer.warmup_steps={warmup_steps} must not be negative")
        if not 0 < beta2 < 1:
            raise ValueError(f"optimizer.beta2={beta2} must lie in (0, 1)")
        self.method, self.lr, self.weight_decay, self.beta2 = method, lr, weight_decay, beta2
        if not 0 <= average < 1:
            raise ValueError(f"optimizer.average={average} must lie in [0, 1)")
        if sparse and average:
            raise ValueError(
                f"optimizer.sparse=true updates the rows that were read, and optimizer.average={average} moves all of them; say "
                "optimizer.average=0"
            )
        self.warmup_steps, self.decay, self.average, self.sparse = warmup_steps, decay, average, sparse

    def __call__(
        self, module: nn.Module, n_steps: float, *, fused: bool = True
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """The optimiser over ``module`` and its schedule, to be stepped after every batch of ``n_steps``.

        ``fused``: in torch's one kernel for all parameters, whose gradients Lightning does not clip under mixed precision.

        Raises: ValueError for ``sparse`` where there is no table to be read row by row.
        """
        self.mark(module)
        own: list[Group] = [group for part in module.modules() if callable(groups := getattr(part, "groups", None)) for group in groups()]
        theirs = {id(p) for group in own for p in group.parameters}
        parameters = [p for p in module.parameters() if p.requires_grad and id(p) not in theirs]
        groups = self._decayed(Group(parameters, weight_decay=None)) + [
            part for group in own for part in self._decayed(group) if part["params"]
        ]
        course = {"lr": self.lr, "betas": (0.9, self.beta2)}
        optimizer: torch.optim.Optimizer
        if self.sparse:
            optimizer = LazyAdam(groups, decoupled=self.method == "adamw", **course)
        else:
            kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[self.method]
            optimizer = kind(groups, **course, fused=fused)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.factor(step, n_steps))

    def _decayed(self, group: Group) -> list[dict[str, Any]]:
        """What torch's optimisers take: a group with a decay of its own as it is, another in two parts, the second without any."""
        parts = [(group.parameters, group.weight_decay)]
        if group.weight_decay is None:
            parts = [([p for p in group.parameters if p.ndim > 1], self.weight_decay), ([p for p in group.parameters if p.ndim <= 1], 0.0)]
        return [{"params": parameters, "lr": self.lr * group.lr_scale, "weight_decay": decay} for parameters, decay in parts]

    def mark(self, module: nn.Module) -> None:
        """Says of every table of items whether its gradients are of rows. Several processes must know before they wrap the model.

        Raises: ValueError for ``sparse`` where there is no table to be read row by row.
        """
        tables = tables_of(module)
        if self.sparse and not tables:
            raise ValueError("optimizer.sparse=true needs a model with a whole table of items that it reads row by row, such as sasrec")
        for table in tables:
            table.sparse = self.sparse

    def averaged(self, model: nn.Module) -> AveragedModel | None:
        """The moving average of ``model``, where one was asked for. It follows closely at first: decay (n + 1) / (n + 10)."""

        def move(averages: Any, values: Any, n: Any) -> None:
            torch._foreach_lerp_(averages, values, 1 - min(self.average, (int(n) + 1) / (int(n) + 10)))

        return AveragedModel(model, multi_avg_fn=move).requires_grad_(False) if self.average else None

    def factor(self, step: int, n_steps: float) -> float:
        """What the rate is multiplied with at ``step`` (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.decay == "none" or math.isinf(n_steps):
            return 1.0
        done = min(1.0, step / max(1.0, n_steps))  # counted from the first step, as BERT's code does
        return 1 - done if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
