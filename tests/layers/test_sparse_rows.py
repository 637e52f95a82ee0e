"""SparseRows: sums by hand and against a dense matrix, and what is saved."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from recpref.layers.sparse_rows import SparseRows


def made(matrix: np.ndarray) -> SparseRows:
    rows = SparseRows(len(matrix))
    rows.set(sp.csr_array(matrix))
    return rows


def test_by_hand() -> None:
    """Rows (1, 0) and (2, 3): both together are (3, 3), the second twice (4, 6)."""
    rows = made(np.array([[1.0, 0.0], [2.0, 3.0]]))
    assert rows.sums(torch.tensor([[0, 1], [1, 1]])).tolist() == [[3, 3], [4, 6]]


def test_equal_to_a_dense_product() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 30)) * (rng.random((30, 30)) < 0.2)
    asked = torch.from_numpy(rng.integers(0, 30, (8, 5)))
    expected = torch.from_numpy(matrix)[asked].sum(1)
    torch.testing.assert_close(made(matrix).sums(asked).double(), expected, atol=1e-5, rtol=0)


def test_nothing_asked_and_nothing_known() -> None:
    assert made(np.eye(3)).sums(torch.zeros(2, 0, dtype=torch.long)).tolist() == [[0, 0, 0]] * 2
    assert SparseRows(3).sums(torch.tensor([[0, 2]])).tolist() == [[0, 0, 0]]


def test_it_is_saved_as_its_parts_and_loads_into_an_empty_or_another_one(tmp_path) -> None:
    rows = made(np.diag([1.0, 2.0, 3.0]))
    save_file(rows.state_dict(), tmp_path / "rows.safetensors")
    for other in (SparseRows(3), made(np.ones((3, 3)))):
        other.load_state_dict(load_file(tmp_path / "rows.safetensors"))
        assert other.sums(torch.tensor([[0], [2]])).tolist() == [[1, 0, 0], [0, 0, 3]]
