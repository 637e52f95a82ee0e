"""Who consumed what: repeats count once."""

from __future__ import annotations

import pandas as pd
import torch

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions


def test_by_hand() -> None:
    """User 1 has items 1 and 3 (3 twice), user 2 has item 2."""
    frame = pd.DataFrame({"u": [1, 1, 1, 2], "i": ["a", "c", "c", "b"]})
    data = Interactions.from_dataframe(frame, user="u", item="i")
    assert consumed(data).toarray().tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_repeats_become_padding() -> None:
    items = torch.tensor([[0, 3, 1, 3, 3], [0, 0, 0, 0, 2]])
    assert [sorted(row) for row in distinct(items).tolist()] == [[0, 0, 0, 1, 3], [0, 0, 0, 0, 2]]
    assert distinct(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0)
