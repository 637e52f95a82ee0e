"""The Gini coefficient of exposure."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond.gini import gini
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def catalogue(n_items: int) -> Facts:
    frame = pd.DataFrame({"u": [1] * n_items, "i": range(1, n_items + 1)})
    return Facts(Interactions.from_dataframe(frame, user="u", item="i"))


def test_by_hand() -> None:
    """Exposures 0, 1 and 3 in rising order: (-2 x 0 + 0 x 1 + 2 x 3) / (3 x 4)."""
    assert gini(torch.tensor([[1, 2], [1, 0], [1, 0]]), catalogue(3), 2) == pytest.approx(1 / 2)


def test_equal_exposure_is_zero() -> None:
    assert gini(torch.tensor([[1, 2], [3, 4]]), catalogue(4), 2) == 0


def test_everybody_the_same_list_is_nearly_one() -> None:
    """Ten of a thousand items have all of it: 1 - 10 / 1000."""
    assert gini(torch.arange(1, 11).expand(50, 10), catalogue(1000), 10) == pytest.approx(0.99)


def test_nothing_recommended_is_equal() -> None:
    assert gini(torch.zeros(2, 2, dtype=torch.int), catalogue(3), 2) == 0
