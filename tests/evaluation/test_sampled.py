"""Sampled candidates: by hand, then chance and perfection, then the distribution of the negatives, then what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from recpref import components
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Evaluation
from recpref.evaluation.sampled import SampledCandidates, sampled_report
from recpref.retrieval.topk import TopK
from recpref.types import History, Query, Ranking

V, U = 300, 300


class Fixed:
    """Scores that depend on the item only, or a perfect or random model of the user."""

    def __init__(self, bias: torch.Tensor):
        self.bias = bias.clone()
        self.bias[0] = -torch.inf

    def state(self, history: History) -> torch.Tensor:
        return torch.zeros(len(history.items), 1)

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(self.bias), 1), self.bias


class Oracle(Fixed):
    """A user's test item is the user's vector."""

    def __init__(self, split: Split):
        super().__init__(torch.zeros(V + 1))
        self.answer = torch.zeros(split.train.n_users + 1, V + 1)
        self.answer[split.test.targets.user, split.test.targets.item] = 1

    def state(self, history: History) -> torch.Tensor:
        return self.answer[history.user]

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.eye(V + 1), self.bias


@pytest.fixture(scope="module")
def split() -> Split:
    """Every user has 12 different items; small numbers are popular."""
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, V + 1)
    rows = [(u, int(i), n) for u in range(U) for n, i in enumerate(rng.choice(V, 12, replace=False, p=weight / weight.sum()))]
    rows += [(U, i, i) for i in range(V - 150)]  # one user has seen half of everything, the popular half
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    every = pd.DataFrame({"u": [0] * V, "i": range(V), "t": range(V)})
    assert data.n_items <= len(every)
    return components.find("split", "leave_one_out")()(data)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")}, ks=(1, 10))


def sampler(split: Split, **options: object) -> SampledCandidates:
    return SampledCandidates(TopK(Fixed(torch.zeros(split.train.n_items + 1))), split.test, item_counts=split.train.item_counts, **options)


def test_by_hand() -> None:
    # five items; user 0 has seen 1 and 2, the target is 3: only 4 and 5 are left, whatever the draw
    frame = pd.DataFrame({"u": [0, 0, 0, 1, 1, 1], "i": [1, 2, 3, 4, 5, 1], "t": range(6)})
    small = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    heldout = components.find("split", "leave_one_out")()(small).test
    asked = Query(History(torch.tensor([[1, 2]]), torch.tensor([1])), exclude=torch.tensor([[1, 2]]))
    for scores, place in (([9, 9, 3, 2, 1], 0), ([9, 9, 2, 3, 1], 1), ([9, 9, 1, 2, 3], 2)):
        topk = TopK(Fixed(torch.tensor([0.0, *scores])))
        sampled = SampledCandidates(topk, heldout, item_counts=np.ones(6), n_negatives=2)
        assert sorted(sampled.candidates(torch.tensor([1]))[0].tolist()) == [3, 4, 5]
        ranking: Ranking = sampled.recommend(asked, 5)
        assert ranking.items[0].tolist().index(3) == place
        assert ranking.items[0, 3:].tolist() == [0, 0]


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_negatives_are_new_distinct_and_a_function_of_seed_and_user(split: Split, by: str) -> None:
    users = torch.from_numpy(split.test.users)
    candidates = sampler(split, by=by).candidates(users)
    assert candidates.shape == (len(users), 101)
    for user, row in zip(users.tolist(), candidates, strict=True):
        negatives = row[1:].tolist()
        held = set(split.test.history.item[split.test.history.user == user]) | set(split.test.targets.item[split.test.targets.user == user])
        assert 0 not in negatives
        assert len(set(negatives)) == 100
        assert not held & set(negatives)
    alone = torch.cat([sampler(split, by=by).candidates(users[n : n + 1]) for n in range(0, len(users), 100)])
    assert torch.equal(alone, candidates[::100])
    assert not torch.equal(sampler(split, by=by, seed=1).candidates(users), candidates)


def test_a_constant_and_a_random_scorer_are_at_chance(split: Split, evaluation: Evaluation) -> None:
    n_items, counts = split.train.n_items, split.train.item_counts
    rng = torch.Generator().manual_seed(0)
    for scores in (torch.zeros(n_items + 1), None):
        hits = []
        for seed in range(4):
            model = Fixed(torch.rand(n_items + 1, generator=rng) if scores is None else scores)
            report = sampled_report(TopK(model, seed=seed), split.test, evaluation, item_counts=counts, seed=seed)
            hits.append(report.means["sampled-uniform-100/hr@10"])
        # popular targets and a few draws: 10 / 101 = .099 within a few hundredths
        assert np.mean(hits) == pytest.approx(10 / 101, abs=0.03)


def test_a_user_dependent_random_scorer_is_at_chance(split: Split, evaluation: Evaluation) -> None:
    class Noise(Fixed):
        def state(self, history: History) -> torch.Tensor:
            return torch.stack([torch.randn(32, generator=torch.Generator().manual_seed(int(u))) for u in history.user])

        def table(self) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.randn(len(self.bias), 32, generator=torch.Generator().manual_seed(1)), self.bias

    topk = TopK(Noise(torch.zeros(split.train.n_items + 1)))
    means = [
        sampled_report(topk, split.test, evaluation, item_counts=split.train.item_counts, seed=seed).means["sampled-uniform-100/hr@10"]
        for seed in range(3)
    ]
    assert np.mean(means) == pytest.approx(10 / 101, abs=0.04)  # about 300 users thrice: standard error .01


def test_a_perfect_scorer_gets_everything(split: Split, evaluation: Evaluation) -> None:
    oracle = Oracle(split)
    oracle.bias = oracle.bias[: split.train.n_items + 1]
    oracle.table = lambda: (torch.eye(V + 1)[: split.train.n_items + 1], oracle.bias)  # type: ignore[method-assign]
    report = sampled_report(TopK(oracle), split.test, evaluation, item_counts=split.train.item_counts, by="popularity")
    assert report.means == {f"sampled-popularity-100/{name}@{k}": 1.0 for name in ("hr", "ndcg") for k in (1, 10)}


def test_no_plain_name_comes_out(split: Split, evaluation: Evaluation) -> None:
    topk = TopK(Fixed(torch.zeros(split.train.n_items + 1)))
    columns = sampled_report(topk, split.test, evaluation, item_counts=split.train.item_counts, n_negatives=50).per_user.columns
    assert columns[0] == "user"
    assert all(column.startswith("sampled-uniform-50/") for column in columns[1:])


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_the_first_negative_follows_the_weights(by: str) -> None:
    """Chi-square at .001, for 20,000 users with the same history: items 1 and 2 are taken, item 8 has no training row."""
    counts = np.array([0, 50, 9, 40, 30, 20, 10, 5, 0])
    free = np.array([3, 4, 5, 6, 7] + [8] * (by == "uniform"))
    frame = pd.DataFrame({"u": [1, 1, 2, 2, 2, 2, 2, 2], "i": [1, 2, 3, 4, 5, 6, 7, 8]})
    data = Interactions.from_dataframe(frame, user="u", item="i")
    heldout = components.find("split", "leave_one_out")()(data).test
    sampled = SampledCandidates(TopK(Fixed(torch.zeros(9))), heldout, item_counts=counts, n_negatives=2, by=by)
    negatives = sampled.negatives(torch.arange(1, 20_001), torch.tensor([[1, 2]]).repeat(20_000, 1))
    weight = counts[free] if by == "popularity" else np.ones(len(free))
    seen = np.bincount(negatives[:, 0], minlength=9)
    assert seen.sum() == seen[free].sum()
    assert stats.chisquare(seen[free], weight / weight.sum() * 20_000).pvalue > 0.001
    # without replacement, the second follows what the first has left: p(b) = sum over a of p(a) w(b) / (W - w(a))
    second = np.array([sum(a * b / (weight.sum() - a) for n, a in enumerate(weight) if n != m) for m, b in enumerate(weight)])
    seen = np.bincount(negatives[:, 1], minlength=9)[free]
    assert stats.chisquare(seen, second / second.sum() * 20_000).pvalue > 0.001


def test_who_has_seen_nearly_all_of_it_draws_from_the_rest_alike() -> None:
    """99.9 % of the weight is forbidden, so that the first draws give nothing and the exhaustive one must follow the weights."""
    counts = np.array([0, 100_000, 40, 30, 20, 10])
    frame = pd.DataFrame({"u": [1, 1, 1, 2, 2, 2], "i": [1, 2, 3, 1, 4, 5]})
    heldout = components.find("split", "leave_one_out")()(Interactions.from_dataframe(frame, user="u", item="i")).test
    sampled = SampledCandidates(TopK(Fixed(torch.zeros(6))), heldout, item_counts=counts, n_negatives=1, by="popularity")
    negatives = sampled.negatives(torch.arange(1, 2001), torch.ones(2000, 1, dtype=torch.long))
    seen = np.bincount(negatives[:, 0], minlength=6)
    assert stats.chisquare(seen[2:], counts[2:] / 100 * 2000).pvalue > 0.001
    assert seen[:2].sum() == 0


@pytest.mark.usefixtures("unchecked")
def test_what_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="n_negatives=0"):
        sampler(split, n_negatives=0)
    with pytest.raises(ValueError, match="by='fame'"):
        SampledCandidates(TopK(Fixed(torch.zeros(3))), split.test, item_counts=np.ones(3), by="fame")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"n_negatives=290, but only \d+ items can be drawn that are new to user"):
        sampler(split, n_negatives=290).candidates(torch.from_numpy(split.test.users))
