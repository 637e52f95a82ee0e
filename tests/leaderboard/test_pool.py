"""The pool: every run in a process of its own; what kills one kills one."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

import recpref
import recpref.experiment
from recpref.leaderboard.jobs import Job
from recpref.leaderboard.pool import Outcome, Pool, asked, log_of, made_by
from recpref.leaderboard.record import recorded
from recpref.leaderboard.suite import Experiment
from recpref.plan import Part
from recpref.workplace import OWNER, place_of

CRASHES = '''
"""Models that do not survive their training, and one that takes its time."""
import os, signal, sys, time
from recpref.models.popular import Popular

class Wrong(Popular):
    def fit(self, train):
        raise ValueError("this is\\n  wrong")

class Bug(Popular):
    def fit(self, train):
        print("so far, so good", flush=True)
        raise KeyError("missing")

class Killed(Popular):
    def fit(self, train):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(Popular):
    def fit(self, train):
        os._exit(3)

class Slow(Popular):
    def fit(self, train):
        time.sleep(60)
'''


def ended(pool: Pool) -> list[Outcome]:
    """All that became of a pool's jobs."""
    with pool:
        return list(pool)


@pytest.fixture
def job(tmp_path: Path, clicks: Path, monkeypatch: pytest.MonkeyPatch):
    """A job of any model on the clicks, ``crashes:Bug`` and its like included."""
    (tmp_path / "crashes.py").write_text(CRASHES)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(model: str = "popular", *, seed: int = 1, located) -> Job:
        from dataclasses import replace

        plan = located("model=popular", "evaluation.ks=[5]", seed=seed, data=str(clicks))
        plan = replace(plan, model=Part(model, plan.model.options), out=str(tmp_path / "runs"))
        data = recpref.experiment.opened(plan.data)
        plan, path = recpref.experiment.located(plan, data)
        return Job(Experiment(model, "clicks", "", seed, ()), plan=plan, path=path)

    return make


def test_runs_end_as_they_would_alone(job, located, tmp_path: Path) -> None:
    """Two at a time: the same metrics as in this process; what was printed lies in files; each in a process of its own."""
    todo = [job(seed=seed, located=located) for seed in (1, 2, 3)]
    done = ended(Pool(todo, tmp_path / "logs", workers=2))
    assert {outcome.job.path for outcome in done} == {one.path for one in todo}
    assert {outcome.job.state for outcome in done} == {"finished"}
    alone = recpref.fit("model=popular", "evaluation.ks=[5]", "seed=2", f"data={todo[0].plan.data.name}", f"out={tmp_path}/alone")
    record = recorded(todo[1].path)
    assert {key: value for key, value in record.metrics.items() if key != "train/seconds"} == {
        key: value for key, value in alone.metrics.items() if key != "train/seconds"
    }
    assert all(log_of(one, tmp_path / "logs").is_file() for one in todo)
    assert all(0 < outcome.seconds < 600 for outcome in done)


def test_what_crashes_says_so_in_one_line_and_the_rest_goes_on(job, located, tmp_path: Path) -> None:
    """A mistake, a bug, a kill, an exit; then a run that is well."""
    todo = [job(f"crashes:{name}", located=located) for name in ("Wrong", "Bug", "Killed", "Exits")]
    errors = {outcome.job.experiment.model: outcome.job.error for outcome in ended(Pool([*todo, job(located=located)], tmp_path / "logs"))}
    assert errors == {
        "crashes:Wrong": "this is wrong",
        "crashes:Bug": "KeyError: 'missing'",
        "crashes:Killed": "killed by SIGKILL",
        "crashes:Exits": "ended with exit code 3",
        "popular": "",
    }
    log = log_of(todo[1], tmp_path / "logs").read_text()
    assert log.startswith("so far, so good\nTraceback")
    assert not any(one.path.exists() for one in todo)


def test_leaving_ends_what_runs(job, located, tmp_path: Path) -> None:
    """As Ctrl-C does: no process stays, and nothing half-made is in the way of the next call."""
    slow = job("crashes:Slow", located=located)
    with Pool([job(located=located), slow, job(seed=2, located=located)], tmp_path / "logs") as pool:
        assert next(iter(pool)).job.state == "finished"
        place = place_of(slow.path) / OWNER
        for _ in range(200):
            if place.is_file() and place.read_text():
                break
            time.sleep(0.1)
        process = int(place.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    (again,) = ended(Pool([job(seed=2, located=located)], tmp_path / "logs"))
    assert again.job.state == "finished"


def test_a_run_that_another_suite_has_made_meanwhile_is_left_as_it_is(job, located, tmp_path: Path) -> None:
    """Nothing is trained twice: the files are those of the first."""
    one = job(located=located)
    ended(Pool([one], tmp_path / "logs"))
    before = (one.path / "environment.json").stat().st_mtime_ns
    (again,) = ended(Pool([one], tmp_path / "logs"))
    assert again.job.state == "finished"
    assert (one.path / "environment.json").stat().st_mtime_ns == before


def test_two_runs_from_one_base_that_is_not_there_take_turns(job, located, tmp_path: Path) -> None:
    """What needs another base, or one that is there, does not wait."""
    base = job("popular", seed=9, located=located)
    first, second, third, free = (job("crashes:Slow", seed=seed, located=located) for seed in range(1, 5))
    first, second = (replace(part, plan=replace(part.plan, start=str(base.path))) for part in (first, second))
    assert made_by(first) == {first.path, base.path}
    assert made_by(free) == {free.path}
    pool = Pool([first, second, third, free], tmp_path / "logs", workers=3)
    with pool:
        assert [started.job for started in pool.running] == [first, third, free]
        assert list(pool.waiting) == [second]
    assert ended(Pool([base], tmp_path / "logs"))[0].job.state == "finished"
    assert made_by(first) == {first.path}


def test_workers_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers=0 must be at least 1"):
        Pool([], tmp_path, workers=0)


def test_a_question_is_answered_elsewhere() -> None:
    """In another process: what it returns, what it refuses, and what kills it."""
    assert asked(os.getpid) != os.getpid()
    assert asked(divmod, 7, 2) == (3, 1)
    with pytest.raises(ValueError, match="invalid literal"):
        asked(int, "x")
    with pytest.raises(RuntimeError, match=r"Traceback[\s\S]*ZeroDivisionError"):
        asked(divmod, 1, 0)
    with pytest.raises(ValueError, match="_exit was not finished: ended with exit code 7"):
        asked(os._exit, 7)
