"""Every metric against two oracles: ranx, and loops over Python lists."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref import components

TOLERANCE = 1e-12
THEIRS = {"hr": "hit_rate", "recall": "recall", "precision": "precision", "f1": "f1", "ndcg": "ndcg", "mrr": "mrr", "map": "map"}
N_ITEMS = 30


@pytest.fixture(scope="module")
def ranx() -> ModuleType:
    """ranx without numba's compiler, which would take minutes for a second's work and warns of its casts."""
    numba = pytest.importorskip("numba")
    compiles = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    import ranx

    yield ranx
    numba.config.DISABLE_JIT = compiles


@st.composite
def users(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], int]:
    """For each of some users a list of K different items and the relevant ones; and a cut-off, often beyond K."""
    n_places = draw(st.integers(1, 12))
    one = st.permutations(range(N_ITEMS)).map(lambda items: items[:n_places])
    rankings = draw(st.lists(one, min_size=1, max_size=5))
    liked = st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=N_ITEMS, unique=True)
    return rankings, [draw(liked) for _ in rankings], draw(st.integers(1, 15))


def measured(name: str, rankings: list[list[int]], liked: list[list[int]], k: int) -> list[float]:
    """Our values."""
    hits = torch.tensor([[item in likes for item in ranking] for ranking, likes in zip(rankings, liked, strict=True)])
    return components.find("metric", name)(hits, torch.tensor([len(likes) for likes in liked]), k).tolist()


def brute_force(name: str, ranking: list[int], likes: list[int], k: int) -> float:
    """The definitions, word for word."""
    ranks = [rank for rank, item in enumerate(ranking[:k], 1) if item in likes]
    precision, recall = len(ranks) / k, len(ranks) / len(likes)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(likes)) + 1))
    return {
        "hr": float(bool(ranks)),
        "recall": recall,
        "precision": precision,
        "f1": 2 * precision * recall / (precision + recall) if ranks else 0.0,
        "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / best,
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "map": sum(sum(other <= rank for other in ranks) / rank for rank in ranks) / len(likes),
    }[name]


def test_every_metric_has_its_oracle() -> None:
    assert set(components.names("metric")) >= set(THEIRS)


@settings(max_examples=50, deadline=None)
@given(users())
def test_equal_to_loops(case: tuple[list[list[int]], list[list[int]], int]) -> None:
    rankings, liked, k = case
    for name in THEIRS:
        expected = [brute_force(name, ranking, likes, k) for ranking, likes in zip(rankings, liked, strict=True)]
        assert measured(name, rankings, liked, k) == pytest.approx(expected, abs=TOLERANCE)


@settings(max_examples=50, deadline=None)
@given(users())
def test_equal_to_ranx(ranx: ModuleType, case: tuple[list[list[int]], list[list[int]], int]) -> None:
    rankings, liked, k = case
    qrels = ranx.Qrels({f"u{u}": {f"i{item}": 1 for item in likes} for u, likes in enumerate(liked)})
    run = ranx.Run({f"u{u}": {f"i{item}": float(-rank) for rank, item in enumerate(ranking)} for u, ranking in enumerate(rankings)})
    theirs = ranx.evaluate(qrels, run, [f"{name}@{k}" for name in THEIRS.values()], return_mean=False)
    for name, their_name in THEIRS.items():
        assert measured(name, rankings, liked, k) == pytest.approx(theirs[f"{their_name}@{k}"].tolist(), abs=TOLERANCE)
