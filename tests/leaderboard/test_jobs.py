"""Jobs: what is there already, what is to be run, and what is wrong with which, before anything is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import recpref
from recpref.experiment import run_of
from recpref.leaderboard.jobs import Job, jobs, looked_at
from recpref.leaderboard.pool import _train as train_job
from recpref.leaderboard.suite import Experiment, Suite
from recpref.plan import Plan
from recpref.runs.source import opened
from recpref.training.callbacks import SaveState
from recpref.workplace import STATE, place_of


def suite(clicks: Path, **changes: object) -> Suite:
    """Popular and Markov on the clicks."""
    models = {"popular": ["model=popular"], "markov": ["model=markov"]}
    return Suite(**{"name": "tiny", "title": "Tiny", "models": models, "data": {"clicks": [f"data={clicks}"]}, "seeds": [1], **changes})


def states(found: list[Job]) -> dict[str, str]:
    return {job.experiment.model: job.state for job in found}


def test_the_folder_is_known_before_training(clicks: Path, tmp_path: Path) -> None:
    """It is the folder that ``fit`` writes; once it is there, the job is finished."""
    out = str(tmp_path / "runs")
    found = {job.experiment.model: job for job in jobs(suite(clicks), ["evaluation.ks=[5]"], out)}
    assert states(list(found.values())) == {"popular": "new", "markov": "new"}
    run = recpref.fit("model=popular", "evaluation.ks=[5]", "seed=1", f"data={clicks}", f"out={out}")
    assert run.path == found["popular"].path
    assert states(jobs(suite(clicks), ["evaluation.ks=[5]"], out)) == {"popular": "finished", "markov": "new"}
    assert states(jobs(suite(clicks), ["evaluation.ks=[3]"], out)) == {"popular": "new", "markov": "new"}
    run.path.joinpath("metrics.json").write_text("{")
    broken = next(job for job in jobs(suite(clicks), ["evaluation.ks=[5]"], out) if job.experiment.model == "popular")
    assert broken.state == "failed"
    assert "metrics.json is damaged" in broken.error


def test_the_states_of_a_folder(make_run, located) -> None:
    """Finished; interrupted with a saved state, which is continued; interrupted without, which is made anew; gone."""
    path = make_run("model=sasrec", epochs=2)
    job = Job(Experiment("sasrec", "ml", "", 1, ()), plan=located("model=sasrec"), path=path)
    assert looked_at(job).state == "finished"
    shutil.rmtree(path)
    path = make_run("model=sasrec", epochs=2, metrics={"train/interrupted": True})
    assert looked_at(job).state == "new"
    (path / STATE).write_text("")
    assert looked_at(job).state == "interrupted"
    shutil.rmtree(path)
    assert looked_at(job).state == "new"
    place_of(path).mkdir()
    (place_of(path) / STATE).write_text("")
    assert looked_at(job).state == "interrupted"


def test_what_is_wrong_with_one_leaves_the_others(clicks: Path, tmp_path: Path) -> None:
    """An unknown model, an option that it does not have, data that is not here: each in one line."""
    models = {"popular": ["model=popular"], "odd": ["model=poplar"], "wide": ["model=popular", "model.d_model=3"]}
    data = {"clicks": [f"data={clicks}"], "gone": [f"data={tmp_path}/gone.csv"], "none": ["data=ml_100"]}
    found = {
        (job.experiment.data, job.experiment.model): job
        for job in jobs(suite(clicks, models=models, data=data), [], str(tmp_path / "runs"))
    }
    assert found["clicks", "popular"].state == "new"
    assert "did you mean 'popular'" in found["clicks", "odd"].error
    assert "unknown option of model 'd_model'" in found["clicks", "wide"].error
    assert "no such file" in found["gone", "popular"].error
    assert "did you mean 'ml_100k'" in found["none", "popular"].error
    assert all("\n" not in job.error for job in found.values())
    assert [key for key, job in found.items() if job.state != "failed"] == [("clicks", "popular")]


def test_a_suite_of_which_nothing_can_be_run_is_refused(clicks: Path, tmp_path: Path) -> None:
    """A mistake on the command line is the same for all: it is told once."""
    with pytest.raises(ValueError, match=r"no experiment of the suite tiny can be run: .*did you mean 'max_epochs'"):
        jobs(suite(clicks), ["trainer.max_epoch=1"], str(tmp_path))


def test_optional_data_that_is_not_here_is_absent_and_no_failure(clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded for it."""
    monkeypatch.delenv("RECPREF_DATA", raising=False)
    data = {"clicks": [f"data={clicks}"], "steam": ["data=steam"]}
    found = jobs(suite(clicks, data=data, optional=["steam"]), [], str(tmp_path))
    assert {job.state for job in found if job.experiment.data == "steam"} == {"absent"}
    assert "data=steam is optional in this suite; set RECPREF_DATA to the folder that holds it" in found[-1].error
    monkeypatch.setenv("RECPREF_DATA", str(tmp_path))
    found = jobs(suite(clicks, data=data, optional=["steam"]), [], str(tmp_path))
    assert f"data=steam is optional in this suite; RECPREF_DATA={tmp_path} does not hold it" in found[-1].error


def test_nothing_is_counted_twice(clicks: Path, tmp_path: Path) -> None:
    """Two labels of one experiment: the second says whose run it is."""
    models = {"popular": ["model=popular"], "again": ["model=popular", "recipe=default"]}
    first, second = jobs(suite(clicks, models=models), [], str(tmp_path))
    assert (first.state, second.state) == ("new", "failed")
    assert second.error == "the same run as clicks popular seed 1: nothing is counted twice"


def test_a_data_set_is_read_once(clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many models and seeds; read otherwise, it is other data."""
    from recpref.runs import source

    calls = []
    opened = source.opened
    monkeypatch.setattr(source, "opened", lambda part: calls.append(part) or opened(part))
    found = jobs(
        suite(clicks, seeds=[1, 2, 3], data={"a": [f"data={clicks}"], "b": [f"data={clicks}", "data.k_core=2"]}), [], str(tmp_path)
    )
    assert len(calls) == 2
    assert len({job.path for job in found}) == 12


def test_a_run_that_starts_from_its_base_is_made_with_it(clicks: Path, tmp_path: Path) -> None:
    """The base is trained first, and where its training was stopped, it is gone on with: the same call again is all it takes."""
    small = ["trainer.max_epochs=2", "stopping.save_seconds=0", "logger=csv"]
    models = {"sasrec_again": ["model=sasrec", "start=self", "model.d_model=8", "model.max_len=8", *small]}
    for stopped in (False, True):
        out = tmp_path / f"runs{stopped}"
        (job,) = jobs(suite(clicks, models=models), [], str(out))
        assert (job.state, job.error) == ("new", "")
        assert job.plan is not None
        assert job.path is not None
        if stopped:
            interrupted_before(job.plan)
        train_job(job.plan, job.path, 1)
        run = recpref.Run.load(job.path)
        assert recpref.Run.load(run.experiment.start).metrics["train/epochs"] == 2
        assert looked_at(job).state == "finished"


def interrupted_before(plan: Plan) -> None:
    """Breaks off the training of what comes before, after a state was saved."""

    class PowerCut(RuntimeError): ...

    def on_train_epoch_end(self: SaveState, trainer: object, module: object) -> None:
        self.save(trainer)
        raise PowerCut

    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)
        assert plan.before is not None
        run_of(plan.before, opened(plan.data))
