"""ItemKNN: cosines by hand, then against a dense formula, then what is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import fitted

from recpref.models import itemknn
from recpref.models.itemknn import ItemKNN
from recpref.types import History


def scores(model: ItemKNN, *items: int) -> list[float]:
    return model.catalogue(History(torch.tensor([items]), torch.zeros(1, dtype=torch.long)))[0, 1:].tolist()


THREE = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]])  # item 1 has four users, item 2 two of them, item 3 one


def test_by_hand():
    """cos(1, 2) = 2 / sqrt(4 x 2) = .7071, cos(1, 3) = 1 / sqrt(4 x 1) = .5, cos(2, 3) = 0."""
    model = fitted(ItemKNN, THREE, shrink=0.0)
    assert scores(model, 1) == pytest.approx([0, 0.5**0.5, 0.5])
    assert scores(model, 2, 3) == pytest.approx([0.5**0.5 + 0.5, 0, 0])


def test_shrinkage_by_hand():
    """2 / (sqrt(8) + 10) = .1559 and 1 / (2 + 10) = .0833: what rests on few users falls more."""
    assert scores(fitted(ItemKNN, THREE, shrink=10.0), 1) == pytest.approx([0, 2 / (8**0.5 + 10), 1 / 12])


def test_an_item_keeps_its_own_best_neighbours_by_hand():
    """With one neighbour each, item 1 keeps 2, and 2 and 3 keep 1: 3 no longer speaks for 1, but 1 does for 3."""
    model = fitted(ItemKNN, THREE, n_neighbours=1, shrink=0.0)
    assert scores(model, 3) == [0, 0, 0]
    assert scores(model, 1) == pytest.approx([0, 0.5**0.5, 0.5])


def test_repeats_count_once():
    model = fitted(ItemKNN, THREE)
    assert scores(model, 1, 1, 2) == scores(model, 2, 1)


@pytest.mark.parametrize("block", [5, 512])
def test_equal_to_a_dense_formula(monkeypatch, block):
    """200 users, 40 items, 7 neighbours: the whole matrix of similarities, cut by a sort; similarities do not tie."""
    monkeypatch.setattr(itemknn, "BLOCK", block)
    rng = np.random.default_rng(0)
    matrix = (rng.random((200, 40)) < rng.uniform(0.05, 0.5, 40)).astype(float)
    matrix[0] = 1
    n = matrix.sum(0)
    alike = matrix.T @ matrix / (np.sqrt(np.outer(n, n)) + 5)
    np.fill_diagonal(alike, 0)
    least = np.sort(alike, axis=1)[:, [-7]]
    kept = np.where(alike >= least, alike, 0)
    history = rng.permutation(40)[:6]
    assert scores(fitted(ItemKNN, matrix, n_neighbours=7, shrink=5.0), *(history + 1)) == pytest.approx(kept[:, history].sum(1), abs=1e-5)


def test_options_that_are_none():
    with pytest.raises(ValueError, match="n_neighbours=0 must be at least 1"):
        ItemKNN(3, n_neighbours=0)
    with pytest.raises(ValueError, match=r"shrink=-1.0 must be at least 0"):
        ItemKNN(3, shrink=-1.0)
