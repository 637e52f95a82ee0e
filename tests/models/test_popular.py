"""Popular: the most frequent training items, for everybody, of all time or of a recent window."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from recpref.data.interactions import Interactions
from recpref.models.popular import DAY, Popular
from recpref.retrieval.topk import TopK
from recpref.types import History, Query


def fitted(train: Interactions, **options: float) -> Popular:
    model = Popular(train.n_items, **options)
    model.fit(train)
    return model


def over_ten_days() -> Interactions:
    """Item 1 on days 0, 1 and 2, item 2 on days 5 and 9, item 3 on day 10."""
    days = [0, 1, 2, 5, 9, 10]
    frame = pd.DataFrame({"u": [1, 2, 3, 1, 2, 3], "i": [1, 1, 1, 2, 2, 3], "t": [1_500_000_000 + day * DAY for day in days]})
    return Interactions.from_dataframe(frame, user="u", item="i", time="t")


def test_the_most_frequent_items_come_first_by_hand():
    """Item 7 occurs three times, 9 twice, 8 once: numbers 1 (7), 3 (9), 2 (8)."""
    frame = pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3], "item_id": [7, 9, 7, 9, 7, 8]})
    model = fitted(Interactions.from_dataframe(frame, user="user_id", item="item_id"))
    history = History(torch.tensor([[1], [0]]), torch.zeros(2, dtype=torch.long))
    ranking = TopK(model).recommend(Query(history, exclude=history.items), 3)
    assert ranking.items.tolist() == [[3, 2, 0], [1, 3, 2]]
    assert ranking.scores[1].tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [3, 2, 1]),
        ({"last_days": 1.0}, [0, 1, 1]),  # days 9 and 10: the edge is in
        ({"last_days": 0.5}, [0, 0, 1]),
        ({"last_days": 5.0}, [0, 2, 1]),
        ({"last_share": 0.5}, [0, 2, 1]),  # half of ten days
        ({"last_share": 0.8}, [1, 2, 1]),
        ({"last_share": 1.0}, [3, 2, 1]),
    ],
)
def test_windows_by_hand(options, counts):
    assert fitted(over_ten_days(), **options).counts.tolist() == [0, *counts]


@pytest.mark.parametrize("option", ["last_days", "last_share"])
def test_a_window_needs_a_clock(option):
    frame = pd.DataFrame({"u": [1, 1], "i": [1, 2]})
    without = Interactions.from_dataframe(frame, user="u", item="i")
    with pytest.raises(ValueError, match=rf"model.{option} needs times in seconds, and frame has clock=none; name a time column"):
        fitted(without, **{option: 0.5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_days": 1.0, "last_share": 0.5}, "two windows; set one"),
        ({"last_days": 0.0}, "last_days=0.0 must be above 0"),
        ({"last_share": 1.5}, "last_share=1.5 must be above 0 and at most 1"),
    ],
)
def test_windows_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Popular(3, **options)
