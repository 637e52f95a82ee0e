"""How models read a history: its newest items, the place where a model is read, and the rows at some places."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from recpref.types import PAD, History, Reader, Scorer


def newest(items: Int[Tensor, "B L"], count: int) -> Int[Tensor, "B l"]:
    """The last ``count`` columns without columns that are padding for everybody. Shapes: [B, <= count]."""
    items = items[:, max(0, items.shape[1] - count) :]
    longest = int((items != PAD).sum(1).max()) if items.numel() else 0
    return items[:, items.shape[1] - longest :]


def shortened(history: History, length: int) -> History:
    """The newest ``length`` items, and their times. Where nobody has a history, it is a column of padding."""
    items = newest(history.items, length)
    time = None if history.time is None else history.time[:, history.time.shape[1] - items.shape[1] :]
    if not items.shape[1]:
        items, time = F.pad(items, (1, 0)), None if time is None else F.pad(time, (1, 0))
    return history._replace(items=items, time=time)


def last_state(model: Reader, history: History) -> Float[Tensor, "B D"]:
    """What ``model`` encodes at the last column of what it reads."""
    read = model.reads(history)
    return encoded_at(model, model.embed(read.items), read, last_column(read.items))


def last_column(items: Int[Tensor, "B L"]) -> Bool[Tensor, "B L"]:
    """True there and nowhere else."""
    return F.pad(torch.zeros_like(items[:, 1:], dtype=torch.bool), (0, 1), value=True)


def encoded_at(model: Scorer | Reader, x: Float[Tensor, "B L D"], history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
    """What ``model`` encodes of ``x`` at these positions, row-major; by its ``encode_at`` where it has one."""
    if hasattr(model, "encode_at"):
        rows: Tensor = model.encode_at(x, history, where)
        return rows
    return model.encode(x, history)[where]


def places(where: Bool[Tensor, "B L"]) -> tuple[Int[Tensor, "B C"], Bool[Tensor, "B C"]]:
    """The columns that are True in each row, as many as the fullest row has, and which of them count (others are column 0).

    Example: rows 0101 and 0010 give columns (1, 3) and (2, 0), of which the last does not count.
    """
    count = where.sum(1)
    counts = torch.arange(int(count.max()), device=where.device) < count[:, None]
    place = torch.zeros_like(counts, dtype=torch.long)
    place[counts] = where.nonzero()[:, 1]
    return place, counts
