"""python -m recpref.tune: a small search, continued; two workers; one killed; and one line for each mistake."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recpref
from recpref.leaderboard.record import found
from recpref.training.callbacks import SaveState
from recpref.tune import tune
from recpref.tuning.study import STAGES

ROOT = Path(recpref.__file__).parents[1]
TINY = (
    "model=sasrec", "model.d_model=8", "model.n_layers=1", "model.n_heads=1", "model.max_len=8", "model.d_ff=8", "examples.crop=0",
    "trainer.max_epochs=2", "stopping.every=1", "loader.batch_size=16", "space.model.dropout=0.0..0.5",
)  # fmt: skip


@pytest.fixture
def csv(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    rows = [(u, (s + i) % 12, i) for u, s in enumerate(rng.integers(0, 12, 40)) for i in range(6)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(tmp_path / "clicks.csv", index=False)
    return f"data={tmp_path / 'clicks.csv'}"


def states(folder: Path) -> list[str]:
    return pd.read_csv(folder / "trials.csv").state.tolist()


def test_a_search_continued_ends_in_a_command_that_runs(csv, tmp_path, capsys):
    for n_trials in (2, 3):
        tune([*TINY, csv, f"n_trials={n_trials}", f"studies={tmp_path}/studies", "pruner=none"])
    (folder,) = (tmp_path / "studies").glob("*/sasrec/default")
    assert states(folder) == ["complete"] * 3
    said = capsys.readouterr().out
    assert "3 complete" in said
    assert f"saved in {folder}" in said
    command = (folder / "best.sh").read_text().splitlines()[-1].split()
    assert command[:3] == ["python", "-m", "recpref.train"]
    run = recpref.fit(*command[3:], "logger=csv", f"out={tmp_path}/runs")
    assert run.metrics["valid/ndcg@10"] == pd.read_csv(folder / "trials.csv").ndcg.max()


def start(*arguments: str, said: int = subprocess.PIPE) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "recpref.tune", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=said,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_workers_share_one_study(csv, tmp_path):
    process = start(*TINY, csv, "n_trials=4", "workers=2", f"studies={tmp_path}/studies", "pruner=none")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    (folder,) = (tmp_path / "studies").glob("*/sasrec/default")
    assert states(folder) == ["complete"] * 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="who started whom is read from /proc")
def test_who_tells_the_first_process_to_stop_stops_its_workers(csv, tmp_path):
    """A supervisor's SIGINT goes to one process; a terminal's to all."""
    process = start(*TINY, csv, "n_trials=1000", "workers=2", f"studies={tmp_path}/studies", "pruner=none")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "studies").glob("*/sasrec/default/study.db")) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(workers := [int(pid) for pid in children.read_text().split()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(15)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted; what was finished is in" in said
    assert not any(map(runs, workers))


def runs(pid: int) -> bool:
    """Whether a process of that number is there, and not only its name."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="who started whom is read from /proc")
def test_a_killed_search_keeps_what_was_finished(csv, tmp_path, monkeypatch):
    """Its workers end with it. Started again at once, what was in hand is settled, though its last heartbeat is seconds old."""
    monkeypatch.setattr("recpref.tuning.study.HEARTBEAT", 1)
    arguments = (*TINY, csv, f"studies={tmp_path}/studies", "pruner=none")
    process = start(*arguments, "n_trials=1000", "workers=2", said=subprocess.DEVNULL)
    deadline = time.monotonic() + 600  # a busy machine takes minutes to start Python

    def complete(mode: str = "ro") -> int:
        """Read only: Optuna would make the tables where there are none yet, and so would the study. Once whoever wrote was killed, what
        was left half-written has to be taken back first, which is writing."""
        (found,) = (tmp_path / "studies").glob("*/sasrec/default/study.db")
        with closing(sqlite3.connect(f"file:{found}?mode={mode}", uri=True, timeout=60)) as base:
            return base.execute("select count(*) from trials where state = 'COMPLETE'").fetchone()[0]

    def enough() -> bool:
        try:
            return complete() >= 2
        except (ValueError, sqlite3.OperationalError):  # no file, or no table in it, yet
            return False

    while not enough() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.5)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(runs, workers))
    before = complete("rw")
    assert before >= 2
    tune([*arguments, f"n_trials={before + 1}"])
    (folder,) = (tmp_path / "studies").glob("*/sasrec/default")
    assert states(folder).count("complete") == before + 1
    assert "running" not in states(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_search_that_is_stopped_in_a_first_stage_goes_on_from_there(csv, tmp_path, capfd, number):
    """No trial fails by it: its values wait, and the same command trains what was left of both stages."""
    arguments = [
        *TINY,
        csv,
        "start=self",
        "space.optimizer.lr=[0.005]",
        "stopping.save_seconds=0",
        "n_trials=1",
        f"studies={tmp_path}/studies",
    ]
    arguments.append(f"out={tmp_path}/runs")

    def on_train_epoch_end(callback, trainer, module) -> None:
        callback.save(trainer)
        signal.raise_signal(number)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)
        tune(arguments)
    assert ended.value.code == 130
    (folder,) = (tmp_path / "studies").glob("*/sasrec/default")
    said = capfd.readouterr().err
    assert f"interrupted; what was finished is in {folder}, and the same command goes on from there" in said
    assert "failed" not in said
    assert states(folder) == ["fail", "waiting"]
    epochs: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveState, "on_train_epoch_end", lambda callback, trainer, module: epochs.append(trainer.current_epoch))
        tune(arguments)
    assert epochs == [1, 0, 1]
    assert states(folder) == ["fail", "complete"]
    assert not (tmp_path / "runs").exists()
    with pytest.raises(FileNotFoundError, match="no run is at or under"):
        found(tmp_path)  # the first stage is kept in the study's folder, where no report sees it
    assert list(folder.glob(f"{STAGES}/*/sasrec/*/metrics.json"))


def test_where_no_trial_can_be_trained_the_end_says_why(csv, tmp_path, capfd):
    """n_heads=3 divides no width of 8: two lines for two trials, no traceback, and the reason once more."""
    shape = [text for text in TINY if not text.startswith("model.n_heads")]
    reason = "n_heads=3 must divide d_model=8"
    with pytest.raises(ValueError, match=rf"no trial could be trained: .*{reason}.* \(2 times\)"):
        tune([*shape, "space.model.n_heads=[3]", csv, "n_trials=1", f"studies={tmp_path}/studies"])
    said = capfd.readouterr()
    lines = said.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["trial 0 failed", "trial 1 failed"]
    assert all(reason in line for line in lines)
    assert "Traceback" not in said.out + said.err
    (folder,) = (tmp_path / "studies").glob("*/sasrec/default")
    assert states(folder) == ["fail", "fail"]


def test_a_split_that_validates_nothing_is_refused_before_the_first_trial(csv, tmp_path):
    with pytest.raises(ValueError, match="split=none leaves nothing to validate on"):
        tune([*TINY, csv, "split=none", "n_trials=3", f"studies={tmp_path}/studies"])
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("data=ml_100k",), "no model was named"),
        (("model=popular", "ntrials=3"), "unknown option 'ntrials'; did you mean 'n_trials'?"),
        (("model=sasrec", "search=annealing"), "unknown search 'annealing'; known: gp, random, tpe"),
        (("model=sasrec", "n_trials=many"), "n_trials=many must be a whole number of at least 1"),
        (("model=popular", "data=ml_100k"), "declares no search space"),
        (("model=sasrec", "space.model.norm=[sideways]"), "space.model.norm: unknown model.norm 'sideways'"),
        (("model=sasrec",), "no data was named"),
        (("model=sasrec", "data=ml_100k", "evaluation.ks=[5,20]"), r"stopping.k=10 chooses, so it must be among evaluation.ks=\[5, 20\]"),
    ],
)
def test_mistakes_are_refused(arguments, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        tune([*arguments, f"studies={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


def test_help_says_how(capsys):
    tune(["--help"])
    assert "space.model.d_model=[64,128]" in capsys.readouterr().out
