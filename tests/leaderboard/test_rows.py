"""Rows: seeds of one plan together, means and intervals by hand, costs, and what was asked for in vain."""

from __future__ import annotations

import re
import shutil

import pandas as pd
import pytest

from recpref.leaderboard.rows import PLANNED, headline_of, rows_of, twice, user_values, whole_rows
from recpref.significance import interval


def test_two_seeds_are_one_row_by_hand(make_run) -> None:
    """Users 1 0 0 1 and 1 1 0 0: user means 1 .5 0 .5, the mean .5, seeds' means .5 and .5; costs are means, memory the largest."""
    paths = [make_run(seed=1, values=[1, 0, 0, 1]), make_run(seed=2, values=[1, 1, 0, 0], environment={"seconds_per_1000": 1.5})]
    (row,) = rows_of(paths)
    assert row.seeds == (1, 2)
    assert row.means == {"hr@10": 0.5, "ndcg@10": 0.5, "ndcg@5": 0.5}
    assert row.by_seed["ndcg@10"] == [0.5, 0.5]
    assert (row.low["ndcg@10"], row.high["ndcg@10"]) == interval(pd.Series([1, 0.5, 0, 0.5]).to_numpy())
    assert row.low["ndcg@10"] < 0.5 < row.high["ndcg@10"]
    assert row.values("hr@10").to_dict() == {"u0": 1, "u1": 0.5, "u2": 0, "u3": 0.5}
    assert (row.cost.train_seconds, row.cost.seconds_per_1000, row.cost.peak_memory_mib) == (2.0, 1.0, 102.0)
    assert (row.cost.parameters, row.cost.threads, row.cost.device, row.cost.commit) == (7, 1, "cpu", "abc")
    assert (row.n_users, row.headline, row.trained) == (4, "ndcg@10", False)
    assert row.protocol == "leave_one_out, full ranking, seen items filtered"


def test_what_a_run_was_started_from_is_paid_for_by_hand(make_run) -> None:
    """Seeds of 2 seconds after 5, and of 2 after nothing that was written down: 7 and 2, the mean 4.5; no metric beside the others."""
    paths = [make_run(seed=1, metrics={"train/seconds_before": 5.0}), make_run(seed=2)]
    (row,) = rows_of(paths)
    assert row.cost.train_seconds == 4.5
    assert "train/seconds_before" not in row.aspects


def test_a_run_counts_once(make_run) -> None:
    path = make_run()
    (row,) = rows_of([path, path])
    assert row.seeds == (1,)


def test_a_seed_that_is_there_twice_is_refused(make_run, tmp_path) -> None:
    """A copy is no second seed."""
    path, other = make_run(), make_run(seed=2)
    copy = shutil.copytree(path, tmp_path / "backup" / path.name)
    assert twice([path, other, path]) == {}
    said = f"{copy} is seed 1 of the same experiment as {path}"
    assert twice([path, other, copy]) == {copy: said}
    with pytest.raises(ValueError, match=re.escape(said)):
        rows_of([path, other, copy])


def test_other_plans_and_data_are_other_rows(make_run) -> None:
    """The best first among those that compare; another cut-off of the split is another protocol."""
    low, high = make_run(mean=0.1), make_run("model=markov", mean=0.9)
    elsewhere = make_run("model=popular", "split.valid_users=9")
    rows = rows_of([low, high, elsewhere])
    assert [row.paths[0] for row in rows] == [high, low, elsewhere]
    assert rows[2].protocol == "leave_one_out, valid_users=9, full ranking, seen items filtered"


def test_other_codes_are_other_rows_of_one_table(make_run) -> None:
    """A row is called as its runs' folders are, so that a suite finds its own."""
    table = ("model=sasrec", "table=semantic_ids")
    paths = [make_run(*table, seed=seed, codes=codes, epochs=1) for seed, codes in ((1, "one"), (2, "one"), (3, "other"))]
    rows = rows_of(paths, labels={paths[2].name.removesuffix("-s3"): "other codes"})
    assert {row.label: row.seeds for row in rows} == {"sasrec": (1, 2), "other codes": (3,)}
    assert {row.digest for row in rows} == {path.name.partition("-s")[0] for path in paths}
    assert len({row.data_digest for row in rows}) == 1


def test_what_a_suite_says_is_in_the_rows(make_run) -> None:
    """Its name of a model, and seeds that are missing."""
    paths = [make_run(seed=2)]
    digest = paths[0].name.removesuffix("-s2")
    (row,) = rows_of(paths, labels={digest: "most popular"}, wanted={digest: [1, 2, 3]})
    assert (row.label, row.missing, row.plan.model.name) == ("most popular", (1, 3), "popular")


def test_devices_and_commits_that_differ_are_all_said(make_run) -> None:
    (row,) = rows_of([make_run(seed=1), make_run(seed=2, environment={"device": "gpu", "commit": "abd+"})])
    assert (row.cost.device, row.cost.commit) == ("cpu; gpu", "abc; abd+")


def test_what_is_planned_comes_from_the_metrics(make_run) -> None:
    """A module that reports m@10 or the calls of a language model has its column already; others are empty."""
    (row,) = rows_of([make_run(metrics={"test/m@10": 0.4, "llm/calls": 12, "test/coverage@10": 0.2})])
    assert row.aspects[PLANNED["m_at_k"]] == 0.4
    assert row.aspects[PLANNED["llm_calls"]] == 12
    assert row.aspects["test/coverage@10"] == 0.2
    assert PLANNED["steering"] not in row.aspects


def test_aspects_are_what_is_no_metric_of_users_and_no_course(make_run) -> None:
    """0.4 and 0.2 are 0.3 over the seeds; of one seed alone 7. What was chosen by, and what ``Cost`` has, is none."""
    extra = ({"test/m@10": 0.4, "valid/ndcg@10": 0.5, "train/loss": 7.0}, {"test/m@10": 0.2, "valid/ndcg@10": 0.5, "other/x": 1.0})
    (row,) = rows_of([make_run("model=sasrec", seed=seed, epochs=3, metrics=found) for seed, found in enumerate(extra, 1)])
    assert row.aspects == {"test/m@10": pytest.approx(0.3), "train/loss": 7.0}


def test_a_trained_model_has_epochs_and_a_budget(make_run) -> None:
    paths = [
        make_run("model=sasrec", "trainer.max_epochs=5", seed=seed, epochs=5, metrics={"train/underfit": seed == 1}) for seed in (1, 2)
    ]
    (row,) = rows_of(paths)
    assert row.trained
    assert (row.cost.epochs, row.cost.underfit) == (5, 1)
    assert row.budget == "reduced: max_epochs=5 of 400"
    assert row.options == ["trainer.max_epochs=5"]


def test_the_headline_is_the_nearest_to_ten(make_run) -> None:
    (row,) = rows_of([make_run(columns=("ndcg@5", "ndcg@20"))])
    assert row.headline == "ndcg@5"


def test_the_headline_of_rows_that_were_measured_at_other_cut_offs(make_run) -> None:
    """What all have; where they share nothing, what most have."""
    ten = make_run()
    seven, five = make_run("model=ease", columns=("ndcg@7", "ndcg@5")), make_run("model=markov", columns=("ndcg@7",))
    assert headline_of(rows_of([ten])) == "ndcg@10"
    assert headline_of(rows_of([ten, seven])) == "ndcg@5"
    assert headline_of(rows_of([seven, five])) == "ndcg@7"
    assert headline_of(rows_of([ten, seven, five])) == "ndcg@7"


def test_a_refit_is_a_protocol_of_its_own_and_measured_alike(make_run) -> None:
    first, second = rows_of([make_run("model=ease"), make_run("model=ease", "refit=true")])
    assert second.protocol == f"{first.protocol}, refit on the validation rows"
    assert first.measured == second.measured


def test_what_taught_a_model(make_run) -> None:
    """NBPO takes a sampler and no loss; a model that counts was taught by nothing."""
    nbpo = ("model=sasrec", "objective=nbpo", "sampler=uniform")
    rows = {row.label: row for row in rows_of([make_run(*nbpo, epochs=3), make_run("model=bert4rec", epochs=3), make_run("model=ease")])}
    assert rows["sasrec"].taught_by == {"objective": "nbpo", "sampler": "uniform"}
    assert rows["bert4rec"].taught_by == {"objective": "score", "loss": "cross_entropy", "sampler": "catalogue"}
    assert rows["ease"].taught_by == {}


def test_seeds_with_other_users_are_refused(make_run) -> None:
    paths = (make_run(seed=1, values=[1, 0]), make_run(seed=2, values=[1, 0, 0]))
    with pytest.raises(ValueError, match="has other users than"):
        user_values(paths, "hr@10")
    with pytest.raises(ValueError, match="has other users than"):
        rows_of(paths)
    rows, wrong = whole_rows([*paths, make_run("model=ease")])
    assert [row.label for row in rows] == ["ease"]
    assert wrong == [f"{paths[0]}: {paths[1]} has other users than {paths[0]}, and seeds of one plan have the same"]


def test_seeds_whose_users_stand_in_another_order_are_one_row(make_run) -> None:
    paths = (make_run(seed=1, values=[1, 0, 0]), make_run(seed=2, values=[1, 1, 0]))
    pd.read_parquet(paths[1] / "per_user.parquet").iloc[::-1].to_parquet(paths[1] / "per_user.parquet")
    (row,) = rows_of(paths)
    assert row.values("hr@10").to_dict() == {"u0": 1, "u1": 0.5, "u2": 0}


def test_an_interrupted_run_is_no_result(make_run) -> None:
    with pytest.raises(ValueError, match="was interrupted before its end"):
        rows_of([make_run("model=sasrec", metrics={"train/interrupted": True})])


def test_nothing_gives_nothing() -> None:
    assert rows_of([]) == []
