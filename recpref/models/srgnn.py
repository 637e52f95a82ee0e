"""SR-GNN: the history as a graph of its items, gated messages along its edges, and attention that reads one vector from it.

Source: Wu et al., "Session-based recommendation with graph neural networks" (AAAI 2019), sections 3.2 to 3.5, and the authors'
PyTorch code. As in that code, an edge counts once however often it is walked (the paper counts occurrences). Divergences, each
on purpose: padding is no node that real ones see; the biases that the code adds to the messages are left out, because the
cell's own absorb them exactly; dropout of the item vectors, 0 as published.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.item_table import ItemTable
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import positive
from recpref.types import PAD, History

__all__ = ["SRGNN"]


class Graph(NamedTuple):
    """``node`` is the node number of each step; node 0 is padding. Row v of ``incoming`` averages over the nodes that v was
    come to from, and of ``outgoing`` over those it was left for; a row without any is zero.
    """

    node: Int[Tensor, "B L"]
    incoming: Float[Tensor, "B N N"]
    outgoing: Float[Tensor, "B N N"]


class SRGNN(nn.Module):
    """``n_steps`` rounds of messages share their weights.

    It looks ahead: every step of a row gets the one vector of the whole row, so it learns from ``prefix`` examples.

    Raises: ValueError for sizes below 1.
    """

    causal = False

    def __init__(self, n_items: int, *, d_model: int = 100, n_steps: int = 1, max_len: int = 50, dropout: float = 0.0):
        super().__init__()
        positive(d_model=d_model, n_steps=n_steps, max_len=max_len)
        self.max_len, self.n_steps = max_len, n_steps
        self.items = ItemTable(n_items, d_model)
        self.dropout = Dropout(dropout)
        self.message_in, self.message_out = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.cell = nn.GRUCell(2 * d_model, d_model)
        self.of_last, self.of_each = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.weight = nn.Linear(d_model, 1, bias=False)
        self.output = nn.Linear(2 * d_model, d_model)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_model**-0.5), d_model**-0.5)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        """The vector of the row, at each of its steps."""
        graph, real = graph_of(history.items, x.dtype), (history.items != PAD)[:, :, None]
        h_BND = node_means(self.dropout(x) * real, graph)
        for _ in range(self.n_steps):
            h_BND = self.propagate(h_BND, graph)
        h_BLD = h_BND.gather(1, graph.node[:, :, None].expand_as(x))
        return self.read(h_BLD, real)[:, None].expand_as(x)

    def propagate(self, h_BND: Float[Tensor, "B N D"], graph: Graph) -> Float[Tensor, "B N D"]:
        """One round of messages: equations 1 to 5."""
        messages = torch.cat([graph.incoming @ self.message_in(h_BND), graph.outgoing @ self.message_out(h_BND)], 2)
        return self.cell(messages.flatten(0, 1), h_BND.flatten(0, 1)).view_as(h_BND)

    def read(self, h_BLD: Float[Tensor, "B L D"], real: Tensor) -> Float[Tensor, "B D"]:
        """Attention of the newest item over all steps, and both together: equations 6 and 7."""
        last = h_BLD[:, -1]
        alpha = self.weight(torch.sigmoid(self.of_last(last)[:, None] + self.of_each(h_BLD)))
        return self.output(torch.cat([(alpha * h_BLD * real).sum(1), last], 1))

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The vector of the row. Users with an empty history get that of padding."""
        return last_state(self, history)

    def reads(self, history: History) -> History:
        return shortened(history, self.max_len)

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        return self.items.score(h, items)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items.table()

    def rows(self, items: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
        return self.items.rows(items)

    @staticmethod
    def recipe(variant: Literal["default", "published"] = "default") -> list[str]:
        """``published``: Adam 1e-3 with an L2 penalty of 1e-5, batch 100, every prefix a row. The authors cut the rate to a tenth
        every three epochs, which is not offered.

        Ours takes a row every fifth of ``max_len`` (one prefix in ten at 50), another one each epoch, adds dropout and averages the
        weights.
        """
        published = ["optimizer.method=adam", "optimizer.weight_decay=1e-5", "loader.batch_size=100"]
        ours = ["optimizer.average=0.99", "examples.stride=0.2", "loader.batch_size=128", "model.dropout=0.2", "stopping.every=2"]
        return ["examples=prefix", "loss=cross_entropy", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.d_model=[64,128,256]", "model.n_steps=1..2"]


def graph_of(items: Int[Tensor, "B L"], dtype: torch.dtype = torch.float32) -> Graph:
    """The graph of each row: its distinct items are the nodes 1.. in the order of their ids, its steps the edges."""
    ordered, place = F.pad(items, (1, 0)).sort(dim=1, stable=True)  # padding is there in every row, and comes first
    number = F.pad((ordered[:, 1:] != ordered[:, :-1]).long().cumsum(1), (1, 0))
    node = torch.empty_like(number).scatter_(1, place, number)[:, 1:]
    n_nodes = int(number[:, -1].max()) + 1
    edges = torch.zeros(len(items), n_nodes * n_nodes, dtype=dtype, device=items.device)
    edges.scatter_(1, node[:, :-1] * n_nodes + node[:, 1:], 1.0)
    edges = edges.view(-1, n_nodes, n_nodes)
    edges[:, PAD] = 0  # what the first item was come to from is no item
    left_for, come_from = edges.sum(2, keepdim=True), edges.sum(1)[:, :, None]
    return Graph(node, edges.transpose(1, 2) / come_from.clamp(min=1), edges / left_for.clamp(min=1))


def node_means(x: Float[Tensor, "B L D"], graph: Graph) -> Float[Tensor, "B N D"]:
    """The mean over the steps of each node: the item's own vector, unless steps were treated differently."""
    batch, _, width = x.shape
    n_nodes = graph.incoming.shape[1]
    total = x.new_zeros(batch, n_nodes, width).scatter_add_(1, graph.node[:, :, None].expand_as(x), x)
    count = x.new_zeros(batch, n_nodes).scatter_add_(1, graph.node, torch.ones_like(graph.node, dtype=x.dtype))
    return total / count.clamp(min=1)[:, :, None]
