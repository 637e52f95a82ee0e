"""Similar items: angles by hand, then properties, then what has no usable vector."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.models.ease import EASE
from recpref.models.itemknn import ItemKNN
from recpref.models.popular import Popular
from recpref.retrieval import similar as module
from recpref.retrieval import topk
from recpref.retrieval.similar import similar
from recpref.types import History


class Table:
    def __init__(self, vectors: torch.Tensor):
        self.vectors = vectors

    def state(self, history: History) -> torch.Tensor:
        raise AssertionError("no user is asked for")

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.vectors, torch.arange(len(self.vectors)).float()


# PAD, then east, east, north-east, north, west, nothing
MODEL = Table(torch.tensor([[9.0, 9.0], [1, 0], [5, 0], [2, 2], [0, 3], [-1, 0], [0, 0]]))
ITEMS = Vocabulary(np.array(["e", "ee", "ne", "no", "we", "xx"], dtype=object))


def test_by_hand() -> None:
    frame = similar(MODEL, ITEMS, "e", 4)
    assert frame["similar"].tolist() == ["ee", "ne", "no", "we"]
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(frame["score"], [1, np.sqrt(0.5), 0, -1], atol=1e-12)


def test_the_order_of_ids_and_fewer_than_k() -> None:
    frame = similar(MODEL, ITEMS, ["we", "e"], 99)
    assert frame["item"].tolist() == ["we"] * 4 + ["e"] * 4  # neither the item itself nor the vector of zeros
    assert frame["similar"].tolist()[:2] == ["no", "ne"]
    assert similar(MODEL, ITEMS, np.array(["e"], dtype=object), 1)["similar"].tolist() == ["ee"]


def test_symmetric_and_blind_to_length_and_bias() -> None:
    vectors = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    items = Vocabulary(np.arange(100, 129))
    frame = similar(Table(vectors), items, items.ids, 28)
    scores = frame.set_index(["item", "similar"])["score"]
    assert len(scores) == 29 * 28
    np.testing.assert_allclose(scores.loc[(100, 105)], scores.loc[(105, 100)], atol=1e-12)
    longer = similar(Table(vectors * torch.arange(1, 31)[:, None]), items, items.ids, 28)
    np.testing.assert_allclose(longer["score"], frame["score"], atol=1e-6)


def test_a_few_ids_at_a_time_find_what_all_at_once_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among vectors of which many are alike: equal cosines in the order of ids, in blocks of columns too."""
    vectors = torch.randint(-1, 2, (200, 3), generator=torch.Generator().manual_seed(0)).float()
    vectors[(vectors == 0).all(1)] = 1.0
    items = Vocabulary(np.arange(1, 200))
    expected = similar(Table(vectors), items, items.ids, 5)
    cosine = torch.nn.functional.cosine_similarity(vectors[7], vectors[1:], dim=1)
    cosine[6] = -torch.inf  # itself
    assert (
        expected[expected["item"] == 7]["similar"].tolist()
        == (cosine.double().round(decimals=5).argsort(descending=True, stable=True)[:5] + 1).tolist()
    )
    monkeypatch.setattr(module, "HELD", 400)
    monkeypatch.setattr(topk, "WIDE", 1)
    pd.testing.assert_frame_equal(similar(Table(vectors), items, items.ids, 5), expected)


def test_items_never_seen_in_training() -> None:
    known = np.array([False, True, False, True, True, True, True])
    assert similar(MODEL, ITEMS, ["e"], 9, known=known)["similar"].tolist() == ["ne", "no", "we"]
    with pytest.raises(ValueError, match="item 'ee' was never seen in training"):
        similar(MODEL, ITEMS, ["e", "ee"], known=known)


@pytest.mark.parametrize("numbers", [[3.0, 1.0, 2.0], [3.0, 0.0, 2.0]])
def test_one_number_for_each_item_says_nothing_of_what_is_alike(numbers: list[float]) -> None:
    """Whichever item is asked for, all others would be as similar: 1. Also where a count of zero would be refused for itself."""
    popular = Popular(3)
    popular.counts.copy_(torch.tensor([0.0, *numbers]))
    with pytest.raises(ValueError, match=r"Popular has one number for each item.*bert4rec, bprmf.*ease, itemknn, markov"):
        similar(popular, Vocabulary(np.arange(3)), [1])


def test_what_is_refused() -> None:
    for ids, k, says in (
        (["e", "y", "z"], 1, r"unknown items: 'y', 'z' \(2 of 3\)"),
        ([3], 1, "item ids are int"),
        (["xx"], 1, "item 'xx' has a vector of zeros"),
        ([], 1, "no item was named"),
        (["e"], 0, "k=0"),
    ):
        with pytest.raises(ValueError, match=says):
            similar(MODEL, ITEMS, ids, k)


def test_items_that_have_nothing_to_do_with_each_other_are_not_similar() -> None:
    """Of a model of weights between items only weights above zero count: 1 and 2 have users in common, 3 and 4 have, nobody else."""
    rows = [(1, 1), (1, 2), (2, 3), (2, 4)]
    train = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i"]), user="u", item="i")
    for model in (ItemKNN(4), EASE(4)):
        model.fit(train)
        assert similar(model, Vocabulary(np.arange(1, 5)), [1, 4], 10)[["item", "similar"]].to_numpy().tolist() == [[1, 2], [4, 3]]
