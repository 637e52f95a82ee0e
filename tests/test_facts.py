"""Facts of training: popularity, strata and likeness, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.facts import HEAD, MID, TAIL, Facts, filled


def of(counts: list[int], features: pd.DataFrame | None = None) -> Interactions:
    """Item i with ``counts[i - 1]`` users, users 1, 2, ... each."""
    user = np.concatenate([np.arange(1, n + 1) for n in counts]) if counts else np.zeros(0)
    item = np.repeat(np.arange(1, len(counts) + 1), counts)
    order = np.argsort(user, kind="stable")
    items = Vocabulary(np.arange(1, len(counts) + 1), features)
    return Interactions(user[order], item[order], None, "none", None, Vocabulary(np.arange(1, max(counts) + 1)), items)


def test_strata_by_hand():
    """Ten interactions: 3 + 2 reach a fifth with the first item; the last two, from 8 on, are the tail; nobody has the sixth."""
    facts = Facts(of([2, 3, 2, 1, 2, 0]))
    assert facts.strata.tolist()[1:] == [MID, HEAD, MID, TAIL, MID, TAIL]  # before: item 2 0, 1 .3, 3 .5, 5 .7, 4 .9
    assert facts.popularity.tolist() == [0, 2, 3, 2, 1, 2, 0]


def test_equally_popular_items_fill_the_strata_in_order():
    assert Facts(of([1] * 10)).strata.tolist()[1:] == [HEAD] * 2 + [MID] * 6 + [TAIL] * 2


def test_shares_of_users_count_users_once():
    """Three users; item 1 is had by two of them, by one twice; nobody has item 3."""
    frame = pd.DataFrame({"u": [1, 1, 2, 3], "i": [1, 1, 1, 2]})
    data = Interactions.from_dataframe(frame, user="u", item="i")
    assert Facts(data).share_of_users[1:].tolist() == pytest.approx([2 / 3, 1 / 3])
    without = Facts(of([2, 1, 0]))
    assert without.share_of_users[1:].tolist() == pytest.approx([1, 1 / 2, 1 / 2])


def test_items_are_alike_by_their_users():
    """Item 1 has users 1 and 2, item 2 has user 1: cosine 1 / sqrt(2); item 3 has nobody."""
    traits = Facts(of([2, 1, 0])).traits.toarray()
    np.testing.assert_allclose((traits @ traits.T)[1:, 1:], [[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]], atol=1e-12)


def test_items_are_alike_by_words_or_members_of_a_feature():
    """drama|crime and crime share one of two and one words; a list is its members; missing is like nothing."""
    texts = pd.DataFrame({"genres": ["drama|crime", "crime", None], "tags": [["a b", "c"], ["a b"], ["b"]]})
    by = {name: Facts(of([1, 1, 1], texts), name).traits.toarray() for name in texts}
    np.testing.assert_allclose((by["genres"] @ by["genres"].T)[1, 1:], [1, 0.5**0.5, 0], atol=1e-12)
    np.testing.assert_allclose((by["tags"] @ by["tags"].T)[1, 1:], [1, 0.5**0.5, 0], atol=1e-12)
    tags = [np.array(["a b", "c"], dtype=object), np.array(["a b"], dtype=object), float("nan")]  # as Parquet has them
    arrays = Facts(of([1, 1, 1], pd.DataFrame({"tags": tags})), "tags").traits.toarray()
    np.testing.assert_allclose((arrays @ arrays.T)[1, 1:], [1, 0.5**0.5, 0], atol=1e-12)


def test_a_feature_that_items_do_not_have():
    with pytest.raises(ValueError, match="unknown feature of items 'genre'; did you mean 'genres'"):
        _ = Facts(of([1], pd.DataFrame({"genres": ["x"]})), "genre").traits
    with pytest.raises(ValueError, match="unknown feature of items 'genre'; known: none"):
        _ = Facts(of([1]), "genre").traits


def test_empty_places_are_not_filled():
    assert filled(torch.tensor([[1, 0, 2], [3, 0, 0]]), 2).tolist() == [1, 3]
