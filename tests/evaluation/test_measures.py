"""What is measured of a model, by its plan."""

from __future__ import annotations

import pandas as pd
import pytest

from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.data.splits.none import Nothing
from recpref.evaluation import measures
from recpref.evaluation.measures import evaluation_of, named, of_test, report_of
from recpref.evaluation.protocol import Report
from recpref.models.popular import Popular


def clicks() -> Interactions:
    """Item 1 is everybody's first, then 2 or 3, and 4 comes last: training knows it of user 3 alone, who goes on to 2."""
    histories = {1: [1, 2, 3, 4], 2: [1, 3, 2, 4], 3: [4, 1, 3, 2]}
    rows = [(user, item, place) for user, items in histories.items() for place, item in enumerate(items)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def test_the_protocol_is_the_plans() -> None:
    evaluation = evaluation_of(compose(["model=popular", "evaluation.ks=[1,3]", "evaluation.filter_seen=false"]), metrics=("hr",))
    assert (evaluation.ks, evaluation.filter_seen, list(evaluation.metrics)) == ((1, 3), False, ["hr"])
    assert evaluation_of(compose(["model=popular"]), ks=(7,)).ks == (7,)


def test_a_hand_made_case() -> None:
    """Each user has seen three of four items: with seen ones filtered, the one that is left is the target."""
    plan, split = compose(["model=popular", "evaluation.ks=[1]"]), LeaveOneOut()(clicks())
    model = Popular(4)
    model.fit(split.train)
    report = report_of(plan, model, split.test)
    assert named("chosen/test", report)["chosen/test/hr@1"] == 1
    found = of_test(plan, model, report, split)
    assert found["test/hr@1"] == 1
    assert any("coverage" in key for key in found)
    assert not any("sampled" in key for key in found)


def test_sampled_candidates_only_where_asked_for() -> None:
    plan = compose(["model=popular", "evaluation.ks=[1]", "evaluation.sampled=uniform", "evaluation.n_negatives=1"])
    split = LeaveOneOut()(pd_many())
    model = Popular(split.train.n_items)
    model.fit(split.train)
    assert any("uniform" in key for key in of_test(plan, model, report_of(plan, model, split.test), split))


def test_the_plans_seed_draws_the_sampled_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the options say how many of them, and by what."""
    asked = {}

    def noted(*args: object, **options: object) -> Report:
        asked.update(options)
        return Report(pd.DataFrame({"user": []}))

    monkeypatch.setattr(measures, "sampled_report", noted)
    plan = compose(["model=popular", "seed=7", "evaluation.sampled=popularity", "evaluation.n_negatives=3"])
    split, model = LeaveOneOut()(clicks()), Popular(4)
    model.fit(split.train)
    of_test(plan, model, report_of(plan, model, split.test), split)
    assert {key: asked[key] for key in ("by", "n_negatives", "seed")} == {"by": "popularity", "n_negatives": 3, "seed": 7}
    assert asked["item_counts"].tolist() == [0, 3, 1, 1, 1]  # of training: 4, 4 and 2 are the test


def pd_many() -> Interactions:
    """Ten users with five of twenty items each."""
    rows = pd.DataFrame([(u, (3 * u + 4 * n) % 20, n) for u in range(10) for n in range(5)], columns=["u", "i", "t"])
    return Interactions.from_dataframe(rows, user="u", item="i", time="t")


@pytest.mark.parametrize("model", [Popular(4)])
def test_nobody_held_out_is_an_empty_report(model: Popular) -> None:
    split = Nothing()(clicks())
    model.fit(split.train)
    report = report_of(compose(["model=popular"]), model, split.test)
    assert len(report.per_user) == 0
    assert of_test(compose(["model=popular"]), model, report, split) == {}
