"""An item table past one device: its rows in shards over processes, with lookup, cross-entropy and retrieval over all of them.

Source: Shoeybi et al., "Megatron-LM" (2019), section 3: lookups are masked and added up, and of a softmax only its maximum and sum
travel. A shard's scores are never held at once (``losses/cross_entropy.py``), and its gradients stay where it is.

All processes of a group call the same functions on the same rows. Where each has rows of its own, as encoders that share the data do,
``everybodys`` makes them the same rows and ``own`` takes back what belongs here; gradients take the opposite way (an example:
``docs/scaling.md``). No model of ours is built on it yet: they keep a whole table in each process.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recpref.losses.cross_entropy import rows_at_once, sweep
from recpref.types import PAD, Ranking


class ItemShards(nn.Module):
    """Rows ``first`` to ``last - 1`` of a table of ``V + 1``; row PAD can be read and is never recommended. The first shards are the
    largest, by at most one row. ``bias`` learns one number an item.

    Raises: ValueError for fewer than two rows a process.
    """

    never: Tensor

    def __init__(self, n_items: int, d_model: int, *, bias: bool = False, group: Any = None):
        super().__init__()
        self.group, n, turn = group, dist.get_world_size(group), dist.get_rank(group)
        if n_items + 1 < 2 * n:
            raise ValueError(f"n_items={n_items} over {n} processes leaves a shard without items; use fewer processes")
        rows, more = divmod(n_items + 1, n)
        self.n_items, self.first = n_items, turn * rows + min(turn, more)
        self.last = self.first + rows + (turn < more)
        self.weight = nn.Parameter(torch.randn(self.last - self.first, d_model))
        self.bias = nn.Parameter(torch.zeros(self.last - self.first)) if bias else None
        self.register_buffer("never", torch.where(torch.arange(self.first, self.last) == PAD, -torch.inf, 0.0), persistent=False)

    def load_whole(self, weight: Float[Tensor, "V1 D"], bias: Float[Tensor, " V1"] | None = None) -> ItemShards:
        """Itself, with the rows of a whole table that belong here."""
        with torch.no_grad():
            self.weight.copy_(weight[self.first : self.last])
            if self.bias is not None and bias is not None:
                self.bias.copy_(bias[self.first : self.last])
        return self

    def shard_bias(self) -> Float[Tensor, " S"]:
        """The biases of this shard, -inf for PAD."""
        return self.never if self.bias is None else self.never + self.bias

    def forward(self, items: Int[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        """The vectors of the items, wherever they are."""
        return self._looked_up(items, self.weight)

    def _looked_up(self, items: Int[Tensor, "*B"], rows: Tensor) -> Tensor:
        here = (items >= self.first) & (items < self.last)
        found = F.embedding((items - self.first).where(here, 0), rows)
        summed: Tensor = _Sum.apply(found * here.unsqueeze(-1), self.group)
        return summed

    def cross_entropy(self, h_MD: Float[Tensor, "M D"], positive_M: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """``-log softmax(h @ table.T + bias)[positive]`` over the whole catalogue, in the table's precision. Units: nats."""
        scores = (h_MD * self(positive_M)).sum(1)
        if self.bias is not None:
            scores = scores + self._looked_up(positive_M, self.bias[:, None])[:, 0]
        return self.log_partition(h_MD) - scores

    def log_partition(self, h_MD: Float[Tensor, "M D"]) -> Float[Tensor, " M"]:
        """``(h @ table.T + bias).logsumexp(1)`` over all shards."""
        h_MD = h_MD.to(self.weight.dtype)
        result: Tensor = _LogPartition.apply(h_MD, self.weight, self.shard_bias(), rows_at_once(self.weight), self.group)
        return result

    @torch.no_grad()
    def best(self, h_MD: Float[Tensor, "M D"], k: int) -> Ranking:
        """The k best items of the whole catalogue: each shard's best, and the best of those. Ties go to smaller items."""
        with torch.autocast(h_MD.device.type, enabled=False):
            scores = torch.addmm(self.shard_bias(), h_MD.to(self.weight.dtype), self.weight.T)
        places = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
        found = Ranking(places + self.first, scores.gather(1, places))
        items, values = (
            torch.cat(_from_all(F.pad(part, (0, k - part.shape[1]), value=fill), self.group), 1)
            for part, fill in zip(found, (PAD, -torch.inf), strict=True)
        )
        order = values.argsort(dim=1, descending=True, stable=True)[:, :k]
        kept = Ranking(items.gather(1, order), values.gather(1, order))
        return kept._replace(items=kept.items.where(kept.scores > -torch.inf, PAD))

    @torch.no_grad()
    def whole(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """The vectors and biases of all shards, on each process: what a run saves."""
        missing = -(-(self.n_items + 1) // dist.get_world_size(self.group)) - len(self.weight)
        weights = _from_all(F.pad(self.weight, (0, 0, 0, missing)), self.group)
        biases = _from_all(F.pad(self.shard_bias(), (0, missing), value=torch.nan), self.group)
        kept = ~torch.cat(biases).isnan()
        return torch.cat(weights)[kept], torch.cat(biases)[kept]


def everybodys(h_MD: Float[Tensor, "M D"], group: Any = None) -> Float[Tensor, "T D"]:
    """The rows of all processes, in their order; on the way back each gets the gradient of its own."""
    rows: Tensor = _Gather.apply(h_MD, _counts(h_MD, group), group)
    return rows


def own(h_TD: Float[Tensor, "T D"], count: int, group: Any = None) -> Float[Tensor, "M D"]:
    """The ``count`` rows of this process among those of all; on the way back everybody gets the gradients of all rows."""
    rows: Tensor = _Own.apply(h_TD, _counts(h_TD[:count], group), group)
    return rows


def _counts(rows: Tensor, group: Any) -> list[int]:
    return [int(count) for count in _from_all(torch.tensor([len(rows)], device=rows.device), group)]


def _from_all(part: Tensor, group: Any) -> list[Tensor]:
    parts = [torch.empty_like(part) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, part.contiguous(), group=group)
    return parts


def _mine(counts: list[int], group: Any) -> slice:
    turn = dist.get_rank(group)
    return slice(sum(counts[:turn]), sum(counts[: turn + 1]))


def _laid_out(rows: Tensor, counts: list[int], group: Any) -> Tensor:
    """The rows of all processes: each puts its own in their place among zeros, and all are added."""
    total = rows.new_zeros(sum(counts), *rows.shape[1:])
    total[_mine(counts, group)] = rows
    dist.all_reduce(total, group=group)
    return total


class _Sum(torch.autograd.Function):
    """The sum over processes, of which each part has the gradient of the whole."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        total = part.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], group: Any) -> Tensor:
        ctx.place = _mine(counts, group)
        return _laid_out(rows, counts, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad[ctx.place], None, None


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], group: Any) -> Tensor:
        ctx.counts, ctx.group = counts, group
        return rows[_mine(counts, group)].clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _laid_out(grad, ctx.counts, ctx.group), None, None


class _LogPartition(torch.autograd.Function):
    """A shard's part of the gradient is that of its own log-partition times its share of the whole."""

    @staticmethod
    def forward(ctx: Any, h_MD: Tensor, weight: Tensor, bias: Tensor, rows: int, group: Any) -> Tensor:
        (here,) = sweep(h_MD, weight, bias, None, rows, learning=False)
        highest = here.clone()
        dist.all_reduce(highest, dist.ReduceOp.MAX, group=group)
        total = (here - highest).exp_()
        dist.all_reduce(total, group=group)
        result = highest + total.log()
        ctx.save_for_backward(h_MD, weight, bias, (here - result).exp())
        ctx.rows, ctx.group = rows, group
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_M: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        h_MD, weight, bias, share = ctx.saved_tensors
        _, grad_h, grad_weight, grad_bias = sweep(h_MD, weight, bias, grad_M * share, ctx.rows, learning=True)
        dist.all_reduce(grad_h, group=ctx.group)
        return grad_h, grad_weight, grad_bias, None, None
