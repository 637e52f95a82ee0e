"""Novelty: mean self-information."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond.novelty import novelty
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def four_users() -> Facts:
    """All four have item 1, one of them item 2."""
    return Facts(Interactions.from_dataframe(pd.DataFrame({"u": [1, 2, 3, 4, 4], "i": [1, 1, 1, 1, 2]}), user="u", item="i"))


def test_by_hand() -> None:
    """What everybody has says 0 bits, what one of four has 2 bits."""
    lists = torch.tensor([[1, 2]])
    assert novelty(lists, four_users(), 1) == 0
    assert novelty(lists, four_users(), 2) == pytest.approx(1)


def test_the_rarest_everywhere_is_the_largest_value() -> None:
    assert novelty(torch.tensor([[2, 0]] * 3), four_users(), 2) == pytest.approx(2)


def test_nothing_recommended_has_no_novelty() -> None:
    assert novelty(torch.zeros(2, 2, dtype=torch.int), four_users(), 2) is None
