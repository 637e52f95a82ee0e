"""Others' rankings: by hand, then equal to our own evaluation, then each oddity of a frame."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import recpref
from recpref import components
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.evaluation.external import evaluate
from recpref.evaluation.protocol import Evaluation
from recpref.models.popular import Popular
from recpref.retrieval.topk import TopK
from recpref.types import History, Query

# a has p, q and then r; b has q, p and then s: one row each to validate and to test
SMALL = Interactions.from_dataframe(
    pd.DataFrame({"u": list("aaabbb"), "i": list("pqrqps"), "t": [1, 2, 3, 1, 2, 3]}), user="u", item="i", time="t"
)


def frame_of(**lists: str) -> pd.DataFrame:
    """``frame_of(a="sr")`` ranks s before r for user a."""
    rows = [(user, item, place + 1) for user, items in lists.items() for place, item in enumerate(items)]
    return pd.DataFrame(rows, columns=["user", "item", "rank"])


def test_by_hand() -> None:
    means = evaluate(frame_of(a="sr", b="sr"), SMALL, ks=(1, 2)).means
    # a's target r is second: hr@1 0, mrr@2 1/2, ndcg@2 1/log2(3); b's s is first
    assert means["hr@1"] == 0.5
    assert means["hr@2"] == 1
    assert means["mrr@2"] == 0.75
    assert means["ndcg@2"] == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_a_perfect_ranking_and_its_reverse() -> None:
    assert set(evaluate(frame_of(a="r", b="s"), SMALL, ks=(1,)).means.values()) == {1.0}
    with pytest.warns(UserWarning, match="no list holds any held-out item"):
        assert set(evaluate(frame_of(a="s", b="r"), SMALL, ks=(1,)).means.values()) == {0.0}


def own_data() -> Interactions:
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i:02}", n) for u in range(60) for n, i in enumerate(rng.permutation(40)[: rng.integers(3, 25)])]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


@pytest.mark.parametrize("filter_seen", [True, False])
@pytest.mark.parametrize("by", ["rank", "score"])
def test_equal_to_our_own_evaluation(filter_seen: bool, by: str) -> None:
    data = own_data()
    split = components.find("split", "leave_one_out")()(data)
    popular = Popular(data.n_items)
    popular.fit(split.train)
    topk = TopK(popular)
    metrics = {name: components.find("metric", name) for name in components.names("metric")}
    ours = Evaluation(metrics, ks=(1, 5, 10), filter_seen=filter_seen)(topk, split.test)
    items = torch.from_numpy(split.test.history.padded(split.test.users))
    asked = Query(History(items, torch.from_numpy(split.test.users)), exclude=items if filter_seen else None)
    ranking = topk.recommend(asked, 40 if by == "score" else 10)  # ties beyond the last rank are whole only in a full ranking
    row, column = ranking.items.nonzero(as_tuple=True)
    frame = pd.DataFrame({
        "user": data.users.originals(split.test.users[row]),
        "item": data.items.originals(ranking.items[row, column].numpy()),
        "rank": column + 1,
        "score": ranking.scores[row, column],
    }).sample(frac=1, random_state=0)  # fmt: skip
    theirs = evaluate(frame.drop(columns="rank" if by == "score" else "score"), data, ks=(1, 5, 10), filter_seen=filter_seen)
    pd.testing.assert_frame_equal(theirs.per_user, ours.per_user)


def test_equal_to_the_run_whose_recommendations_they_are(tmp_path: Path) -> None:
    data = own_data()
    run = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    frame = run.recommend(components.find("split", "leave_one_out")()(data).test.history, k=20)
    pd.testing.assert_frame_equal(evaluate(frame, data).per_user, run.per_user[evaluate(frame, data).per_user.columns])


def test_polars_other_names_and_a_split_of_ones_own() -> None:
    frame = pl.DataFrame({"who": ["a", "a", "b"], "what": ["s", "r", "s"], "logit": [0.5, 2.0, 1.0]})
    split = components.find("split", "leave_last_n")(n_test=1, n_valid=0)(SMALL)
    assert evaluate(frame, SMALL, split=split, user="who", item="what", score="logit", ks=(1,)).means["hr@1"] == 1


def test_a_split_of_other_data_is_refused() -> None:
    """Of more users, of fewer, and of as many others; the same rows read again are the same data."""
    data = own_data()
    fewer = data.where(data.user <= 30).compact()
    others = replace(SMALL, users=Vocabulary(np.array(["a", "c"])))
    leave_one_out = components.find("split", "leave_one_out")()
    frame = pd.DataFrame({"user": ["u9"], "item": ["i01"], "rank": [1]})
    message = r"the split was made of other data \(60 users, 40 items\) than frame \(30 users, \d+ items\), .*; pass the data that it was"
    with pytest.raises(ValueError, match=message):
        evaluate(frame, fewer, split=leave_one_out(data))
    for mine, theirs in ((data, fewer), (SMALL, others), (SMALL, data)):
        with pytest.raises(ValueError, match="the split was made of other data"):
            evaluate(frame, mine, split=leave_one_out(theirs))
    again = replace(SMALL, users=Vocabulary(SMALL.users.ids.copy()), items=Vocabulary(SMALL.items.ids.copy()))
    assert evaluate(frame_of(a="r", b="s"), again, split=leave_one_out(SMALL), ks=(1,)).means["hr@1"] == 1


def test_a_rank_by_another_name() -> None:
    """It is taken even where a column is called score, or rank."""
    frame = frame_of(a="sr", b="s").rename(columns={"rank": "place"})
    for more in ({}, {"score": [9.0, 1.0, 1.0]}, {"rank": [1, 2, 1]}):
        assert evaluate(frame.assign(place=[2, 1, 1], **more), SMALL, rank="place", ks=(1,)).means["hr@1"] == 1
    assert evaluate(frame.assign(score=[1.0, 2.0, 1.0], rank=[1, 2, 1]), SMALL, score="score", ks=(1,)).means["hr@1"] == 1


def test_ranks_need_not_be_consecutive() -> None:
    frame = frame_of(a="sr", b="s").assign(rank=[10, 30, 7])
    assert evaluate(frame, SMALL, ks=(2,)).means["mrr@2"] == 0.75


def test_seen_items_are_removed_and_those_below_move_up() -> None:
    with pytest.warns(UserWarning, match="3 of 5 rows rank items that the user has already seen"):
        assert evaluate(frame_of(a="pqr", b="ps"), SMALL, ks=(1,)).means["hr@1"] == 1
    assert evaluate(frame_of(a="pqr", b="ps"), SMALL, ks=(1, 3), filter_seen=False).means["mrr@3"] == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_an_unknown_item_keeps_its_place() -> None:
    assert evaluate(frame_of(a="zr", b="s"), SMALL, ks=(2,)).means["mrr@2"] == 0.75


def test_users_that_the_frame_lacks_are_misses() -> None:
    with pytest.warns(UserWarning, match="1 of 2 held-out users have no ranking"):
        report = evaluate(frame_of(b="s"), SMALL, ks=(1,))
    assert report.per_user["user"].tolist() == ["a", "b"]
    assert report.per_user["hr@1"].tolist() == [0, 1]
    with pytest.warns(UserWarning, match="1 of 2 held-out users have no ranking"):
        assert evaluate(frame_of(a="r"), SMALL, ks=(1,)).per_user["hr@1"].tolist() == [1, 0]  # the last user is the one that lacks
    with pytest.warns(UserWarning, match="2 of 2 held-out users"):
        assert evaluate(frame_of(a="r").iloc[:0], SMALL, ks=(1,)).means["hr@1"] == 0


@pytest.mark.parametrize(("k", "short"), [(10, "12, 20"), (12, "20"), (3, "5, 12, 20"), (20, None), (40, None)])
def test_ks_that_no_list_reaches_are_named(tmp_path: Path, k: int, short: str | None) -> None:
    """hr@20 of ten items a user is hr@10; a catalogue with no more to offer has lists that are whole."""
    data = own_data()
    run = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    frame = run.recommend(components.find("split", "leave_one_out")()(data).test.history, k=k)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate(frame, data, ks=(1, 5, 12, 20) if k != 40 else (1, 40))
    told = [str(warning.message) for warning in caught]
    expected = f"no list has more than {k} items, so that metrics at {short} count places that no list has; recommend k=20, or say ks="
    assert [line.removesuffix(" without them") for line in told] == ([] if short is None else [expected])


def test_users_that_are_not_held_out_are_ignored() -> None:
    with pytest.warns(UserWarning, match="1 of 3 rows rank items for users that are not held out"):
        assert evaluate(frame_of(a="r", b="s", c="p"), SMALL, ks=(1,)).means["hr@1"] == 1


def test_a_clean_frame_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(frame_of(a="rs", b="sr"), SMALL)


def test_what_is_refused() -> None:
    good = frame_of(a="sr", b="s")
    for frame, options, says in (
        (good.drop(columns="rank"), {}, "no column 'rank'"),
        (good, {"user": "who"}, "no column 'who'; they have 'user', 'item', 'rank'"),
        (good, {"rank": "rank", "score": "rank"}, "not both"),
        (good.assign(rank=[1, None, 1]), {}, "1 missing values"),
        (good.assign(rank=["x", "y", "z"]), {}, "ranks and scores are numbers"),
        (good.assign(item="r"), {}, "1 rows repeat a user and item, such as 'a' and 'r'"),
        (good.assign(rank=1), {}, "1 rows repeat a user and rank, such as 'a' and 1$"),
        (good.assign(user=[1, 1, 2]), {}, "user ids are int"),
        (good, {"ks": (0,)}, "cut-offs of at least 1"),
        (good, {"split": "leave_two_out"}, "unknown split"),
        (pd.concat([good, good["rank"]], axis=1), {}, "the rankings: two columns are called 'rank'"),
        ([1, 2], {}, "a list is no data frame"),
    ):
        with pytest.raises(ValueError, match=says):
            evaluate(frame, SMALL, **options)


def test_lists_that_hold_no_held_out_item_are_told() -> None:
    """As they are where whole histories were read to make them."""
    frame = pd.DataFrame(
        [(u, i, t) for u in range(8) for t, i in enumerate(np.random.default_rng(u).permutation(20)[:6])], columns=["u", "i", "t"]
    )
    data = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    last = frame.groupby("u").i.last()
    missing = pd.DataFrame(
        [(u, i, rank) for u in range(8) for rank, i in enumerate(sorted(set(range(20)) - set(frame.i[frame.u == u])), 1)],
        columns=["user", "item", "rank"],
    )
    with pytest.warns(UserWarning, match="no list holds any held-out item, so every metric is 0"):
        assert evaluate(missing, data).means["hr@10"] == 0
    right = missing[missing["rank"] == 1].assign(item=last.to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(right, data, ks=(1,)).means["hr@1"] == 1


@pytest.mark.usefixtures("unchecked")
def test_data_that_is_a_frame_and_a_lone_cut_off_are_refused() -> None:
    frame = frame_of(a="sr", b="sr")
    with pytest.raises(ValueError, match=r"data is a DataFrame; pass recpref\.Interactions\.from_dataframe\(data, user="):
        evaluate(frame, pd.DataFrame({"u": ["a"], "i": ["p"]}))
    with pytest.raises(ValueError, match=r"evaluation\.ks=5 must be a list of cut-offs, such as \[5\]"):
        evaluate(frame, SMALL, ks=5)


def test_data_may_be_a_path(tmp_path: Path) -> None:
    pd.DataFrame({"user": list("aaabbb"), "item": list("pqrqps"), "time": [1, 2, 3, 1, 2, 3]}).to_csv(tmp_path / "small.csv", index=False)
    found = evaluate(frame_of(a="sr", b="sr"), tmp_path / "small.csv", ks=(1,))
    assert found.means == evaluate(frame_of(a="sr", b="sr"), SMALL, ks=(1,)).means
