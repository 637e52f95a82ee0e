"""Only some items, or all but some: by hand, against filtering a whole ranking, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref.data.vocabulary import Vocabulary
from recpref.retrieval.restricted import Restriction
from recpref.runs.run import Run
from recpref.types import History, Query

LETTERS = Vocabulary(np.array(["a", "b", "c", "d"], dtype=object))
NOBODY = np.array([7, 8])


def query(exclude: bool) -> Query:
    items = torch.tensor([[0, 1], [2, 3]])
    return Query(History(items, torch.zeros(2, dtype=torch.long)), exclude=items if exclude else None)


def test_by_hand() -> None:
    """Of a, b, c, d: only d and b, but not d; or anything but c."""
    both = Restriction.of(LETTERS, ["d", "b", "b"], ["d"])(query(exclude=True), NOBODY)
    assert both.candidates is not None
    assert both.candidates.tolist() == [[2], [2]]
    assert both.exclude is not None
    assert both.exclude.tolist() == [[0, 1], [2, 3]]
    never = Restriction.of(LETTERS, exclude_items="c")
    for seen in (True, False):
        found = never(query(exclude=seen), NOBODY)
        assert found.candidates is None
        assert found.never is not None
        assert found.never.tolist() == [3]  # once, however many users ask
        assert (found.exclude is not None) is seen
    asked = query(exclude=True)
    assert Restriction.of(LETTERS)(asked, NOBODY) is asked


def test_unknown_ids_are_counted_and_no_item_left_is_refused() -> None:
    with pytest.warns(UserWarning, match=r"2 of 3 ids of items are none that the model knows \(such as 'y', 'z'\) and were skipped"):
        assert Restriction.of(LETTERS, ["y", "a", "z"]).only.tolist() == [1]  # type: ignore[union-attr]
    for said, names in (
        ({"items": ["a"], "exclude_items": ["a"]}, "items and exclude_items"),
        ({"exclude_items": list("abcd")}, "exclude_items"),
    ):
        with pytest.raises(ValueError, match=f"^{names}: none of the 4 items that the model knows is left"):
            Restriction.of(LETTERS, **said)
    with pytest.warns(UserWarning, match="1 of 1 ids"), pytest.raises(ValueError, match=r"^items: none of the 4 items"):
        Restriction.of(LETTERS, ["z"])
    with pytest.raises(ValueError, match=r"^items: none of"):
        Restriction.of(LETTERS, [])
    with pytest.raises(ValueError, match="exclude_items ids are int"):
        Restriction.of(LETTERS, None, [3])
    with pytest.raises(ValueError, match="items are ids, and a frame was passed"):
        Restriction.of(LETTERS, pd.DataFrame({"what": ["a"]}))


FRAME = pd.DataFrame(
    [(f"u{u:02d}", f"i{(7 * u + t * t) % 15:02d}", t) for u in range(24) for t in range(4 + u % 5)], columns=["who", "what", "when"]
)


@pytest.fixture(scope="module", params=["itemknn", "ials", "ada_retrieval"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model that scores the catalogue itself, one of inner products, one that answers in rounds."""
    data = recpref.Interactions.from_dataframe(FRAME, user="who", item="what", time="when")
    tiny = (
        ["base=sasrec", "trainer.max_epochs=1", "model.n_rounds=1", "model.per_round=15", "sampler.n_negatives=5", "logger=none"]
        if request.param == "ada_retrieval"
        else []
    )
    return recpref.fit(f"model={request.param}", *tiny, f"out={tmp_path_factory.mktemp('runs')}", data=data)


@pytest.mark.parametrize(
    "said",
    [
        {"items": ["i03", "i08", "i11", "i02"]},
        {"exclude_items": ["i00", "i05"]},
        {"items": ["i03", "i08", "i11"], "exclude_items": ["i08"]},
    ],
)
@pytest.mark.parametrize("filter_seen", [True, False])
def test_the_lists_are_those_of_a_whole_ranking_without_the_others(run: Run, said: dict[str, Any], filter_seen: bool) -> None:
    whole = run.recommend(FRAME, 15, filter_seen=filter_seen)
    wanted = whole[whole["item"].isin(said.get("items", whole["item"])) & ~whole["item"].isin(said.get("exclude_items", []))]
    wanted = wanted.groupby("user").head(2).reset_index(drop=True)
    found = run.recommend(FRAME, 2, filter_seen=filter_seen, **said)
    assert found[["user", "item"]].equals(wanted[["user", "item"]])
    np.testing.assert_allclose(found.score, wanted.score, rtol=1e-5, atol=1e-6)
    assert found["rank"].tolist() == (wanted.groupby("user").cumcount() + 1).tolist()


@pytest.mark.parametrize("said", [{"items": ["i01"]}, {"exclude_items": ["i01"]}])
def test_an_index_knows_nothing_of_it(run: Run, said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="items and exclude_items restrict an exact search, and search='hnsw' looks in an index of all"):
        run.recommend(FRAME, search="hnsw", **said)


def test_integers_of_any_container(tmp_path: Path) -> None:
    frame = FRAME.assign(what=FRAME.what.str[1:].astype(int))
    run = recpref.fit(
        "model=popular", f"out={tmp_path}", data=recpref.Interactions.from_dataframe(frame, user="who", item="what", time="when")
    )
    expected = run.recommend(frame, 3, items=[3, 4])
    assert set(expected["item"]) <= {3, 4}
    for ids in (np.array([3, 4]), pd.Series([4, 3]), {3, 4}, (i for i in (3, 4))):
        pd.testing.assert_frame_equal(run.recommend(frame, 3, items=ids), expected)


def test_candidates_of_each_user_by_hand() -> None:
    """The items of his rows; what is excluded stays so."""
    pairs = pd.DataFrame({"user": [8, 7, 8], "item": ["b", "c", "d"]})
    own = recpref.Interactions.from_dataframe(pairs, user="user", item="item")
    own = replace(own, item=LETTERS.numbers(own.items.ids, "item")[own.item - 1], items=LETTERS)
    found = Restriction(own=own)(query(exclude=True), NOBODY)
    assert found.candidates is not None
    assert found.candidates.tolist() == [[0, 3], [2, 4]]
    assert found.exclude is not None
    assert found.exclude.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("filter_seen", [True, False])
def test_everybodys_own_candidates_are_put_in_the_order_of_a_whole_ranking(run: Run, filter_seen: bool) -> None:
    """Other candidates for each user, in any order, some twice, an item that nobody knows; only the users who have some are served."""
    rng = np.random.default_rng(3)
    users = sorted(FRAME.who.unique())[3:]
    pairs = pd.DataFrame([(user, f"i{item:02d}") for user in users for item in rng.choice(15, rng.integers(1, 9), replace=False)])
    pairs.columns = pd.Index(["who", "what"])
    whole = run.recommend(FRAME, 15, filter_seen=filter_seen)
    wanted = whole.merge(pairs, left_on=["user", "item"], right_on=["who", "what"]).sort_values(["user", "rank"], ignore_index=True)
    given = pd.concat([pairs, pairs.head(5), pd.DataFrame({"who": users[:1], "what": ["new"]})]).sample(frac=1, random_state=1)
    with pytest.warns(UserWarning, match=rf"1 of {len(given)} interactions name items that the model does not know \(such as 'new'\)"):
        found = run.rerank(FRAME, given, filter_seen=filter_seen, batch_size=5)
    assert found[["user", "item"]].equals(wanted[["user", "item"]])
    assert found["rank"].tolist() == (wanted.groupby("user").cumcount() + 1).tolist()
    np.testing.assert_allclose(found.score, wanted.score, rtol=1e-5, atol=1e-6)
    best = run.rerank(FRAME, pairs, 2, filter_seen=filter_seen)
    pd.testing.assert_frame_equal(best, found.groupby("user").head(2).reset_index(drop=True), atol=1e-6)


def test_candidates_without_a_history_are_counted_and_other_ids_refused(run: Run) -> None:
    """Nobody is recommended anything for who has no history; numbers are not names."""
    pairs = pd.DataFrame({"who": ["u03", "zz"], "what": ["i01", "i02"]})
    with pytest.warns(UserWarning, match="^1 users have candidates and no history of items that the model knows; they get no rows"):
        assert run.rerank(FRAME, pairs)[["user", "item"]].to_numpy().tolist() == [["u03", "i01"]]
    with pytest.raises(ValueError, match=r"users of the candidates are int \(such as 3\) and those of the histories str \(such as 'u00'\)"):
        run.rerank(FRAME, pairs.assign(who=[3, 4]))
    with pytest.raises(ValueError, match="the frame of candidates has no column 'what'; it has 'who'"):
        run.rerank(FRAME, pairs[["who"]])
