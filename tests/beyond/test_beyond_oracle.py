"""Every measure of lists against loops over Python lists that were written from its definition."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref import components
from recpref.data.interactions import Interactions
from recpref.facts import Facts

N_ITEMS = 9


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[list[int]], int]:
    """Training pairs in which every item occurs, some twice; lists of different lengths; and a cut-off."""
    pairs = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, N_ITEMS)), max_size=40))
    pairs += [(draw(st.integers(1, 6)), item) for item in range(1, N_ITEMS + 1)]
    one = st.lists(st.integers(1, N_ITEMS), max_size=5, unique=True)
    return pairs, draw(st.lists(one, min_size=1, max_size=6)), draw(st.integers(1, 5))


def brute_force(name: str, pairs: list[tuple[int, int]], lists: list[list[int]], k: int) -> float | None:
    """The definitions, word for word."""
    lists = [items[:k] for items in lists]
    places = [item for items in lists for item in items]
    counts, users = Counter(item for _, item in pairs), {item: {u for u, i in pairs if i == item} for _, item in pairs}
    exposure = Counter(places)
    if name == "coverage":
        return len(set(places)) / N_ITEMS
    if name == "gini":  # the mean absolute difference between two items, over twice the mean
        x = [exposure[item] for item in range(1, N_ITEMS + 1)]
        return sum(abs(a - b) for a in x for b in x) / (2 * N_ITEMS * sum(x)) if places else 0.0
    if name == "diversity":
        likeness = [[len(users[a] & users[b]) / math.sqrt(len(users[a]) * len(users[b])) for a, b in combinations(one, 2)] for one in lists]
        means = [np.mean(values) for values in likeness if values]
        return 1 - float(np.mean(means)) if means else None
    ranked = sorted(counts, key=lambda item: (-counts[item], item))
    tail = {item for place, item in enumerate(ranked) if sum(counts[i] for i in ranked[:place]) >= 0.8 * len(pairs)}
    values = {
        "arp": [counts[item] for item in places],
        "novelty": [-math.log2(len(users[item]) / len({u for u, _ in pairs})) for item in places],
        "tail": [item in tail for item in places],
    }[name]
    return float(np.mean(values)) if values else None


@pytest.mark.parametrize("name", components.names("beyond"))
def test_equal_to_loops(name: str) -> None:
    measure = components.find("beyond", name)

    @settings(max_examples=60, deadline=None)
    @given(cases())
    def check(case: tuple[list[tuple[int, int]], list[list[int]], int]) -> None:
        pairs, lists, k = case
        data = Interactions.from_dataframe(pd.DataFrame(pairs, columns=["u", "i"]), user="u", item="i")
        padded = torch.tensor([items + [0] * (5 - len(items)) for items in lists], dtype=torch.int)
        expected = brute_force(name, pairs, lists, k)
        found = measure(padded, Facts(data), k)
        assert found is None if expected is None else found == pytest.approx(expected, abs=1e-12)

    check()
