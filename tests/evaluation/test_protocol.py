"""Evaluation: values by hand, then what must not matter, then what is refused."""

from __future__ import annotations

import math
from time import sleep

import numpy as np
import pandas as pd
import pytest
import torch

from recpref import components
from recpref.data.heldout import Heldout
from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Evaluation, Report, moved
from recpref.evaluation.sampled import SampledCandidates
from recpref.models.popular import Popular
from recpref.models.sasrec import SASRec
from recpref.retrieval.topk import TopK
from recpref.types import PAD, History, Query, Ranking

HELD = 1000  # rows from this time on are held out


class Scores:
    """Item i scores ``of[i - 1]`` with everybody, or what ``personal`` [U, V] says in place of it."""

    def __init__(self, of: list[float], personal: torch.Tensor | None = None):
        self.personal = torch.tensor([of]) if personal is None else personal

    def state(self, history: History) -> torch.Tensor:
        rows = torch.zeros_like(history.user) if len(self.personal) == 1 else history.user - 1
        return torch.eye(len(self.personal))[rows]

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        items = torch.cat([torch.zeros(len(self.personal), 1), self.personal.float()], 1)
        return items.T, torch.zeros(items.shape[1]).index_fill(0, torch.tensor(PAD), -torch.inf)


def frame_of(histories: dict[object, tuple[list[int], list[int]]]) -> pd.DataFrame:
    """A row an interaction: what is known of each user, then what is held out."""
    rows = [(u, i, n) for u, (known, _) in histories.items() for n, i in enumerate(known)]
    rows += [(u, i, HELD + n) for u, (_, held) in histories.items() for n, i in enumerate(held)]
    return pd.DataFrame(rows, columns=["u", "i", "t"])


def heldout_of(frame: pd.DataFrame) -> Heldout:
    data = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    return Heldout(data.where(data.time < HELD), data.where(data.time >= HELD))


def evaluation(*names: str, **options: object) -> Evaluation:
    return Evaluation({name: components.find("metric", name) for name in names}, **options)


def random_frame(seed: int = 0, n_users: int = 40, n_items: int = 25) -> pd.DataFrame:
    """Every user knows 1 to 8 items and has 1 to 3 others held out."""
    rng = np.random.default_rng(seed)
    histories = {}
    for user in range(n_users):
        items = (rng.permutation(n_items) + 1).tolist()
        n = int(rng.integers(1, 9))
        histories[f"u{user:02}"] = (items[:n], items[n : n + int(rng.integers(1, 4))])
    return frame_of(histories)


def assert_same(left: Report, right: Report) -> None:
    pd.testing.assert_frame_equal(left.per_user, right.per_user, check_exact=True)


@pytest.fixture
def three() -> Heldout:
    """Items 1 to 5. By length of history the users come as m, x, a; by number as a, m, x."""
    return heldout_of(frame_of({"x": ([1, 2], [3]), "a": ([1, 2, 5], [4]), "m": ([5], [1])}))


DESCENDING = Scores([5.0, 4.0, 3.0, 2.0, 1.0])  # everybody gets 1 2 3 4 5


def test_by_hand(three: Heldout) -> None:
    """Without what is known a gets 3 4 (4 is second), m gets 1 2 3 4 (1 is first), x gets 3 4 5 (3 is first)."""
    report = evaluation("hr", "ndcg", "mrr", ks=(1, 2))(TopK(DESCENDING), three)
    assert report.per_user["user"].tolist() == ["a", "m", "x"]
    assert report.per_user["hr@1"].tolist() == [0, 1, 1]
    assert report.per_user["hr@2"].tolist() == [1, 1, 1]
    assert report.per_user["mrr@2"].tolist() == [0.5, 1, 1]
    assert report.per_user["ndcg@2"].tolist() == pytest.approx([1 / math.log2(3), 1, 1], abs=1e-15)
    assert report.means == pytest.approx(
        {"hr@1": 2 / 3, "hr@2": 1, "ndcg@1": 2 / 3, "ndcg@2": (2 + 1 / math.log2(3)) / 3, "mrr@1": 2 / 3, "mrr@2": 2.5 / 3}, abs=1e-15
    )


def test_with_seen_items_ranked_too(three: Heldout) -> None:
    """Everybody gets 1 2 3 4 5: a finds 4 at rank 4, m finds 1 at rank 1, x finds 3 at rank 3."""
    report = evaluation("mrr", ks=(5,), filter_seen=False)(TopK(DESCENDING), three)
    assert report.per_user["mrr@5"].tolist() == [1 / 4, 1, 1 / 3]


def test_what_is_asked_holds_the_history_and_nothing_held_out(three: Heldout) -> None:
    asked = list(evaluation("hr", batch_size=1).questions(three))
    assert [question.query.history.items.tolist() for question in asked] == [[[5]], [[1, 2]], [[1, 2, 5]]]
    assert [question.query.exclude.tolist() for question in asked] == [[[5]], [[1, 2]], [[1, 2, 5]]]
    assert [question.targets.tolist() for question in asked] == [[[1]], [[3]], [[4]]]
    unfiltered = evaluation("hr", filter_seen=False).questions(three)
    assert all(question.query.exclude is None for question in unfiltered)


@pytest.mark.parametrize("wanted", [True, False])
def test_times_are_asked_with_where_they_are_wanted(wanted: bool) -> None:
    """The model says so; sampled candidates pass it on; a table of rankings has no such wish."""
    frame = frame_of({"a": ([1, 2], [3]), "b": ([1], [4])})
    frame["t"] += 10**9 - HELD
    data = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    heldout = Heldout(data.where(data.time < 10**9), data.where(data.time >= 10**9))
    seen = []

    class Model(Scores):
        needs_time = wanted

        def state(self, history: History) -> torch.Tensor:
            seen.append(history.time)
            return super().state(history)

    ranker = TopK(Model([4, 3, 2, 1]))
    sampled = SampledCandidates(ranker, heldout, item_counts=np.ones(5), n_negatives=1)
    for recommender in (ranker, sampled):
        evaluation("hr")(recommender, heldout)
    assert len(seen) == 2
    for time in seen:
        if wanted:
            assert time.tolist() == [[0, 10**9 - HELD], [10**9 - HELD, 10**9 - HELD + 1]]
        else:
            assert time is None


def test_several_targets_and_users_with_fewer() -> None:
    """User 1 gets 2 3 4 5 with 3 and 5 held out: recall@2 = 1/2, recall@4 = 1. User 2 gets 1 3 4 5, and only 1 is held out."""
    heldout = heldout_of(frame_of({1: ([1], [3, 5]), 2: ([2], [1]), 3: ([4], [])}))
    report = evaluation("recall", "precision", "map", ks=(2, 4))(TopK(DESCENDING), heldout)
    assert report.per_user["recall@2"].tolist() == [1 / 2, 1]
    assert report.per_user["recall@4"].tolist() == [1, 1]
    assert report.per_user["precision@4"].tolist() == [2 / 4, 1 / 4]
    assert report.per_user["map@4"].tolist() == [(1 / 2 + 2 / 4) / 2, 1]


def test_an_item_held_out_twice_is_one_relevant_item() -> None:
    """The list 2 ... puts the only thing to find first: that is perfect, as in trec_eval, whose judgements are a set."""
    heldout = heldout_of(frame_of({1: ([1], [2, 2]), 2: ([1, 3, 4, 5], [2])}))
    means = evaluation("recall", "ndcg", "map", ks=(5,))(TopK(DESCENDING), heldout).means
    assert means == {"recall@5": 1, "ndcg@5": 1, "map@5": 1}


def test_more_places_than_items() -> None:
    """User 1 gets 2 3 4 5 and nothing else; empty places are no hits, though user 2's shorter list of targets is padded."""
    heldout = heldout_of(frame_of({1: ([1], [5, 2]), 2: ([1, 2, 3, 4], [5])}))
    report = evaluation("recall", "precision", "hr", ks=(1, 100))(TopK(DESCENDING), heldout)
    assert report.per_user["recall@100"].tolist() == [1, 1]
    assert report.per_user["precision@100"].tolist() == [2 / 100, 1 / 100]
    assert report.per_user["hr@1"].tolist() == [1, 1]


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    """With scores that have many ties, and with a network's."""
    heldout = heldout_of(random_frame())
    personal = torch.randint(0, 4, (40, 25), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    network = SASRec(heldout.history.n_items, d_model=8, n_layers=1, max_len=10).eval()
    for model in (Scores([], personal), network):
        whole, split = (evaluation("ndcg", "map", ks=(1, 5, 20), batch_size=size)(TopK(model), heldout) for size in (256, batch_size))
        assert_same(whole, split)


def test_the_order_and_the_names_of_users_do_not_matter() -> None:
    """Rows come user by user in another order, and then users are called otherwise so that their numbers are reversed."""
    frame, model = random_frame(), TopK(Scores(torch.randint(0, 4, (25,), generator=torch.Generator().manual_seed(0)).float().tolist()))
    measure = evaluation("ndcg", "recall", ks=(1, 5), batch_size=7)
    expected = measure(model, heldout_of(frame))
    assert_same(measure(model, heldout_of(frame.sort_values(["u", "t"], ascending=[False, True]))), expected)
    names = {user: f"v{99 - number}" for number, user in enumerate(sorted(frame["u"].unique()))}
    renamed = measure(model, heldout_of(frame.assign(u=frame["u"].map(names)))).per_user
    back = renamed.assign(user=renamed["user"].map({new: old for old, new in names.items()})).sort_values("user", ignore_index=True)
    pd.testing.assert_frame_equal(back, expected.per_user, check_exact=True)


def test_equal_to_a_loop_over_users() -> None:
    """Ranks every catalogue by a plain sort; distinct scores, so that no tie is to be broken."""
    heldout = heldout_of(random_frame(seed=1))
    personal = torch.rand(40, 25, generator=torch.Generator().manual_seed(1)).argsort(1)
    report = evaluation("recall", "mrr", ks=(3,))(TopK(Scores([], personal)), heldout).per_user
    for number in heldout.users.tolist():
        known, held = (part.item[part.user == number].tolist() for part in heldout)
        ranked = sorted((i for i in range(1, 26) if i not in known), key=lambda i: -personal[number - 1, i - 1])[:3]
        ranks = [rank for rank, item in enumerate(ranked, 1) if item in held]
        assert report["user"][number - 1] == f"u{number - 1:02}"
        assert report["recall@3"][number - 1] == pytest.approx(len(ranks) / len(held), abs=1e-15)
        assert report["mrr@3"][number - 1] == (1 / ranks[0] if ranks else 0)


def test_the_recommenders_seconds_are_kept() -> None:
    """What a recommender takes for its lists, and nothing else; the values do not depend on it."""

    class Slow:
        def recommend(self, query: Query, k: int) -> Ranking:
            sleep(0.02)
            return Ranking(torch.zeros(len(query.history.items), k, dtype=torch.long), torch.zeros(len(query.history.items), k))

    heldout = heldout_of(random_frame())
    report = evaluation("hr", batch_size=10)(Slow(), heldout)
    assert 0.08 <= report.seconds < 5  # four batches of ten users


def test_only_users_with_something_held_out_are_asked() -> None:
    report = evaluation("hr", ks=(1,))(TopK(DESCENDING), heldout_of(frame_of({7: ([1], []), 8: ([1], [2]), 9: ([3, 4, 5], [])})))
    assert report.per_user.to_dict("list") == {"user": [8], "hr@1": [1.0]}


def test_popular_counts_training_rows_only() -> None:
    """Item 3 has one training row and item 2 two; with held-out rows counted, item 3 would come first with four."""
    frame = frame_of({1: ([1, 2], [3]), 2: ([1, 2], [3]), 3: ([1, 3], [2]), 4: ([1], [3])})
    heldout = heldout_of(frame)
    popular = Popular(heldout.history.n_items)
    popular.fit(heldout.history)
    assert popular.counts.tolist() == [0, 4, 2, 1]
    report = evaluation("mrr", ks=(3,))(TopK(popular), heldout)
    assert report.per_user["mrr@3"].tolist() == [1, 1, 1, 1 / 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": ()}, r"evaluation\.ks=\[\] must be cut-offs of at least 1"),
        ({"ks": (10, 0)}, r"evaluation\.ks=\[10, 0\] must be cut-offs of at least 1"),
        ({"batch_size": 0}, r"evaluation\.batch_size=0 must be at least 1"),
        ({"n_negatives": 0}, r"evaluation\.n_negatives=0 must be at least 1"),
    ],
)
def test_options_that_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluation("hr", **options)


def test_nothing_held_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing is held out to evaluate on: .*0 interactions"):
        evaluation("hr")(TopK(DESCENDING), heldout_of(frame_of({1: ([1, 2], [])})))


def test_a_query_moves_whole() -> None:
    ids = torch.ones(1, 2, dtype=torch.long)
    there = moved(Query(History(ids, ids[0, :1], time=ids), exclude=ids, candidates=ids), "meta")
    parts = (there.history.items, there.history.user, there.history.time, there.exclude, there.candidates)
    assert {part.device.type for part in parts} == {"meta"}
