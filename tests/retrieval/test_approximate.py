"""Approximate retrieval: an index beside exact search."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import recpref
from recpref.retrieval.approximate import KINDS, Approximate
from recpref.retrieval.topk import TopK
from recpref.types import PAD, History, Query

pytest.importorskip("faiss")


class Vectors:
    """User u's state is ``users[u - 1]``; items have vectors and biases, PAD's is -inf."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor, bias: torch.Tensor):
        self.users, self.items = users, torch.cat([torch.zeros(1, items.shape[1]), items])
        self.bias = torch.cat([torch.tensor([-torch.inf]), bias])

    def state(self, history: History) -> torch.Tensor:
        return self.users[history.user - 1]

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.items, self.bias


def query(n: int, exclude: torch.Tensor | None = None) -> Query:
    return Query(History(torch.ones(n, 1, dtype=torch.long), torch.arange(1, n + 1)), exclude)


def random(users: int, items: int, width: int = 16) -> Vectors:
    rng = torch.Generator().manual_seed(0)
    return Vectors(*(torch.randn(shape, generator=rng) for shape in ((users, width), (items, width), (items,))))


@pytest.mark.parametrize("kind", KINDS)
def test_by_hand(kind: str) -> None:
    """Scores 1 + 0, 2 + 0 and 0 + 5: the bias decides."""
    model = Vectors(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 9.0]]), torch.tensor([0.0, 0.0, 5.0]))
    found = Approximate(model, kind=kind).recommend(query(1), 2)
    assert found.items.tolist() == [[3, 2]]
    assert found.scores.tolist() == [[5, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_as_wide_as_the_index_it_is_exact(kind: str) -> None:
    """Everything looked at: the lists of exact search, with what was seen left out."""
    model = random(20, 300)
    asked = query(20, torch.randint(0, 301, (20, 30), generator=torch.Generator().manual_seed(1)))
    exact = TopK(model).recommend(asked, 10)
    index = Approximate(model, kind=kind, breadth=300)
    found = index.recommend(asked, 10)
    assert index.found(exact, asked) == 1
    assert torch.equal(found.items, exact.items)
    torch.testing.assert_close(found.scores, exact.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_finds_grows_with_breadth(kind: str) -> None:
    model = random(200, 5000)
    exact = TopK(model).recommend(query(200), 10)
    shares = [Approximate(model, kind=kind, breadth=breadth).found(exact, query(200)) for breadth in (1, 64)]
    assert shares[0] < shares[1] <= 1
    assert shares[1] > 0.8


def test_long_histories_are_compared_a_few_users_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random(6, 80)
    exclude = torch.stack([torch.randperm(80)[:30] + 1 for _ in range(6)])
    expected = TopK(model).recommend(query(6, exclude), 5)
    for pairs in (1, 200, 2**26):
        monkeypatch.setattr("recpref.retrieval.approximate.COMPARED", pairs)
        assert torch.equal(Approximate(model, kind="hnsw", breadth=80).recommend(query(6, exclude), 5).items, expected.items)


def test_places_without_an_item_are_padding() -> None:
    """Three items, one of them seen: two are left for five places. An item with the bias -inf is never found."""
    model = Vectors(torch.ones(1, 2), torch.ones(4, 2), torch.tensor([0.0, 1.0, 2.0, -torch.inf]))
    found = Approximate(model).recommend(query(1, torch.tensor([[2, PAD]])), 5)
    assert found.items.tolist() == [[3, 1, PAD, PAD, PAD]]
    assert found.scores[0, 2:].tolist() == [-torch.inf] * 3


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random(2, 10)
    with pytest.raises(ValueError, match="exact, hnsw, ivf"):
        Approximate(model, kind="flat")
    with pytest.raises(ValueError, match="breadth=0"):
        Approximate(model, breadth=0)
    with pytest.raises(ValueError, match="inner product"):
        Approximate(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k=0"):
        Approximate(model).recommend(query(2), 0)
    with pytest.raises(ValueError, match="candidates"):
        Approximate(model).recommend(query(2)._replace(candidates=torch.ones(2, 1, dtype=torch.long)), 1)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"recpref\[ann\]"):
        Approximate(model)


def test_a_run_recommends_from_an_index(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"user_id": [u for u in range(30) for _ in range(6)], "item_id": [(u * 7 + i * i) % 40 for u in range(30) for i in range(6)]}
    )
    data = recpref.Interactions.from_dataframe(rows, user="user_id", item="item_id")
    run = recpref.fit("model=sasrec", "model.d_model=8", "trainer.max_epochs=1", "logger=[]", f"out={tmp_path}", data=data)
    exact, found = run.recommend(rows, k=5), run.recommend(rows, k=5, search="hnsw")
    assert found.attrs["found"] == 1
    pd.testing.assert_frame_equal(found.drop(columns="score"), exact.drop(columns="score"))
    assert "found" not in exact.attrs
