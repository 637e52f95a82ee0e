"""BPR-MF: its loss by hand, its negatives, planted groups, and users folded in by least squares."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.consumed import consumed
from recpref.data.interactions import Interactions
from recpref.models.bprmf import BPRMF, RIDGE, _negatives
from recpref.types import History


def groups(n_users: int = 80) -> Interactions:
    """Users take four of the items 1 to 6 or of 7 to 12, in turns."""
    rng = np.random.default_rng(0)
    rows = [(user, 1 + 6 * (user % 2) + item) for user in range(n_users) for item in rng.permutation(6)[:4]]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i"]), user="u", item="i")


def history(*rows: list[int]) -> History:
    return History(torch.tensor(rows), torch.zeros(len(rows), dtype=torch.long))


def scores(model: BPRMF, *rows: list[int]) -> torch.Tensor:
    vectors, bias = model.table()
    return model.state(history(*rows)) @ vectors.T + bias


def test_the_loss_by_hand():
    """p = (1, 2), q_i = (1, 1), q_j = (0, 1), b = 0.5 and 0.25: the margin is 3 - 2 + .25, the squares are 5 + 2 + 1."""
    model = BPRMF(3, d_model=2, l2=0.1)
    q, b = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]]), torch.tensor([[0.5], [0.25]])
    found = model._loss(torch.tensor([[1.0, 2.0]]), q, b)
    assert found.item() == pytest.approx(math.log1p(math.exp(-1.25)) + 0.1 * 8, abs=1e-6)


def test_negatives_are_uniform_over_what_was_not_consumed():
    """User 1 has 1, 2 and 3 of six items: 4, 5 and 6 come a third of 3,000 times each (error 26).

    Ten rounds, each of which misses half of the time, leave 3 of 3,000 rows without.
    """
    torch.manual_seed(0)
    drawn, free = _negatives(torch.ones(3000, dtype=torch.long), torch.tensor([8, 9, 10]), 7)
    assert len(free) > 2980
    counts = drawn[free].bincount(minlength=7).tolist()
    assert counts[:4] == [0, 0, 0, 0]
    assert all(abs(count - 1000) < 4 * 26 for count in counts[4:])


def test_who_consumed_everything_goes_without_negatives():
    drawn, free = _negatives(torch.tensor([1, 2]), torch.tensor([4, 5, 6]), 3)  # user 1 has both items, user 2 item 0 only: none
    assert len(drawn) == 2
    assert free.tolist() == [1]


def test_planted_groups_are_found_for_users_that_training_never_saw():
    torch.manual_seed(0)
    train = groups()
    model = BPRMF(train.n_items, d_model=8, n_epochs=30, batch_size=32)
    model.fit(train)
    found = scores(model, [1, 2], [8, 12])
    assert found[0, 3:7].min() > found[0, 7:].max()
    assert found[1, [7, 9, 10, 11]].min() > found[1, 1:7].max()


def test_users_are_the_least_squares_fit_to_their_histories():
    """Against numpy, with the learned vectors given."""
    torch.manual_seed(0)
    train = groups(20)
    model = BPRMF(train.n_items, d_model=3)
    model.items.normal_()[0] = 0
    learned = torch.randn(train.n_users + 1, 3)
    model._fit_users(train, learned)
    matrix = consumed(train).toarray()[1:]
    features = np.column_stack([np.ones(20), matrix @ model.items.numpy() / np.sqrt(matrix.sum(1, keepdims=True))])
    expected = np.linalg.solve(features.T @ features + RIDGE * np.eye(4), features.T @ learned[1:].numpy())
    np.testing.assert_allclose(model.fold.numpy(), expected, atol=1e-5)
    given = history([0, 2, 2, 3])
    np.testing.assert_allclose(model.state(given)[0], [1, *((model.items[2] + model.items[3]) / 2**0.5)] @ model.fold.numpy(), atol=1e-5)


def test_the_caller_gives_the_randomness():
    def fitted(seed: int) -> BPRMF:
        torch.manual_seed(seed)
        model = BPRMF(12, d_model=4, n_epochs=1)
        model.fit(groups(20))
        return model

    assert torch.equal(fitted(1).items, fitted(1).items)
    assert not torch.equal(fitted(1).items, fitted(2).items)


@pytest.mark.parametrize(("option", "value"), [("d_model", 0), ("n_epochs", 0), ("batch_size", 0), ("lr", 0.0), ("l2", -1.0)])
def test_options_that_are_none(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        BPRMF(3, **{option: value})
