"""Adam for tables of which a step reads few rows: only those rows are updated, and only their moments are looked at.

What differs from Adam and AdamW over the whole table: a row that no example of the batch read keeps its weights and its moments, bit for
bit; neither its weight decays nor do its moments, and momentum does not carry it on. Bias correction counts all steps. Where every row
is read in every step, it is the same. Source: Kingma and Ba, "Adam" (ICLR 2015), algorithm 1; Loshchilov and Hutter, "Decoupled weight
decay regularization" (ICLR 2019), algorithm 2; the rows as in torch's ``SparseAdam``, which knows no weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from recpref.layers.item_table import readers
from recpref.processes import summed

MOMENTS = ("exp_avg", "exp_avg_sq")  # torch's names: the state is that of its Adam


class LazyAdam(torch.optim.Adam):
    """torch's Adam, with rows of tables updated as above. ``decoupled``: the weight decay is AdamW's."""

    def __init__(self, groups: list[dict[str, Any]], *, decoupled: bool, **options: Any):
        super().__init__(groups, **options)
        self.decoupled = decoupled

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Rows first, then torch's own step for what has a gradient everywhere."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        rows = [(group, p, p.grad) for group in self.param_groups for p in group["params"] if p.grad is not None and p.grad.is_sparse]
        for group, parameter, gradient in rows:
            self._update(parameter, gradient.coalesce(), group)
            parameter.grad = None  # torch's Adam refuses it
        decays = [group["weight_decay"] for group in self.param_groups]
        try:
            if self.decoupled:  # the Adam of torch 2.6 does not know of it
                self._decay()
            super().step()
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        for _, parameter, gradient in rows:
            parameter.grad = gradient
        return loss

    def _decay(self) -> None:
        """The decay of what has a gradient everywhere, of which nothing is left for torch's step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
            group["weight_decay"] = 0.0

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update(step=torch.zeros(()), **{name: torch.zeros_like(parameter) for name in MOMENTS})
        rate, decay, (beta1, beta2), eps = (group[name] for name in ("lr", "weight_decay", "betas", "eps"))
        first, second = (state[name] for name in MOMENTS)
        state["step"] += 1
        step = int(state["step"])
        place, g = gradient.indices()[0], gradient.values()
        old = parameter[place]
        if decay and not self.decoupled:
            g = g + decay * old
        m = first[place].lerp_(g, 1 - beta1)
        v = second[place].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        first[place], second[place] = m, v
        new = old * (1 - rate * decay) if self.decoupled else old
        denominator = (v.sqrt_() / math.sqrt(1 - beta2**step)).add_(eps)
        parameter[place] = new.addcdiv(m, denominator, value=-rate / (1 - beta1**step))


def tables_of(module: nn.Module) -> list[nn.Embedding]:
    """The tables of items that are read row by row: ``items`` of every model that offers ``rows``."""
    return [part.items for part in readers(module)]


def clip(module: nn.Module, most: float, algorithm: str | None, shards: Collection[nn.Parameter] = ()) -> None:
    """Clips gradients, of rows or whole: their norm over all of them (``norm``) or each number (``value``). Of ``shards`` each process has
    others, and they count with those of all."""
    theirs = {id(parameter) for parameter in shards}
    tensors, divided = list[Tensor](), list[Tensor]()
    for parameter in module.parameters():
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()  # a row that was read twice counts once
            tensors.append(parameter.grad._values())
        elif parameter.grad is not None:
            (divided if id(parameter) in theirs else tensors).append(parameter.grad)
    if algorithm == "value":
        for tensor in (*tensors, *divided):
            tensor.clamp_(-most, most)
    elif tensors or divided:
        norm = torch.nn.utils.get_total_norm(tensors)
        if shards:
            norm = (norm.square() + summed([float(torch.nn.utils.get_total_norm(divided).square())])[0]).sqrt()
        share = (most / (norm + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
        for tensor in (*tensors, *divided):
            tensor.mul_(share)
