"""An item table past one device: its rows in shards over processes, with lookup, cross-entropy and retrieval over all of them.

Source: Shoeybi et al., "Megatron-LM" (2019), section 3: lookups are masked and added up, and of a softmax only its maximum and sum
travel. A shard's scores are never held at once (``losses/cross_entropy.py``), and its gradients stay where it is.

All processes of a group call the same functions on the same rows. Where each has rows of its own, as encoders that share the data do,
``everybodys`` makes them the same rows and ``own`` takes back what belongs here; gradients take the opposite way. That is what
``table=sharded`` does (``tables/sharded.py``).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recpref.losses.cross_entropy import rows_at_once, sweep
from recpref.retrieval.topk import HELD, best, in_order, known
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

    def biases(self, items: Int[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """The biases of the items, wherever they are, -inf for PAD."""
        never = self.never.new_zeros(items.shape).masked_fill(items == PAD, -torch.inf)
        return never if self.bias is None else never + self._looked_up(items, self.bias[:, None])[..., 0]

    def _looked_up(self, items: Int[Tensor, "*B"], rows: Tensor) -> Tensor:
        here = (items >= self.first) & (items < self.last)
        found = F.embedding((items - self.first).where(here, 0), rows)
        summed: Tensor = _Sum.apply(found * here.unsqueeze(-1), self.group)
        return summed

    def cross_entropy(
        self, h_MD: Float[Tensor, "M D"], positive_M: Int[Tensor, " M"], *, temperature: float = 1.0, label_smoothing: float = 0.0
    ) -> Float[Tensor, " M"]:
        """``-log softmax((h @ table.T + bias) / temperature)[positive]`` over the whole catalogue, smoothed as by ``CrossEntropy``, in the
        table's precision. Units: nats."""
        h_MD = h_MD.to(self.weight.dtype) / temperature
        bias_S = self.shard_bias() / temperature
        scores = (h_MD * self(positive_M)).sum(1)
        if self.bias is not None:
            scores = scores + self._looked_up(positive_M, self.bias[:, None])[:, 0] / temperature
        log_partition: Tensor = _LogPartition.apply(h_MD, self.weight, bias_S, rows_at_once(self.weight), self.group)
        values = log_partition - scores
        if not label_smoothing:
            return values
        items = slice(int(self.first == PAD), None)
        sums: Tensor = _Sum.apply(torch.cat([self.weight[items].sum(0), bias_S[items].sum()[None]]), self.group)
        mean = sums / self.n_items  # the mean score is the score of the mean item
        return values + label_smoothing * (scores - h_MD @ mean[:-1] - mean[-1])

    @torch.no_grad()
    def best(
        self,
        h_MD: Float[Tensor, "M D"],
        k: int,
        *,
        exclude: Int[Tensor, "M S"] | None = None,
        place: Int[Tensor, " V1"] | None = None,
    ) -> Ranking:
        """The k best items of the whole catalogue but those of ``exclude``: each shard's best, and the best of those. Of equal ones the
        first by ``place``, or else the smallest. Raises: FloatingPointError for NaN, in all processes."""
        place = torch.arange(self.n_items + 1) if place is None else place
        place, rows = place.to(h_MD.device), max(1, HELD // len(self.weight))
        exclude = h_MD.new_zeros(len(h_MD), 0, dtype=torch.long) if exclude is None else exclude
        parts = [
            self._best_here(h_MD[start : start + rows], k, exclude[start : start + rows], place)
            for start in range(0, max(1, len(h_MD)), rows)
        ]
        items, scores = (torch.cat(_from_all(torch.cat(part), self.group), 1) for part in zip(*parts, strict=True))
        items, scores = (part[:, :k] for part in in_order(Ranking(items, known(scores)), place))
        return Ranking(items.where(scores > -torch.inf, PAD), scores)

    def _best_here(self, h_MD: Float[Tensor, "M D"], k: int, exclude: Int[Tensor, "M S"], place: Int[Tensor, " V1"]) -> Ranking:
        """The best items of this shard."""
        with torch.autocast(h_MD.device.type, enabled=False):
            scores = torch.addmm(self.shard_bias(), h_MD.to(self.weight.dtype), self.weight.T)
        row, column = ((exclude >= self.first) & (exclude < self.last)).nonzero(as_tuple=True)
        scores[row, exclude[row, column] - self.first] = -torch.inf
        found = best(scores, k, place[self.first : self.last])
        return found._replace(items=found.items + self.first)


def everybodys(h_MD: Float[Tensor, "M D"], group: Any = None) -> Float[Tensor, "T D"]:
    """The rows of all processes, in their order; on the way back each gets the gradient of its own."""
    rows: Tensor = _Gather.apply(h_MD, _counts(h_MD, group), group)
    return rows


def own(h_TD: Shaped[Tensor, "T *D"], count: int, group: Any = None) -> Shaped[Tensor, "M *D"]:
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
