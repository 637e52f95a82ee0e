"""EASE: by hand for two items, then against the constrained least squares that it solves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import fitted

from recpref.models.ease import EASE
from recpref.types import History


def random_matrix() -> np.ndarray:
    matrix = np.random.default_rng(0).random((60, 12)) < 0.3
    matrix[:, 0] |= ~matrix.any(1)
    return matrix.astype(float)


def test_two_items_by_hand():
    """Three users have item 1, two of them and one more item 2: X'X = (3 2; 2 3), and with l2 = 1 item 1 tells 2/4 of item 2.

    Regressing column 2 on column 1 alone: 2 / (3 + 1) = .5, and the same the other way round.
    """
    weights = fitted(EASE, np.array([[1, 1], [1, 1], [1, 0], [0, 1]]), l2=1.0).weights
    torch.testing.assert_close(weights[1:, 1:], torch.tensor([[0.0, 0.5], [0.5, 0.0]]))


@pytest.mark.parametrize("l2", [0.5, 20.0])
def test_every_column_is_a_ridge_regression_on_the_others(l2):
    """What equation 8 solves, done one item at a time: no item may be used for itself."""
    matrix = random_matrix()
    expected = np.zeros((12, 12))
    for item in range(12):
        others = np.arange(12) != item
        x = matrix[:, others]
        expected[others, item] = np.linalg.solve(x.T @ x + l2 * np.eye(11), x.T @ matrix[:, item])
    np.testing.assert_allclose(fitted(EASE, matrix, l2=l2).weights[1:, 1:].numpy(), expected, atol=1e-5)


def test_scores_are_the_history_times_the_weights_and_repeats_count_once():
    matrix = random_matrix()
    model = fitted(EASE, matrix)
    history = History(torch.tensor([[3, 5, 3, 3], [0, 0, 0, 0]]), torch.zeros(2, dtype=torch.long))
    scores = model.catalogue(history)[:, 1:]
    torch.testing.assert_close(scores[0], (model.weights[3] + model.weights[5])[1:])
    assert (scores[1] == 0).all()


def test_a_catalogue_that_is_too_large_names_the_way_out():
    with pytest.raises(ValueError, match=r"about 22 GB .* 30,000 items; use model=itemknn or model=ials, or raise model.max_items=20000"):
        EASE(30_000)
    with pytest.raises(ValueError, match="l2=0 must be above 0"):
        EASE(3, l2=0)
