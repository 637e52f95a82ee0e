"""NextItNet: dilated causal convolutions read the history, and predict the next item at every step.

Source: Yuan et al., "A simple convolutional generative network for next item recommendation" (WSDM 2019), section 3, and the
authors' TensorFlow code, whose residual block (figure 3b) this is. Divergences, each on purpose:

* padding is set to zero before every convolution: biases would otherwise leak from it into real steps;
* one item table in and out, with a linear map between (theirs learns a second table, behind a ReLU).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.dropout import Dropout
from recpref.layers.initial import initialise
from recpref.layers.item_table import ItemTable
from recpref.layers.reading import last_state, shortened
from recpref.layers.transformer import positive
from recpref.types import PAD, History

__all__ = ["NextItNet"]


class CausalConvolution(nn.Module):
    """``relu(LN(conv(x)))``, in which step t sees t, t - dilation, t - 2 dilation, ... and never padding."""

    def __init__(self, d_model: int, kernel_size: int, dilation: int):
        super().__init__()
        self.before = (kernel_size - 1) * dilation
        self.convolution = nn.Conv1d(d_model, d_model, kernel_size, dilation=dilation)
        self.norm = nn.LayerNorm(d_model, eps=1e-8)  # the authors'
        nn.init.trunc_normal_(self.convolution.weight, std=0.02, a=-0.04, b=0.04)
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "B L D"], real: Bool[Tensor, "B L 1"]) -> Float[Tensor, "B L D"]:
        channels_first = F.pad((x * real).transpose(1, 2), (self.before, 0))
        return torch.relu(self.norm(self.convolution(channels_first).transpose(1, 2)))


class ResidualBlock(nn.Module):
    """``x + f2(f1(x))``, the second convolution with twice the dilation of the first."""

    def __init__(self, *, d_model: int, kernel_size: int, dilation: int, dropout: float):
        super().__init__()
        self.first = CausalConvolution(d_model, kernel_size, dilation)
        self.second = CausalConvolution(d_model, kernel_size, 2 * dilation)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L D"], real: Bool[Tensor, "B L 1"]) -> Float[Tensor, "B L D"]:
        return x + self.dropout(self.second(self.first(x, real), real))


class NextItNet(nn.Module):
    """``n_layers`` residual blocks of two convolutions each, with dilations l and 2 l; l runs through ``dilations`` in turn.

    A step sees ``1 + 3 (kernel_size - 1) * (sum of the blocks' l)`` items: 61 with the defaults.

    Raises: ValueError for sizes below 1, or no dilation.
    """

    causal = True

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 100,
        n_layers: int = 4,
        kernel_size: int = 3,
        dilations: tuple[int, ...] = (1, 4),
        max_len: int = 200,
        dropout: float = 0.0,
    ):
        super().__init__()
        if not dilations:
            raise ValueError("dilations=[] must name at least one")
        positive(d_model=d_model, n_layers=n_layers, kernel_size=kernel_size, max_len=max_len, dilations=min(dilations))
        self.max_len = max_len
        self.items = ItemTable(n_items, d_model, bias=True)
        self.input_dropout = Dropout(dropout)
        turns = [dilations[i % len(dilations)] for i in range(n_layers)]
        self.blocks = nn.ModuleList(
            ResidualBlock(d_model=d_model, kernel_size=kernel_size, dilation=turn, dropout=dropout) for turn in turns
        )
        self.head = nn.Linear(d_model, d_model)
        initialise(self)

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.items(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        real = (history.items != PAD)[:, :, None]
        x = self.input_dropout(x)
        for block in self.blocks:
            x = block(x, real)
        return self.head(x)

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The vector of the newest item. Users with an empty history get the state of padding."""
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
        """``published``: Adam 1e-3, batch 32, no weight decay, no dropout, as in the authors' code.

        Ours adds dropout, rows that end anywhere and averaged weights.
        """
        published = ["optimizer.method=adam", "optimizer.weight_decay=0", "loader.batch_size=32"]
        ours = ["optimizer.average=0.99", "examples.crop=0.5", "stopping.every=2", "model.dropout=0.2"]
        return ["examples=next_item", "loss=cross_entropy", *(published if variant == "published" else ours)]

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return [
            "model.d_model=[64,128,256]",
            "model.n_layers=2..6",
            "model.dropout=0.0..0.5",
        ]
