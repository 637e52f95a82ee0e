"""Filters: the k-core and the rating threshold."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.filters import Duplicates, at_least, filter_by, only_k_core, without_duplicates
from recpref.data.interactions import Interactions


def of(pairs: list[tuple[int, int]], ratings: list[float] | None = None) -> Interactions:
    """Interactions of (user, item) pairs without time."""
    frame = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    frame = frame if ratings is None else frame.assign(rating=ratings)
    return Interactions.from_dataframe(frame, user="user_id", item="item_id")


def pairs_of(data: Interactions) -> list[tuple[int, int]]:
    """The (user, item) pairs by their original ids."""
    return list(zip(data.users.originals(data.user).tolist(), data.items.originals(data.item).tolist(), strict=True))


SQUARE = [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_two_core_by_hand() -> None:
    """Item 3 has one interaction and goes; then user 3 has only (3, 1) left and goes as well; the square stays."""
    data = only_k_core(of([*SQUARE, (3, 1), (3, 3)]), 2)
    assert pairs_of(data) == SQUARE
    assert (data.n_users, data.n_items, data.item.tolist()) == (2, 2, [1, 2, 1, 2])


def test_the_core_unravels_link_by_link() -> None:
    """A path of 40 links hangs on the square: each round takes its last link, and nothing but the square is left."""
    nodes = [2, *range(3, 45)]
    path = [(a, b) if a % 2 else (b, a) for a, b in pairwise(nodes)]
    assert pairs_of(only_k_core(of(SQUARE + path), 2)) == SQUARE


def test_one_core_is_everything() -> None:
    """Everybody who is there has one interaction."""
    data = of(SQUARE)
    assert only_k_core(data, 1).digest == data.digest


def test_repeated_pairs_count_each_time() -> None:
    """Two interactions of one pair are two interactions of that user and of that item."""
    assert len(only_k_core(of([(1, 1), (1, 1)]), 2)) == 2


@given(st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=40), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_core_is_that_of_the_bipartite_graph(pairs: set[tuple[int, int]], k: int) -> None:
    """networkx's k-core of the graph of users and items is the oracle."""
    graph = nx.Graph([(("user", u), ("item", i)) for u, i in pairs])
    core = {edge for edge in pairs if nx.k_core(graph, k).has_edge(("user", edge[0]), ("item", edge[1]))}
    data = of(sorted(pairs))
    if not core:
        with pytest.raises(ValueError, match=f"k_core={k} leaves nothing"):
            only_k_core(data, k)
        return
    assert set(pairs_of(only_k_core(data, k))) == core


def test_a_core_that_is_empty_is_refused() -> None:
    """The number and the data are named."""
    with pytest.raises(ValueError, match=r"data\.k_core=3 leaves nothing of Interactions\(frame: 2 users"):
        only_k_core(of(SQUARE), 3)


@pytest.mark.parametrize("k", [0, -1])
def test_a_core_below_one_is_refused(k: int) -> None:
    """The number and the least legal one."""
    with pytest.raises(ValueError, match=rf"data\.k_core={k} must be at least 1"):
        only_k_core(of(SQUARE), k)


def test_at_least_by_hand() -> None:
    """Ratings 5, 3, 4, none: at least 4 keeps the first and the third; 4 itself is kept, a missing one is not."""
    data = at_least(of(SQUARE, [5, 3, 4, float("nan")]), 4)
    assert pairs_of(data) == [(1, 1), (2, 1)]
    assert (data.n_items, data.item.tolist()) == (1, [1, 1])


def test_at_least_without_ratings_is_refused() -> None:
    """There is nothing to compare, with or without other columns."""
    other = Interactions.from_dataframe(pd.DataFrame({"u": [1], "i": [1], "x": [9]}), user="u", item="i")
    for data, has in ((of(SQUARE), "none"), (other, "'x'")):
        says = rf"data\.min_rating needs .* none of frame looks like it; beside user, item and time it has {has}; say data\.rating=NAME"
        with pytest.raises(ValueError, match=says):
            at_least(data, 4)
    with pytest.raises(ValueError, match=r"data\.rating=y: frame has no such column; beside user, item and time it has 'x'"):
        at_least(other, 4, "y")


def test_the_ratings_may_be_in_any_column() -> None:
    """Named or well known, and then said; two that are equally well known are ambiguous, and need a name."""
    frame = pd.DataFrame({"u": [1, 2], "i": [1, 2], "stars": [1, 5], "score": [5, 1], "mine": [9, 9]})
    data = Interactions.from_dataframe(frame, user="u", item="i")
    for column, kept in (("stars", [(2, 2)]), ("score", [(1, 1)]), ("mine", [(1, 1), (2, 2)])):
        found = filter_by(data, min_rating=4, rating=column)
        assert (pairs_of(found), found.report[-2]) == (kept, f"columns: rating={column}")
    with pytest.raises(ValueError, match=r"'stars', 'score' could each be the rating; say data\.rating=NAME"):
        filter_by(data, min_rating=4)
    found = filter_by(Interactions.from_dataframe(frame.drop(columns="score"), user="u", item="i"), min_rating=4)
    assert (pairs_of(found), found.report[-2]) == ([(2, 2)], "columns: rating=stars (guessed)")


def test_a_column_of_ratings_without_a_threshold_does_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.rating=rating is the column that data\.min_rating is held against; say that, too"):
        filter_by(of(SQUARE, [5, 5, 5, 5]), rating="rating")


def test_a_threshold_that_leaves_nothing_is_refused() -> None:
    """No rating reaches 6."""
    with pytest.raises(ValueError, match=r"data\.min_rating=6 leaves nothing of Interactions\(frame"):
        at_least(of(SQUARE, [5, 5, 5, 5]), 6)


def test_ratings_that_are_texts_are_refused() -> None:
    """The column and a value of it are named."""
    frame = pd.DataFrame({"u": [1], "i": [1], "rating": ["good"]})
    with pytest.raises(ValueError, match="'rating'.*'good'"):  # noqa: RUF043
        at_least(Interactions.from_dataframe(frame, user="u", item="i"), 4)


def test_the_threshold_comes_before_the_core() -> None:
    """(1, 2) is rated 1. Threshold first: the square is broken and its 2-core is empty; the core first would keep three rows."""
    data = of(SQUARE, [5, 1, 5, 5])
    with pytest.raises(ValueError, match="k_core=2 leaves nothing"):
        filter_by(data, k_core=2, min_rating=4)
    assert len(filter_by(only_k_core(data, 2), k_core=None, min_rating=4)) == 3


def test_no_filter_changes_nothing() -> None:
    """None means none."""
    data = of(SQUARE)
    assert filter_by(data, k_core=None, min_rating=None) is data


def test_a_core_of_nothing_is_refused_and_one_of_one_keeps_everything() -> None:
    """0 is no way to say none."""
    with pytest.raises(ValueError, match=r"data\.k_core=0 must be at least 1, which keeps everything"):
        filter_by(of(SQUARE), k_core=0)
    assert pairs_of(filter_by(of([*SQUARE, (3, 3)]), k_core=1)) == [*SQUARE, (3, 3)]


REPEATED = [(1, 1), (1, 2), (1, 1), (2, 1), (1, 1)]  # user 1 and item 1: rows 0, 2 and 4


@pytest.mark.parametrize(("policy", "kept"), [("keep", [5, 1, 4, 2, 3]), ("first", [5, 1, 3]), ("last", [1, 2, 3])])
def test_duplicates_by_hand(policy: Duplicates, kept: list[float]) -> None:
    """Ratings tell the rows apart: 5, 1, 4 and 2 are user 1's, in order."""
    data = without_duplicates(of(REPEATED, [5, 1, 4, 3, 2]), policy)
    assert data.extra is not None
    assert data.extra["rating"].tolist() == kept


def test_duplicates_are_refused_with_an_example_and_the_choices() -> None:
    """The count, the pair, and what else there is."""
    says = r"data\.duplicates=refuse: 2 rows of frame repeat a user and item, such as user .*1.* and item .*1.*; .* keep, first or last"
    with pytest.raises(ValueError, match=says):
        without_duplicates(of(REPEATED), "refuse")
    assert without_duplicates(of(SQUARE), "refuse").report[-1] == "duplicates=refuse: there are none"


def test_another_policy_is_refused() -> None:
    """With the nearest and all of them."""
    with pytest.raises(ValueError, match=r"unknown data\.duplicates 'frist'; did you mean 'first'\? known: first, keep, last, refuse"):
        without_duplicates(of(SQUARE), "frist")


def test_the_last_word_counts_for_the_threshold() -> None:
    """User 1 rated item 1 with 5 and then with 2: the last word is below 4."""
    data = of([(1, 1), (1, 1), (2, 1)], [5, 2, 4])
    assert pairs_of(filter_by(data, duplicates="last", min_rating=4)) == [(2, 1)]
    assert pairs_of(filter_by(data, duplicates="first", min_rating=4)) == [(1, 1), (2, 1)]


def test_every_rule_is_reported() -> None:
    """How many rows, users and items each dropped."""
    data = filter_by(of([*SQUARE, (3, 3), (3, 3)], [5, 5, 5, 5, 1, 5]), k_core=2, min_rating=2, duplicates="last")
    assert data.report[1:] == (
        "duplicates=last: 1 of 6 rows dropped, 0 users and 0 items with them",
        "columns: rating=rating (guessed)",
        "min_rating=2: 0 of 5 rows dropped, 0 users and 0 items with them",
        "k_core=2: 1 of 5 rows dropped, 1 users and 1 items with them",
    )


def test_a_frame_is_filtered_by_its_own_method() -> None:
    """As ``data.k_core=2 data.min_rating=4`` would, with the same lines of the report."""
    data = of([*SQUARE, (3, 1), (1, 2)], [5, 4, 4, 5, 5, 1])
    found = data.filtered(k_core=2, min_rating=4, duplicates="first")
    assert pairs_of(found) == SQUARE
    assert [line.partition(":")[0] for line in found.report[-3:]] == ["columns", "min_rating=4", "k_core=2"]
    assert len(data) == 6
