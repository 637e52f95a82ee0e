"""Aspects: groups of users and targets by hand, and how they come with a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref import components
from recpref.data.heldout import Heldout
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.aspects import aspects, by_history
from recpref.evaluation.protocol import Evaluation, Report
from recpref.facts import Facts
from recpref.models.popular import Popular
from recpref.retrieval.topk import TopK


def evaluation(**options: object) -> Evaluation:
    return Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")}, **options)


def heldout_of(histories: list[list[int]], targets: list[list[int]]) -> Heldout:
    """Users 1, 2, ...; the items of both are numbered by their ids."""
    rows = [(u, i, n) for u, items in enumerate(histories) for n, i in enumerate(items)]
    rows += [(u, i, 1000 + n) for u, items in enumerate(targets) for n, i in enumerate(items)]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    return Heldout(data.where(data.time < 1000), data.where(data.time >= 1000))


def report(heldout: Heldout, lists: list[list[int]], hits: list[float]) -> Report:
    """Lists as given, and hit rates at 1."""
    return Report(pd.DataFrame({"user": heldout.users, "hr@1": hits}), torch.tensor(lists, dtype=torch.int))


def test_quarters_of_users_by_hand() -> None:
    """Lengths 1 2 3 4: a user each; of lengths 1 1 1 3 the first three are in the first quarter, and nobody in the others but one."""
    one = evaluation(ks=(1,), beyond=())
    four = heldout_of([[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]], [[5]] * 4)
    found = by_history(report(four, [[1]] * 4, [0, 1, 0, 1]), four, Facts(four.history), one)
    assert found == {f"history-q{q}/{key}": value for q, hit in enumerate([0, 1, 0, 1], 1) for key, value in (("users", 1), ("hr@1", hit))}
    tied = heldout_of([[1], [2], [3], [1, 2, 3]], [[4]] * 4)
    found = by_history(report(tied, [[1]] * 4, [0, 1, 1, 0]), tied, Facts(tied.history), one)
    assert found == {"history-q1/users": 3, "history-q1/hr@1": pytest.approx(2 / 3), "history-q4/users": 1, "history-q4/hr@1": 0}


@pytest.mark.parametrize(("ks", "k"), [((5, 10, 20), 10), ((20, 5, 11), 5), ((50, 20), 20)])
def test_groups_are_measured_at_ten_or_the_largest_below(ks: tuple[int, ...], k: int) -> None:
    """Where no cut-off is as small as ten, at the smallest."""
    heldout = heldout_of([[1], [1, 2]], [[3], [3]])
    frame = pd.DataFrame({"user": heldout.users, **{f"hr@{cut}": [0.0, 1.0] for cut in ks}})
    given = Report(frame, torch.tensor([[2, 1], [3, 1]], dtype=torch.int))
    found = aspects(given, heldout, heldout.history, evaluation(ks=ks, beyond=()))
    assert {key.partition("@")[2] for key in found if "@" in key} == {str(k)}
    assert (found[f"history-q1/hr@{k}"], found[f"history-q4/hr@{k}"]) == (0, 1)


def test_what_the_lists_of_a_quarter_are_like() -> None:
    """Each quarter by itself: of four items the first three users get 1, 2 and 3, the last gets 4 4: coverage 3/5 and 1/5."""
    heldout = heldout_of([[1], [2], [3], [1, 2, 3]], [[4], [4], [4], [5]])
    lists = [[1, 2], [2, 3], [3, 1], [4, 0]]
    found = by_history(
        report(heldout, lists, [0] * 4), heldout, Facts(heldout.history), evaluation(ks=(2,), beyond=("coverage", "novelty"))
    )
    assert (found["history-q1/coverage@2"], found["history-q4/coverage@2"]) == (pytest.approx(3 / 5), pytest.approx(1 / 5))
    assert found["history-q1/novelty@2"] < found["history-q4/novelty@2"]  # nobody has item 4


def test_targets_by_popularity_by_hand() -> None:
    """Of 10 training rows item 1 has 7 (head), 2 has 1 (mid), 3 and 4 have 1 each (tail).

    The first user's targets are 1 and 4 and the list 4 1: both found. The second wants 2 and gets 3.
    """
    histories = [[2], [1], *[[1]] * 6, [3], [4]]
    heldout = heldout_of(histories, [[1, 4], [2]])
    lists = torch.tensor([[4, 1], [3, 4]], dtype=torch.int)
    frame = pd.DataFrame({"user": [0, 1], "hr@2": [1.0, 0.0], "ndcg@2": [1.0, 0.0]})
    found = aspects(Report(frame, lists), heldout, heldout.history, evaluation(ks=(2,)))
    assert found["target-head/users"] == found["target-mid/users"] == found["target-tail/users"] == 1
    assert found["target-head/hr@2"] == 1
    assert found["target-head/ndcg@2"] == pytest.approx(1 / np.log2(3))  # the only head target is second
    assert found["target-tail/ndcg@2"] == 1
    assert found["target-mid/hr@2"] == 0


def random_data() -> Interactions:
    rng = np.random.default_rng(0)
    rows = [(u, i, n) for u in range(60) for n, i in enumerate(1 + rng.permutation(30)[: rng.integers(4, 15)])]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def test_groups_add_up_to_the_whole() -> None:
    """With one target each, the groups' means weighted by their users are the mean of all."""
    split = LeaveOneOut()(random_data())
    model = Popular(30)
    model.fit(split.train)
    found = evaluation(ks=(5, 10, 20))(TopK(model), split.test)
    measured = aspects(found, split.test, split.train, evaluation(ks=(5, 10, 20)))
    for groups in (["history-q1", "history-q2", "history-q3", "history-q4"], ["target-head", "target-mid", "target-tail"]):
        total = sum(measured[f"{group}/users"] * measured[f"{group}/ndcg@10"] for group in groups)
        assert total / 60 == pytest.approx(found.means["ndcg@10"])
        assert sum(measured[f"{group}/users"] for group in groups) == 60


def test_lists_are_the_recommendations_in_the_order_of_users() -> None:
    split = LeaveOneOut()(random_data())
    model = Popular(30)
    model.fit(split.train)
    whole, blocks = (evaluation(ks=(5,), batch_size=size)(TopK(model), split.test) for size in (256, 7))
    assert torch.equal(whole.lists, blocks.lists)
    assert whole.lists.shape == (60, 5)
    seen = torch.from_numpy(split.test.history.padded(split.test.users))
    assert not ((whole.lists[:, :, None] == seen[:, None, :]) & (seen[:, None, :] != 0)).any()


def test_a_run_reports_them_and_diversity_where_it_is_asked_for(tmp_path) -> None:
    run = recpref.fit("model=popular", f"out={tmp_path}", "evaluation.ks=[5,10]", data=random_data())
    assert {"test/coverage@10", "test/gini@5", "test/novelty@10", "test/arp@10", "test/tail@10", "test/history-q1/ndcg@10"} <= set(
        run.metrics
    )
    assert "test/diversity@10" not in run.metrics
    chosen = ("evaluation.beyond=[diversity,coverage]", "evaluation.ks=[1,10]")
    run = recpref.fit("model=popular", f"out={tmp_path}", *chosen, data=random_data())
    assert 0 <= run.metrics["test/diversity@10"] <= 1
    assert "test/diversity@1" not in run.metrics
    assert "test/gini@10" not in run.metrics


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("evaluation.beyond=[coverag]", "unknown beyond 'coverag'; did you mean 'coverage'"),
        ("evaluation.alike_by=genres", "unknown feature of items 'genres'; known: none"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_trained(tmp_path, option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recpref.fit("model=popular", option, f"out={tmp_path}", data=random_data())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_looked_at() -> None:
    split = LeaveOneOut()(random_data())
    with pytest.raises(ValueError, match="unknown beyond 'coverag'; did you mean 'coverage'"):
        aspects(
            Report(pd.DataFrame({"user": []}), torch.zeros(0, 1, dtype=torch.int)),
            split.test,
            split.train,
            evaluation(beyond=("coverag",)),
        )
    with pytest.raises(ValueError, match="no lists"):
        aspects(Report(pd.DataFrame({"user": []})), split.test, split.train, evaluation())
