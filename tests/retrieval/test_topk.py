"""TopK: order, what is left out, and ties by a seeded permutation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recpref.retrieval import topk
from recpref.retrieval.topk import TopK
from recpref.types import PAD, History, Query, Ranking


class Scores:
    """User u scores item i exactly ``of[u][i]``: a user's state is a unit vector, an item's vector what each user thinks of it."""

    def __init__(self, of: list[list[float]]):
        self.of = torch.tensor(of, dtype=torch.float32)

    def state(self, history: History) -> torch.Tensor:
        return torch.eye(len(self.of))[history.user - 1]

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        items = torch.cat([torch.zeros(len(self.of), 1), self.of], 1)
        return items.T, torch.zeros(items.shape[1]).index_fill(0, torch.tensor(PAD), -torch.inf)


def query(n: int, *, exclude: list[list[int]] | None = None, candidates: list[list[int]] | None = None) -> Query:
    """Users 1 to n, whose histories no model here reads."""
    history = History(torch.ones(n, 1, dtype=torch.long), torch.arange(1, n + 1))
    return Query(history, *(None if lists is None else torch.tensor(lists) for lists in (exclude, candidates)))


def rows(asked: Query, part: slice) -> Query:
    """Some users of a query."""
    history = History(asked.history.items[part], asked.history.user[part])
    return Query(history, *(None if items is None else items[part] for items in (asked.exclude, asked.candidates)))


def joined(rankings: list[Ranking]) -> Ranking:
    return Ranking(*(torch.cat(parts) for parts in zip(*rankings, strict=True)))


def equal(left: Ranking, right: Ranking) -> bool:
    return torch.equal(left.items, right.items) and torch.equal(left.scores, right.scores)


def test_by_hand() -> None:
    """User 1 scores items 1 2 3 with 5 9 7, user 2 with 3 2 1."""
    found = TopK(Scores([[5, 9, 7], [3, 2, 1]])).recommend(query(2), 2)
    assert found.items.tolist() == [[2, 3], [1, 2]]
    assert found.scores.tolist() == [[9, 7], [3, 2]]


def test_excluded_items_are_left_out_and_padding_excludes_nothing() -> None:
    found = TopK(Scores([[5, 9, 7], [3, 2, 1]])).recommend(query(2, exclude=[[0, 2], [0, 0]]), 2)
    assert found.items.tolist() == [[3, 1], [1, 2]]


def test_only_candidates_are_ranked_and_padding_is_none() -> None:
    """User 2 has one candidate, so that one place stays empty; an excluded candidate is left out, too."""
    asked = query(3, candidates=[[1, 3], [0, 2], [1, 2]], exclude=[[0], [0], [1]])
    found = TopK(Scores([[5, 9, 7], [3, 2, 1], [3, 2, 1]])).recommend(asked, 2)
    assert found.items.tolist() == [[3, 1], [2, PAD], [2, PAD]]
    assert found.scores.tolist() == [[7, 5], [2, -torch.inf], [2, -torch.inf]]


def test_more_places_than_items() -> None:
    found = TopK(Scores([[5, 9, 7]])).recommend(query(1, exclude=[[3]]), 6)
    assert found.items.tolist() == [[2, 1, PAD, PAD, PAD, PAD]]
    assert found.scores.tolist() == [[9, 5] + [-torch.inf] * 4]


def test_scores_of_some_items_and_of_all() -> None:
    topk = TopK(Scores([[5, 9, 7], [3, 2, 1]]))
    assert topk.scores(query(2), torch.tensor([[3, 1], [1, 1]])).tolist() == [[7, 5], [3, 3]]
    assert topk.scores(query(1)).tolist() == [[-torch.inf, 5, 9, 7]]


def test_equals_come_in_the_order_of_the_permutation() -> None:
    topk = TopK(Scores([[0] * 40] * 2), seed=3)
    places = [item for item in topk.order.tolist() if item != PAD]
    assert topk.recommend(query(2), 7).items.tolist() == [places[:7]] * 2
    assert places != sorted(places)
    assert places != [item for item in TopK(Scores([[0] * 40]), seed=4).order.tolist() if item != PAD]


def test_a_constant_model_is_at_chance() -> None:
    """Over 400 seeds each of 20 items is first about 20 times, and among the first five about 100 times."""
    first, five = torch.zeros(21), torch.zeros(21)
    for seed in range(400):
        items = TopK(Scores([[1] * 20]), seed=seed).recommend(query(1), 5).items[0]
        first[items[0]] += 1
        five[items] += 1
    assert stats.chisquare(first[1:].numpy()).pvalue > 0.001
    assert ((five[1:] - 100).abs() < 5 * (400 * 0.25 * 0.75) ** 0.5).all()


@st.composite
def tied(draw: st.DrawFn) -> tuple[list[list[float]], Query, int, int]:
    """Integer scores with many ties, perhaps exclusions, perhaps candidates; k up to beyond the catalogue."""
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    scores = draw(_table(st.integers(0, 2), n_users, n_items))
    lists = [draw(st.none() | _table(st.integers(0, n_items), n_users, width)) for width in (3, 6)]
    return scores, query(n_users, exclude=lists[0], candidates=lists[1]), draw(st.integers(1, 15)), draw(st.integers(0, 99))


def _table(values: st.SearchStrategy[int], height: int, width: int) -> st.SearchStrategy[list[list[int]]]:
    row = st.lists(values, min_size=width, max_size=width)
    return st.lists(row, min_size=height, max_size=height)


def brute_force(scores: list[float], order: list[int], exclude: list[int] | None, candidates: list[int] | None, k: int) -> list[int]:
    """All that may be ranked, by falling score and then by place in the permutation."""
    left = [i for i in range(1, len(scores) + 1) if i not in (exclude or []) and (candidates is None or i in candidates)]
    best = sorted(left, key=lambda item: (-scores[item - 1], order.index(item)))[:k]
    return best + [PAD] * (k - len(best))


@settings(max_examples=50, deadline=None)
@given(tied())
def test_equal_to_a_stable_sort(case: tuple[list[list[float]], Query, int, int]) -> None:
    scores, asked, k, seed = case
    topk = TopK(Scores(scores), seed=seed)
    found = topk.recommend(asked, k)
    for user, row in enumerate(scores):
        exclude, candidates = (None if items is None else items[user].tolist() for items in (asked.exclude, asked.candidates))
        expected = brute_force(row, topk.order.tolist(), exclude, candidates, k)
        assert found.items[user].tolist() == expected
        assert found.scores[user].tolist() == [-torch.inf if item == PAD else row[item - 1] for item in expected]


@settings(max_examples=30, deadline=None)
@given(tied(), st.integers(1, 4))
def test_independent_of_the_batch_split(case: tuple[list[list[float]], Query, int, int], size: int) -> None:
    scores, asked, k, seed = case
    topk = TopK(Scores(scores), seed=seed)
    split = [topk.recommend(rows(asked, slice(n, n + size)), k) for n in range(0, len(scores), size)]
    assert equal(joined(split), topk.recommend(asked, k))


def test_the_query_is_not_changed() -> None:
    model = Scores([[5, 9, 7]])
    asked = query(1, exclude=[[2]])
    TopK(model).recommend(asked, 3)
    assert asked.exclude.tolist() == [[2]]
    assert model.of.tolist() == [[5, 9, 7]]


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k={k} must be at least 1"):
        TopK(Scores([[1, 2]])).recommend(query(1), k)


def test_nan_is_refused() -> None:
    with pytest.raises(FloatingPointError, match="NaN scores; its training has diverged"):
        TopK(Scores([[1, 2], [1, float("nan")]])).recommend(query(2), 1)


def test_padding_is_never_recommended_even_where_a_model_likes_it_best() -> None:
    class Wrong(Scores):
        def table(self) -> tuple[torch.Tensor, torch.Tensor]:
            vectors, bias = super().table()
            return vectors, bias.index_fill(0, torch.tensor(PAD), 99.0)

    assert TopK(Wrong([[1, 2]])).recommend(query(1), 3).items.tolist() == [[2, 1, PAD]]


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    topk = TopK(Scores(torch.randint(0, 3, (4, 40), generator=torch.Generator().manual_seed(0)).tolist()))
    longest = topk.recommend(query(4), 40).items
    assert all(torch.equal(topk.recommend(query(4), k).items, longest[:, :k]) for k in range(1, 40))


def test_the_permutation_is_a_function_of_the_seed_and_draws_from_nobody_elses_generator() -> None:
    model = Scores([[0] * 30])
    before = torch.get_rng_state()
    one, same, other = (TopK(model, seed=seed).recommend(query(1), 30).items for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


class Rounds:
    """Round r scores items exactly ``of[r]``, for every user, and counts how many rounds were asked for."""

    def __init__(self, of: list[list[float]], per_round: int):
        self.of, self.per_round, self.n_rounds, self.asked = Scores(of), per_round, len(of), 0

    def rounds(self, history: History) -> Iterator[torch.Tensor]:
        for number in range(self.n_rounds):
            self.asked += 1
            yield torch.eye(self.n_rounds)[number].expand(len(history.user), -1)

    def state(self, history: History) -> torch.Tensor:
        return next(self.rounds(history))

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.of.table()


#              item  1  2  3  4  5  6  7  8
IN_ROUNDS = [
    [8, 7, 6, 5, 4, 3, 2, 1],
    [1, 9, 2, 3, 8, 7, 4, 5],
    [1, 2, 3, 4, 5, 6, 7, 8],
]


def test_rounds_by_hand() -> None:
    """1 2 of the first; of the second 2 is there already, so 5 6; of the third 8 7."""
    found = TopK(Rounds(IN_ROUNDS, 2)).recommend(query(2), 6)
    assert found.items.tolist() == [[1, 2, 5, 6, 8, 7]] * 2
    assert found.scores.tolist() == [[8, 7, 8, 7, 8, 7]] * 2


@pytest.mark.parametrize(("k", "items", "asked"), [(1, [1], 1), (2, [1, 2], 1), (3, [1, 2, 5], 2), (5, [1, 2, 5, 6, 8], 3)])
def test_a_short_list_takes_no_more_rounds_than_it_needs(k: int, items: list[int], asked: int) -> None:
    model = Rounds(IN_ROUNDS, 2)
    assert TopK(model).recommend(query(1), k).items.tolist() == [items]
    assert model.asked == asked


def test_places_after_the_last_round_are_filled_with_its_next_best() -> None:
    """4 and 3 follow 8 7; then there is nothing left."""
    found = TopK(Rounds(IN_ROUNDS, 2)).recommend(query(1), 10)
    assert found.items.tolist() == [[1, 2, 5, 6, 8, 7, 4, 3, PAD, PAD]]


def test_no_round_lists_what_is_excluded_or_no_candidate() -> None:
    """Without 1, 5 and 8: 2 3, then 6 7, then 4. Of the candidates 6 3 4 only: 3 4, then 6."""
    topk = TopK(Rounds(IN_ROUNDS, 2))
    assert topk.recommend(query(1, exclude=[[1, 5, 8]]), 6).items.tolist() == [[2, 3, 6, 7, 4, PAD]]
    assert topk.recommend(query(1, candidates=[[6, 3, 4, 0]]), 4).items.tolist() == [[3, 4, 6, PAD]]


def test_scores_of_a_model_in_rounds_are_the_firsts() -> None:
    assert TopK(Rounds(IN_ROUNDS, 2)).scores(query(1), torch.tensor([[1, 8]])).tolist() == [[8, 1]]


def test_one_round_is_an_ordinary_list() -> None:
    one, ordinary = TopK(Rounds(IN_ROUNDS[:1], 3)), TopK(Scores(IN_ROUNDS[:1]))
    assert all(equal(one.recommend(query(1), k), ordinary.recommend(query(1), k)) for k in range(1, 10))


def test_nan_in_a_later_round_is_refused() -> None:
    class Diverged(Rounds):
        def rounds(self, history: History) -> Iterator[torch.Tensor]:
            first, *others = super().rounds(history)
            yield first
            yield from (other * float("nan") for other in others)

    topk = TopK(Diverged(IN_ROUNDS, 2))
    assert topk.recommend(query(1), 2).items.tolist() == [[1, 2]]
    with pytest.raises(FloatingPointError, match="NaN scores"):
        topk.recommend(query(1), 3)


@pytest.mark.parametrize("columns", [640, 641, 671, 700])
@pytest.mark.parametrize("distinct", [3, 50, 10**6])
def test_blocks_find_what_topk_finds(monkeypatch: pytest.MonkeyPatch, columns: int, distinct: int) -> None:
    """In wide rows with few or many equal values, some of them -inf, and columns left over after the last block."""
    monkeypatch.setattr(topk, "WIDE", 1)
    rng = torch.Generator().manual_seed(columns + distinct)
    scores = torch.randint(0, distinct, (40, columns), generator=rng).float()
    scores[torch.rand(scores.shape, generator=rng) < 0.1] = -torch.inf
    scores[0, :-3] = -torch.inf
    values, found = topk.largest(scores, 11)
    assert torch.equal(values, scores.topk(11).values)
    assert torch.equal(scores.gather(1, found), values)
    assert all(len(set(row)) == 11 for row in found.tolist())


def test_a_nan_is_the_largest_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topk, "WIDE", 1)
    scores = torch.zeros(2, 700)
    scores[1, 333] = torch.nan
    assert topk.largest(scores, 5)[0].isnan().any(1).tolist() == [False, True]


def test_wide_rows_in_little_memory_are_ranked_as_narrow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, rows a few at a time in one and the same room, and many ties: the same lists."""
    scores = torch.randint(0, 400, (9, 900), generator=torch.Generator().manual_seed(0)).float().tolist()
    asked = query(9, exclude=[[u, 5, 0] for u in range(1, 10)])
    expected = TopK(Scores(scores)).recommend(asked, 7)
    monkeypatch.setattr(topk, "WIDE", 1)
    monkeypatch.setattr(topk, "HELD", 2000)
    wide = TopK(Scores(scores))
    found = wide.recommend(asked, 7)
    assert equal(found, expected)
    assert wide.held is not None
    assert wide.held.numel() == 2 * 901
    assert equal(wide.recommend(asked, 7), expected)


def test_what_nobody_gets_is_left_out_of_every_list() -> None:
    """Beside what each user excludes, and among candidates."""
    asked = query(2, exclude=[[0, 2], [0, 0]])._replace(never=torch.tensor([1]))
    assert TopK(Scores([[5, 9, 7], [3, 2, 1]])).recommend(asked, 2).items.tolist() == [[3, PAD], [2, 3]]
    among = query(1, candidates=[[1, 2]])._replace(never=torch.tensor([2, 3]))
    assert TopK(Scores([[5, 9, 7]])).recommend(among, 2).items.tolist() == [[1, PAD]]
    assert TopK(Rounds(IN_ROUNDS, 2)).recommend(query(1)._replace(never=torch.tensor([1, 5, 8])), 3).items.tolist() == [[2, 3, 6]]


def test_rounds_a_few_users_at_a_time_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each excludes and may get goes with him, and the room for scores is that of the few."""
    asked = query(5, exclude=[[u, u + 1] for u in range(1, 6)], candidates=[[u % 8 + 1, 3, 4, 5, 6, 7] for u in range(1, 6)])
    timed = asked._replace(history=asked.history._replace(time=torch.arange(5)[:, None], preference=list("abcde")))
    expected = TopK(Rounds(IN_ROUNDS, 2)).recommend(timed, 6)
    monkeypatch.setattr(topk, "HELD", 18)
    few = TopK(Rounds(IN_ROUNDS, 2))
    assert equal(few.recommend(timed, 6), expected)
    assert few.held is not None
    assert few.held.numel() == 2 * 9
    assert few.recommend(query(0), 2).items.shape == (0, 2)


def test_item_vectors_of_a_model_that_stands_still_are_made_once() -> None:
    class Made(Scores):
        count = 0

        def table(self) -> tuple[torch.Tensor, torch.Tensor]:
            self.count += 1
            return super().table()

    still, learning = Made([[5, 9, 7]]), Made([[5, 9, 7]])
    one, other = TopK(still, still=True), TopK(learning)
    for asked in range(3):
        assert equal(one.recommend(query(1), 2), other.recommend(query(1), 2)), asked
        learning.of, still.of = (torch.tensor([[5.0, 9, 7]]) for _ in range(2))
    learning.of = torch.tensor([[9.0, 5, 7]])
    assert other.recommend(query(1), 1).items.tolist() == [[1]]  # who may learn is asked every time
    assert still.count == 2  # by the constructor, and once
    assert learning.count == 5


def test_nobody_gets_an_empty_list() -> None:
    assert TopK(Scores([[5, 9, 7]])).recommend(query(0), 2).items.shape == (0, 2)
