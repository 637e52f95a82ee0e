"""Length-bucketed training batches: one epoch is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from recpref.data.interactions import Interactions
from recpref.data.randomness import Draw, seed_of
from recpref.data.ties import agreement, follows, tied_rows
from recpref.data.windows import Spans
from recpref.types import PAD, Batch, History

TIES = 3  # the stream of the draw that orders rows of equal time
JITTER = 0.1  # rows whose lengths differ by less than about this share may share a batch


@runtime_checkable
class Examples(Protocol):
    """How windows become inputs and targets.

    ``causal`` says whom they are for: True for models that do not look ahead, False for those that do and know [MASK], None
    for every model that is read at its last step. ``one_place`` says that rows have a single target each; unsaid, they may have more.
    """

    causal: bool | None

    def spans(self, offsets: Int64[np.ndarray, " U1"]) -> Spans: ...

    def cut(self, spans: Spans, draw: Draw) -> Spans: ...

    def __call__(self, history: History, draw: Draw) -> Batch: ...


class Loader:
    """How rows are put into batches. ``batch_size`` counts sequences, those of all processes together.

    ``shuffle_ties``: a user's rows of equal time, whose order the data does not know, change places in every epoch. Without
    it, models learn the order of the file. Validation and test keep that order, so that learning it pays where the file follows
    a rule (MovieLens-1M) and is overfitting where it does not (MovieLens-100K): ``auto`` shuffles ties that follow none.

    Raises: ValueError for a batch size below 1.
    """

    def __init__(self, *, batch_size: int = 32, shuffle_ties: bool | Literal["auto"] = False):
        if batch_size < 1:
            raise ValueError(f"loader.batch_size={batch_size} must be at least 1")
        self.batch_size, self.shuffle_ties = batch_size, shuffle_ties

    def shuffles(self, train: Interactions) -> bool:
        """Whether these rows' ties are shuffled."""
        return not follows(agreement(train)) if self.shuffle_ties == "auto" else self.shuffle_ties


class Batches:
    """The batches of the epoch that ``place()`` names, from the batch that it names, every time it is iterated over.

    Of each batch a process takes the consecutive rows that ``share()`` (its number, how many there are) says, as wide as the longest
    of the whole batch: what one process trains on, in the same order. Where a batch has fewer rows than there are processes, some are idle.

    Rows of similar length share a batch, so that little of it is padding, and which rows do changes in every epoch.

    ``timed`` adds the times to the histories, where the data has a clock. The flat arrays live on ``device()``, and there rows are cut,
    padded and masked: a step takes nothing from the processor but the numbers of its rows. What a batch holds does not depend on it.

    Raises: ValueError where training has no row to learn from.
    """

    def __init__(
        self,
        train: Interactions,
        examples: Examples,
        loader: Loader,
        *,
        seed: int,
        place: Callable[[], tuple[int, int]],
        share: Callable[[], tuple[int, int]] = lambda: (0, 1),
        device: Callable[[], torch.device] = lambda: torch.device("cpu"),
        timed: bool = False,
    ):
        self.spans = examples.spans(train.offsets)
        if not len(self.spans.start):
            raise ValueError(f"{train!r} leaves no sequence to train on: every history is too short")
        self.item, self.user = _tensor(train.item), _tensor(train.user)
        self.tied, self.moment = tied_rows(train) if loader.shuffles(train) else (None, None)
        clock = train.time if timed and train.clock == "seconds" else None
        self.time = None if clock is None else _tensor(clock)
        self.examples, self.batch_size, self.seed, self.place = examples, loader.batch_size, seed, place
        self.share, self.device = share, device

    def __len__(self) -> int:
        return -(-len(self.spans.start) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        (epoch, done), (number, processes) = self.place(), self.share()
        spans = self.examples.cut(self.spans, Draw(self.seed, epoch, torch.arange(len(self.spans.start))))
        length = torch.from_numpy(spans.stop - spans.start)
        device = self.device()
        self._to(device)
        start, stop = (torch.from_numpy(part).to(device) for part in spans)
        item = self.items(epoch)
        for rows in self.rows(length, epoch)[done:]:
            width = int(length[rows].max())
            mine = rows.tensor_split(processes)[number]
            taken = (mine if len(mine) else rows[:1]).to(device)
            batch = self.examples(self.history(item, start[taken], stop[taken], width), Draw(self.seed, epoch, taken))
            yield batch if len(mine) else batch._replace(idle=True)

    def _to(self, device: torch.device) -> None:
        """Moves the flat arrays, once."""
        for name in ("item", "user", "time", "tied", "moment"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, array.to(device))

    def one(self) -> Batch:
        """The first row of the first epoch, for who wants to know what training is like."""
        row = torch.zeros(1, dtype=torch.long)
        spans = self.examples.cut(Spans(self.spans.start[:1], self.spans.stop[:1]), Draw(self.seed, 0, row))
        start, stop, row = (part.to(self.item.device) for part in (torch.from_numpy(spans.start), torch.from_numpy(spans.stop), row))
        return self.examples(self.history(self.item, start, stop), Draw(self.seed, 0, row))

    def items(self, epoch: int) -> Int[Tensor, " n"]:
        """Every training item, in the order of this epoch."""
        if self.tied is None or self.moment is None:
            return self.item
        place = self.moment + Draw(self.seed, epoch, self.tied).uniform(1, stream=TIES)[:, 0]
        return self.item.index_copy(0, self.tied, self.item[self.tied[place.argsort()]])

    def rows(self, length: Int[Tensor, " R"], epoch: int) -> list[Tensor]:
        """The row numbers of each batch of an epoch; every row stands in exactly one."""
        rng = torch.Generator().manual_seed(seed_of(self.seed, epoch))
        order = torch.argsort(length * (1 + JITTER * torch.rand(len(length), generator=rng)), stable=True)
        batches = order.split(self.batch_size)
        return [batches[i] for i in torch.randperm(len(batches), generator=rng)]

    def history(self, item: Int[Tensor, " n"], start: Int[Tensor, " B"], stop: Int[Tensor, " B"], width: int | None = None) -> History:
        """The items (and times) of these spans, left-padded. Shapes: [B, width], which is the longest of them if nothing is said."""
        columns = torch.arange(int((stop - start).max()) if width is None else width, device=item.device)
        index = stop[:, None] - len(columns) + columns
        real, index = index >= start[:, None], index.clamp(min=0)
        time = None if self.time is None else torch.where(real, self.time[index], 0)
        return History(torch.where(real, item[index], PAD), self.user[start], time)


def _tensor(values: np.ndarray) -> Tensor:
    """The same memory, which is only read; of an array that may not be written to (a store's), a copy."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())
