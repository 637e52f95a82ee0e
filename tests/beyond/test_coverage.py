"""Catalogue coverage."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond.coverage import coverage
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def five() -> Facts:
    return Facts(Interactions.from_dataframe(pd.DataFrame({"u": [1] * 5, "i": [1, 2, 3, 4, 5]}), user="u", item="i"))


def test_by_hand() -> None:
    """Lists 1 2 and 1 3 of five items: one item in first places, three in all."""
    lists = torch.tensor([[1, 2], [1, 3]])
    assert coverage(lists, five(), 1) == pytest.approx(1 / 5)
    assert coverage(lists, five(), 2) == pytest.approx(3 / 5)


def test_everybody_the_same_list_is_k_of_v() -> None:
    assert coverage(torch.tensor([[4, 2, 5]] * 30), five(), 3) == pytest.approx(3 / 5)


def test_everything_and_nothing() -> None:
    assert coverage(torch.tensor([[1, 2, 3], [4, 5, 0]]), five(), 3) == 1
    assert coverage(torch.zeros(4, 3, dtype=torch.int), five(), 3) == 0
