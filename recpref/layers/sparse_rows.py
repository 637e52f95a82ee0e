"""A sparse matrix as a part of a model: its rows are summed, and it is saved as offsets, columns and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class SparseRows(nn.Module):
    """A square matrix of ``size`` rows: row r has the entries ``offsets[r]:offsets[r + 1]``. Empty until it is set or loaded."""

    offsets: Tensor
    columns: Tensor
    values: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.register_buffer("offsets", torch.zeros(size + 1, dtype=torch.long))
        self.register_buffer("columns", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(0))
        self.register_load_state_dict_pre_hook(_make_room)

    def set(self, matrix: sp.csr_array) -> None:
        """Takes the entries of a matrix, in single precision. Shapes: [size, size]."""
        self.offsets = torch.from_numpy(matrix.indptr).long().to(self.offsets.device)
        self.columns = torch.from_numpy(matrix.indices).int().to(self.columns.device)
        self.values = torch.from_numpy(matrix.data).float().to(self.values.device)

    def sums(self, rows: Int[Tensor, "B L"]) -> Float[Tensor, "B S"]:
        """The sum of some rows, for each b; a row named twice counts twice. On the CPU, whatever the device of ``rows``.

        Shapes: [B, size].
        """
        size = self.size
        matrix = sp.csr_array(tuple(part.cpu().numpy() for part in (self.values, self.columns, self.offsets)), shape=(size, size))
        ends = np.arange(len(rows) + 1) * rows.shape[1]
        asked = sp.csr_array((np.ones(rows.numel(), dtype=np.float32), rows.flatten().cpu().numpy(), ends), shape=(len(rows), size))
        return torch.from_numpy((asked @ matrix).toarray()).to(rows.device)


def _make_room(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Before loading: as many entries as are to come."""
    for name, buffer in list(module.named_buffers(recurse=False)):
        if name != "offsets" and prefix + name in state:
            setattr(module, name, buffer.new_empty(state[prefix + name].shape))
