"""The tail's share."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond.tail import tail
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def eight_and_two() -> Facts:
    """Item 1 has eight interactions, items 2 and 3 one each: they are what holds the last fifth."""
    frame = pd.DataFrame({"u": [*range(8), 0, 1], "i": [1] * 8 + [2, 3]})
    return Facts(Interactions.from_dataframe(frame, user="u", item="i"))


def test_by_hand() -> None:
    lists = torch.tensor([[1, 2], [1, 3], [1, 0]])
    assert tail(lists, eight_and_two(), 1) == 0
    assert tail(lists, eight_and_two(), 2) == pytest.approx(2 / 5)


def test_all_and_nothing() -> None:
    assert tail(torch.tensor([[2, 3]]), eight_and_two(), 2) == 1
    assert tail(torch.zeros(2, 2, dtype=torch.int), eight_and_two(), 2) is None
