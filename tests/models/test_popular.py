"""Popular: the most frequent training items, for everybody."""

from __future__ import annotations

import pandas as pd
import torch

from recpref.data.interactions import Interactions
from recpref.models.popular import Popular
from recpref.topk import TopK
from recpref.types import History, Query


def test_the_most_frequent_items_come_first_by_hand():
    """Item 7 occurs three times, 9 twice, 8 once: numbers 1 (7), 3 (9), 2 (8)."""
    frame = pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3], "item_id": [7, 9, 7, 9, 7, 8]})
    train = Interactions.from_dataframe(frame, user="user_id", item="item_id")
    model = Popular(train.n_items)
    model.fit(train)
    history = History(torch.tensor([[1], [0]]), torch.zeros(2, dtype=torch.long))
    ranking = TopK(model).recommend(Query(history, exclude=history.items), 3)
    assert ranking.items.tolist() == [[3, 2, 0], [1, 3, 2]]
    assert ranking.scores[1].tolist() == [3.0, 2.0, 1.0]
