"""Intra-list diversity."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.beyond import diversity as module
from recpref.beyond.diversity import diversity
from recpref.data.interactions import Interactions
from recpref.facts import Facts


def two_users() -> Facts:
    """Both have items 1 and 2, the second also item 3."""
    return Facts(Interactions.from_dataframe(pd.DataFrame({"u": [1, 1, 2, 2, 2], "i": [1, 2, 1, 2, 3]}), user="u", item="i"))


def test_by_hand() -> None:
    """Cosines 1 (items 1 and 2) and twice 1 / sqrt(2): a mean of (1 + 2 x .7071) / 3 over the three pairs."""
    lists = torch.tensor([[1, 2, 3]])
    assert diversity(lists, two_users(), 2) == pytest.approx(0, abs=1e-12)
    assert diversity(lists, two_users(), 3) == pytest.approx(1 - (1 + 2 * 0.5**0.5) / 3)


def test_items_without_a_common_user_are_as_diverse_as_can_be() -> None:
    apart = Facts(Interactions.from_dataframe(pd.DataFrame({"u": [1, 2, 3], "i": [1, 2, 3]}), user="u", item="i"))
    assert diversity(torch.tensor([[1, 2, 3]]), apart, 3) == 1


def test_lists_of_fewer_than_two_items_have_no_pairs() -> None:
    assert diversity(torch.tensor([[1, 2], [3, 0]]), two_users(), 2) == pytest.approx(0, abs=1e-12)
    assert diversity(torch.tensor([[1, 2]]), two_users(), 1) is None


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = torch.tensor([[1, 2, 3], [3, 1, 0], [2, 3, 1]])
    whole = diversity(lists, two_users(), 3)
    monkeypatch.setattr(module, "BLOCK", 1)
    assert diversity(lists, two_users(), 3) == pytest.approx(whole)
