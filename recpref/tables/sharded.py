"""Rows in shards: several processes divide the rows of a whole table, and each holds, updates and remembers its own only.

Source: Shoeybi et al., "Megatron-LM" (2019), section 3 (see ``item_shards.py``). Items are looked up for all processes by all of them, and
a cross-entropy over the catalogue takes everybody's states to every shard. One process has the whole table, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.item_shards import ItemShards, everybodys, own
from recpref.layers.item_table import ItemTable, Table
from recpref.processes import at_first, first, gathered, room_of_shards

__all__ = ["Sharded"]


class Sharded(Table):
    """The ``whole`` table of a model until it is divided, which training does, and again once it is united.

    While it is divided, all processes have to ask for rows and losses at the same time, each for as many as it likes. ``shards`` are this
    process's rows; None where they are not divided.

    Raises: ValueError, while divided, for the whole table.
    """

    weight: Tensor
    shards: ItemShards | None

    def __init__(self, whole: ItemTable):
        super().__init__()
        self.num_embeddings, self.weight, self.bias = whole.num_embeddings, whole.weight, whole.bias
        self.register_buffer("never", whole.never, persistent=False)
        self.register_module("shards", None)

    def divide(self) -> ItemShards:
        """Keeps the rows of this process. Raises: ValueError where there are too few for all."""
        n_rows, width = self.weight.shape
        shards = ItemShards(n_rows - 1, width, bias=self.bias is not None, group=room_of_shards())
        self.shards = shards.load_whole(self.weight, self.bias).requires_grad_(self.weight.requires_grad)
        del self.weight, self.bias, self.never
        return self.shards

    def unite(self) -> None:
        """Takes all rows back into the first process, and into the memory of its processor. The others keep theirs, and are done."""
        assert self.shards is not None
        shards, weight = self.shards, at_first(self.shards.weight)
        bias = None if shards.bias is None else at_first(shards.bias)
        if first():
            self.shards, self.weight = None, nn.Parameter(weight)
            self.keep_biases(self.num_embeddings - 1, bias is not None)
            self.never = self.never.to(weight)  # by now training has ended, and with it the precision that it made tensors in
            self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, items: Int[Tensor, "*S"]) -> Float[Tensor, "*S D"]:
        """Shapes: [..] -> [.., D]."""
        return F.embedding(items, self.weight) if self.shards is None else self._asked(self.shards, items)

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        if self.shards is None:
            return super().rows(items)
        biases = self.shards.biases
        return self(items), biases(items) if self.shards.bias is None else self._asked(biases, items)

    def _asked(self, find: Callable[[Tensor], Tensor], items: Int[Tensor, "*S"]) -> Shaped[Tensor, "*S *D"]:
        """What all processes find for everybody's items, of which these are mine."""
        assert self.shards is not None
        found = own(find(gathered(items.flatten())), items.numel(), self.shards.group)
        return found.view(*items.shape, *found.shape[1:])

    def cross_entropy(
        self, h_MD: Float[Tensor, "M D"], positive_M: Int[Tensor, " M"], *, temperature: float, label_smoothing: float
    ) -> Float[Tensor, " M"]:
        """Over the whole catalogue, for the rows of this process. Units: nats."""
        assert self.shards is not None
        group, options = self.shards.group, {"temperature": temperature, "label_smoothing": label_smoothing}
        return own(self.shards.cross_entropy(everybodys(h_MD, group), gathered(positive_M), **options), len(h_MD), group)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        if self.shards is not None:
            raise ValueError(
                "table=sharded: the whole table was asked for, and in several processes none has it; train in one process, leave table "
                "out, or take what is made for shards: loss=cross_entropy, or a sampler and any loss"
            )
        return self.weight, self.never if self.bias is None else self.never + self.bias
