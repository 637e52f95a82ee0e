"""iALS: a system by hand, every solve against a dense one, an objective that only falls, and folding in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from matrices import of

from recpref.consumed import consumed
from recpref.models import ials
from recpref.models.ials import IALS, Weights, _rows, solved, solved_all
from recpref.types import History


def random_matrix(n_users: int = 30, n_items: int = 12, seed: int = 0) -> np.ndarray:
    matrix = np.random.default_rng(seed).random((n_users, n_items)) < 0.3
    matrix[:, 0] |= ~matrix.any(1)
    matrix[0] |= ~matrix.any(0)
    return matrix.astype(float)


def dense_solution(row: np.ndarray, others: np.ndarray, weights: Weights) -> np.ndarray:
    """One vector as a weighted ridge regression over all items, observed or not: the squares written as two rows each."""
    scale = weights.l2 * (row.sum() + weights.unobserved * len(row)) ** weights.exponent
    left = np.concatenate([others[row > 0], np.sqrt(weights.unobserved) * others, np.sqrt(scale) * np.eye(others.shape[1])])
    right = np.concatenate([np.ones(int(row.sum())), np.zeros(len(row) + others.shape[1])])
    return np.linalg.lstsq(left, right, rcond=None)[0]


def objective(matrix: np.ndarray, users: np.ndarray, items: np.ndarray, weights: Weights) -> float:
    """The formula of the file's docstring, word for word."""
    x = users @ items.T
    size_u = (matrix.sum(1) + weights.unobserved * matrix.shape[1]) ** weights.exponent
    size_i = (matrix.sum(0) + weights.unobserved * matrix.shape[0]) ** weights.exponent
    penalty = (size_u * (users**2).sum(1)).sum() + (size_i * (items**2).sum(1)).sum()
    return float(((x - 1) ** 2 * matrix).sum() + weights.unobserved * (x**2).sum() + weights.l2 * penalty)


def test_one_number_by_hand():
    """Items 2 and 1, the first consumed: w minimises (2w - 1)^2 + .5 (4 + 1) w^2 + .1 (1 + .5 x 2) w^2, so w = 2 / (4 + 2.5 + .2)."""
    items = torch.tensor([[0.0], [2.0], [1.0]], dtype=torch.double)
    found = solved(torch.tensor([[1]]), items, items.T @ items, Weights(0.5, 0.1, 1.0))
    assert found.item() == pytest.approx(2 / 6.7, abs=1e-12)


@pytest.mark.parametrize("weights", [Weights(0.1, 0.003, 1.0), Weights(1.0, 0.1, 0.0), Weights(0.3, 0.05, 0.5)])
@pytest.mark.parametrize("cells", [1, 40, 1 << 16])
def test_equal_to_a_dense_solve_for_every_user(monkeypatch, weights, cells):
    """Whatever the blocks."""
    monkeypatch.setattr(ials, "CELLS", cells)
    matrix = random_matrix()
    items = np.random.default_rng(1).normal(size=(12, 4))
    padded = torch.from_numpy(np.concatenate([np.zeros((1, 4)), items]))
    found = solved_all(_rows(consumed(of(matrix))), padded, weights).numpy()
    expected = np.array([dense_solution(row, items, weights) for row in matrix])
    np.testing.assert_allclose(found[1:], expected, atol=1e-10)
    assert (found[0] == 0).all()


def test_every_half_step_lowers_the_objective():
    matrix, weights = random_matrix(), Weights(0.2, 0.01, 1.0)
    by_user = consumed(of(matrix))
    items = torch.from_numpy(np.random.default_rng(2).normal(size=(13, 3)) * 0.1)
    items[0] = 0
    values = []
    for _ in range(6):
        users = solved_all(_rows(by_user), items, weights)
        values.append(objective(matrix, users[1:].numpy(), items[1:].numpy(), weights))
        items = solved_all(_rows(by_user.T.tocsr()), users, weights)
        values.append(objective(matrix, users[1:].numpy(), items[1:].numpy(), weights))
    assert all(later < earlier for earlier, later in pairwise(values))


def test_a_trained_user_and_a_new_one_with_the_same_history_are_alike():
    """The state is the dense solution for the history, each item once, against the trained items."""
    torch.manual_seed(0)
    matrix = random_matrix()
    model = IALS(12, d_model=4)
    model.fit(of(matrix))
    history = History(torch.tensor([[0, 3, 7, 7, 5]]), torch.zeros(1, dtype=torch.long))
    row = np.zeros(12)
    row[[2, 4, 6]] = 1
    expected = dense_solution(row, model.items[1:].double().numpy(), model.weights)
    np.testing.assert_allclose(model.state(history)[0].numpy(), expected, atol=1e-4)


def test_planted_groups_are_found():
    """Users of the first half take two of the items 1 to 6, the others two of 7 to 12: whoever has 1 is for 2 to 6."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    matrix = np.zeros((60, 12))
    for user in range(60):
        matrix[user, 6 * (user % 2) + rng.permutation(6)[:3]] = 1
    model = IALS(12, d_model=2, l2=0.1)
    model.fit(of(matrix))
    vectors, _ = model.table()
    scores = model.state(History(torch.tensor([[1]]), torch.zeros(1, dtype=torch.long))) @ vectors.T
    assert scores[0, 2:7].min() > scores[0, 7:].max()


@pytest.mark.parametrize("given", ["d_model=0", "n_epochs=0", "l2=0.0", "unobserved_weight=-1.0", "init_std=0.0"])
def test_options_that_are_none(given):
    option, _, text = given.partition("=")
    value = float(text) if "." in text else int(text)
    with pytest.raises(ValueError, match=f"{option}={value} must be"):
        IALS(3, **{option: value})
