"""Average recommendation popularity."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond.arp import arp
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def nine_and_one() -> Facts:
    frame = pd.DataFrame({"u": [*range(9), 0], "i": [1] * 9 + [2]})
    return Facts(Interactions.from_dataframe(frame, user="u", item="i"))


def test_by_hand() -> None:
    """Nine interactions first, then one: 9 and (9 + 1) / 2."""
    assert arp(torch.tensor([[1, 2]]), nine_and_one(), 1) == 9
    assert arp(torch.tensor([[1, 2]]), nine_and_one(), 2) == 5


def test_empty_places_are_left_out() -> None:
    assert arp(torch.tensor([[1, 0], [2, 0]]), nine_and_one(), 2) == pytest.approx(5)
    assert arp(torch.zeros(2, 2, dtype=torch.int), nine_and_one(), 2) is None
