"""Markov: transitions by hand, with smoothing and more steps, and against loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.data.interactions import Interactions
from recpref.models.markov import Markov
from recpref.types import History


def of(*sequences: list[int]) -> Interactions:
    rows = [(user, item, place) for user, items in enumerate(sequences) for place, item in enumerate(items)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def fitted(train: Interactions, **options: float) -> Markov:
    model = Markov(train.n_items, **options)
    model.fit(train)
    return model


def scores(model: Markov, *items: int) -> list[float]:
    return model.catalogue(History(torch.tensor([items], dtype=torch.long), torch.zeros(1, dtype=torch.long)))[0, 1:].tolist()


TWO = of([1, 2, 3], [1, 2, 1])  # 1 -> 2 twice, 2 -> 3, 2 -> 1; shares 3/6, 2/6, 1/6; nothing from 1 to 1 across users


def test_by_hand():
    """Without smoothing after 2 come 1 and 3 alike; after 3 nothing is known, and popularity answers."""
    model = fitted(TWO, smoothing=0.0)
    assert scores(model, 1) == pytest.approx([0, 1, 0])
    assert scores(model, 3, 2) == pytest.approx([0.5, 0, 0.5])
    assert scores(model, 2, 3) == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_smoothing_by_hand():
    """Two transitions from 2 and smoothing 2: p(1) = (1 + 2 x 3/6) / 4, p(2) = (0 + 2 x 2/6) / 4, p(3) = (1 + 2 x 1/6) / 4."""
    found = scores(fitted(TWO, smoothing=2.0), 2)
    assert found == pytest.approx([2 / 4, (4 / 6) / 4, (8 / 6) / 4])
    assert sum(found) == pytest.approx(1)


def test_two_steps_by_hand():
    """From 1 also 3 and 1, two steps later, at a half each: 2, 1/2 and 1/2 of 3."""
    assert scores(fitted(TWO, n_steps=2, smoothing=0.0), 1) == pytest.approx([0.5 / 3, 2 / 3, 0.5 / 3])


def test_an_item_may_follow_itself():
    assert scores(fitted(of([1, 1, 2]), smoothing=0.0), 1) == pytest.approx([0.5, 0.5])


def test_no_history_is_popularity():
    model = fitted(TWO)
    assert scores(model, 0) == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert scores(model) == pytest.approx([3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize("n_steps", [1, 3, 50])
def test_equal_to_loops(n_steps):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(1, 9, rng.integers(1, 12)).tolist() for _ in range(30)]
    counts, share = np.zeros((9, 9)), np.bincount(np.concatenate(sequences), minlength=9)
    for items in sequences:
        for place, item in enumerate(items):
            for later in range(place + 1, min(place + n_steps, len(items) - 1) + 1):
                counts[item, items[later]] += 1 / (later - place)
    model = fitted(of(*sequences), n_steps=n_steps, smoothing=3.0)
    for item in range(1, 9):
        expected = (counts[item] + 3 * share / share.sum()) / (counts[item].sum() + 3)
        assert scores(model, 5, item) == pytest.approx(expected[1:], abs=1e-6)


def test_options_that_are_none():
    with pytest.raises(ValueError, match="n_steps=0 must be at least 1"):
        Markov(3, n_steps=0)
    with pytest.raises(ValueError, match=r"smoothing=-1.0 must be at least 0"):
        Markov(3, smoothing=-1.0)
