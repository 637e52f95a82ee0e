"""Answers: by hand without what was seen, their ties, and who is not answered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.bridges.answers import Answers
from recpref.data.interactions import Interactions
from recpref.types import History, Query


def small() -> Interactions:
    """u1 has a b c d, u2 has b a c; numbers 1 to 4 stand for a to d."""
    rows = [("u1", "a", 1), ("u1", "b", 2), ("u1", "c", 3), ("u1", "d", 4), ("u2", "b", 1), ("u2", "a", 2), ("u2", "c", 3)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def answers() -> Answers:
    """User 2 has items 3 (9.0), 1 and 4 (5.0 both) and 2 (1.0); user 1 has no answers."""
    items, scores = np.zeros((3, 4), np.int32), np.full((3, 4), -np.inf, np.float32)
    items[2], scores[2] = [3, 1, 4, 2], [9, 5, 5, 1]
    return Answers(items, scores, small())


def asked(user: int, exclude: list[int] | None = None, candidates: list[int] | None = None) -> Query:
    parts = [None if part is None else torch.tensor([part]) for part in (exclude, candidates)]
    return Query(History(torch.tensor([[1]]), torch.tensor([user])), *parts)


def test_answers_without_what_is_excluded_by_hand() -> None:
    place = torch.randperm(5, generator=torch.Generator().manual_seed(0)).argsort().tolist()
    tied = sorted([1, 4], key=place.__getitem__)  # as TopK orders them
    assert answers().recommend(asked(2), 4).items.tolist() == [[3, *tied, 2]]
    found = answers().recommend(asked(2, exclude=[0, 3]), 4)
    assert found.items.tolist() == [[*tied, 2, 0]]
    assert found.scores.tolist() == [[5, 5, 1, -np.inf]]
    assert answers().recommend(asked(2, candidates=[2, 3]), 3).items.tolist() == [[3, 2, 0]]
    assert answers().recommend(asked(2), 6).items.shape == (1, 6)


def test_the_frame_has_original_ids() -> None:
    frame = answers().frame
    assert frame["user"].tolist() == ["u2"] * 4
    assert sorted(zip(frame["item"], frame["score"], strict=True)) == [("a", 5), ("b", 1), ("c", 9), ("d", 5)]


def test_who_is_not_of_the_split_gets_no_answer() -> None:
    with pytest.raises(ValueError, match="no answer was kept for user number 1"):
        answers().recommend(asked(1), 2)
