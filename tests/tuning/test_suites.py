"""A suite tuned: one budget for all, a file that is a suite again, and what cannot be tuned left as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.leaderboard.suite import Experiment, Tuned
from recpref.leaderboard.suite_files import read
from recpref.overrides import chosen
from recpref.tune import tune
from recpref.tuning import study
from recpref.tuning.suites import has_space, name_of, searches, with_tuned

SUITE = """
title = "Tiny"
seeds = [1, 2]
overrides = ["logger=csv", "trainer.max_epochs=2"]
[models]
popular = ["model=popular"]
ease = ["model=ease"]
settled = ["model=ease", "model.l2=5"]
[data]
clicks = ["data={csv}"]
gone = ["data={csv}.gone"]
"""


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """Its file. Every user walks along the items."""
    rng = np.random.default_rng(0)
    rows = [(u, (s + i) % 12, i) for u, s in enumerate(rng.integers(0, 12, 40)) for i in range(6)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(tmp_path / "clicks.csv", index=False)
    (tmp_path / "tiny.toml").write_text(SUITE.format(csv=tmp_path / "clicks.csv"))
    return str(tmp_path / "tiny.toml")


def said(model: str, *more: str) -> Experiment:
    return Experiment("label", "data", "grid", 1, (f"model={model}", *more))


def test_only_what_has_something_to_search_is_searched(suite: str) -> None:
    """EASE has its l2, unless the suite says it; Popular has nothing; data that is not there is told. One seed."""
    wanted, wrong = searches(read(suite), [], "runs")
    assert [(one.model, one.data, one.seed) for one in wanted] == [("ease", "clicks", 1)]
    assert {job.experiment.data for job in wrong} == {"gone"}
    assert has_space(said("sasrec"))
    assert not has_space(said("ease", "model.l2=5"))


def test_names_of_studies_are_folders_and_all_differ() -> None:
    one = Experiment("sas/rec", "ml 100k", "Leave-one-out, 2048 users", 1, ())
    assert name_of(one).startswith("ml_100k-Leave_one_out_2048_users-sas_rec-")
    assert name_of(one._replace(grid="")).startswith("ml_100k-sas_rec-")
    like = [one, one._replace(model="sas_rec"), one._replace(model="sas/rec+"), one._replace(data="ml", grid="100k")]
    assert len({name_of(other) for other in like}) == 4
    assert name_of(one) == name_of(one._replace(seed=2))


def test_the_file_that_is_written_is_the_suite_with_what_was_found(tmp_path: Path, suite: str) -> None:
    """Any text of a label or an override comes back as it was."""
    odd = 'data.time="when \\ ü 😀 \x7f \t"'
    text = with_tuned(Path(suite).read_text(), [Tuned("clicks", "ease", 3, ["model.l2=7.5", odd])])
    (tmp_path / "again.toml").write_text(text)
    again = read(str(tmp_path / "again.toml"))
    assert again.tuned == [Tuned("clicks", "ease", 3, ["model.l2=7.5", odd])]
    assert (again.models, again.data, again.seeds) == (read(suite).models, read(suite).data, read(suite).seeds)
    with pytest.raises(ValueError, match="the suite again is tuned already"):
        searches(again, [], "runs")


def test_a_suite_tuned_and_tuned_again(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two trials for EASE; the second call adds none; the tuned suite holds the best one's value, and its command says so."""
    arguments = [f"suite={suite}", "n_trials=2", f"studies={tmp_path}/studies", f"out={tmp_path}/runs"]
    file = tmp_path / "studies" / "suite-tiny" / "tiny_tuned.toml"
    tune(arguments)
    first = file.read_text()
    out = capsys.readouterr().out
    assert "[1/1] clicks  ease" in out
    assert "left out: gone popular seed 1: no such file" in out
    assert f"run it: python -m recpref.benchmark suite={file} out={tmp_path}/runs" in out
    tune(arguments)
    assert file.read_text() == first
    (trials,) = (tmp_path / "studies" / "suite-tiny").rglob("trials.csv")
    frame = pd.read_csv(trials)
    assert frame.state.tolist() == ["complete"] * 2
    found = {(e.model, e.data): chosen(e.overrides).get("model.l2") for e in read(str(file)).experiments()}
    assert float(found["ease", "clicks"]) == pytest.approx(frame.loc[frame.ndcg.idxmax(), "model.l2"], rel=1e-2)
    assert found["settled", "clicks"] == "5"
    assert found["ease", "gone"] is None


def test_a_search_of_which_fewer_trials_finished_says_so(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three is never tried: two finished, and the suite's board does not say that three did."""
    work = study.work
    monkeypatch.setattr(study, "work", lambda found, problem, n_trials, **rest: work(found, problem, n_trials - 1, **rest))
    tune([f"suite={suite}", "n_trials=3", f"studies={tmp_path}/studies", f"out={tmp_path}/runs"])
    assert "2 of 3 trials finished" in capsys.readouterr().out
    tuned = read(str(tmp_path / "studies" / "suite-tiny" / "tiny_tuned.toml"))
    assert [(one.trials, one.unfinished) for one in tuned.tuned] == [(3, 1)]
    assert "Tuned by 3 trials each (fewer finished: ease on clicks 2)" in tuned.budget


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("model.l2=3", "no model of the suite tiny has anything to search that the suite does not say itself"),
        ("study=mine", "study=mine names one study, and a suite has one for each model and data set"),
        ("storage=sqlite:///x.db", "names one study"),
        ("space.model.l2=[1,2]", "space.model.l2: each model of a suite declares its own space"),
        ("n_trials=0", "n_trials=0 must be a whole number of at least 1"),
        ("model=sasrec", "model= is said by the suite tiny"),
    ],
)
def test_what_a_suite_cannot_be_told(suite: str, tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tune([f"suite={suite}", f"studies={tmp_path}/studies", more])


def test_a_model_that_cannot_be_trained_is_left_out_and_the_others_go_on(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its trials all fail, which is said; what was found of the others is written, and the status tells."""
    text = Path(suite).read_text().replace("[models]", '[models]\nbad = ["model=gru4rec", "loss=bpr", "sampler=catalogue"]')
    Path(suite).write_text(text)
    with pytest.raises(SystemExit, match="1"):
        tune([f"suite={suite}", "n_trials=1", f"studies={tmp_path}/studies", f"out={tmp_path}/runs"])
    assert "left out: clicks  bad: no trial could be trained: loss=bpr" in capsys.readouterr().out
    tuned = read(str(tmp_path / "studies" / "suite-tiny" / "tiny_tuned.toml"))
    assert [one.model for one in tuned.tuned] == ["ease"]
    assert "with the values of the recipe: bad, popular" in tuned.budget


def test_of_a_study_that_holds_more_the_first_ones_count(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best of three is not the best of two: it is a suite of two trials, and their better one stands in it."""
    where = [f"suite={suite}", f"studies={tmp_path}/studies", f"out={tmp_path}/runs"]
    tune([*where, "n_trials=3"])
    (trials,) = (tmp_path / "studies" / "suite-tiny").rglob("trials.csv")
    frame = pd.read_csv(trials)
    (base,) = (tmp_path / "studies" / "suite-tiny").rglob("study.db")
    with closing(sqlite3.connect(base)) as study:
        study.execute("update trial_values set value = 0.1 * trial_id")
        study.commit()
    tune([*where, "n_trials=2"])
    assert "its study holds 3 trials: the best of the first 2 counts" in capsys.readouterr().out
    (one,) = read(str(tmp_path / "studies" / "suite-tiny" / "tiny_tuned.toml")).tuned
    assert one.trials == 2
    assert float(chosen(one.overrides)["model.l2"]) == pytest.approx(frame["model.l2"][1], rel=1e-2)
