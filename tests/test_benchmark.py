"""python -m recpref.benchmark: a suite from beginning to end, killed and continued; a report; a comparison; one line for a mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recpref
from recpref import console
from recpref.benchmark import benchmark

ROOT = Path(recpref.__file__).parents[1]
Verb = Callable[..., "tuple[str, str]"]
MEASURED = ["train_seconds", "seconds_per_1000", "peak_memory_mib", "threads", "runs"]  # all that two runs of one suite may differ in
TINY = 'model.d_model=8", "model.n_layers=1", "model.n_heads=1", "model.max_len=10", "loader.batch_size=8", "stopping.every=1'
SUITE = f"""
title = "Tiny"
seeds = [1, 2]
overrides = ["evaluation.ks=[5,10]", "logger=csv"]
[models]
popular = ["model=popular"]
markov = ["model=markov"]
sasrec = ["model=sasrec", "{TINY}", "trainer.max_epochs=3"]
odd = ["model=sasrec", "model.n_heads=3"]
[data]
clicks = ["data=clicks.csv"]
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a suite and its data, to work in."""
    rng = np.random.default_rng(0)
    rows = [(f"u{u:02d}", f"i{(7 * u + t + rng.integers(0, 2)) % 15:02d}", 1000 + t) for u in range(40) for t in range(5 + u % 5)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(tmp_path / "clicks.csv", index=False)
    (tmp_path / "tiny.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Runs the verb as the command line would, in this process: what it printed, and what it complained of."""

    def call(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
        console.main(benchmark)
        return capsys.readouterr()

    return call


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "suite-tiny" / "leaderboard.parquet")


def test_a_suite_from_beginning_to_end(suite: Path, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is told and recorded, the rest is run once; the second call runs nothing that is there; report and compare follow."""
    with pytest.raises(SystemExit) as left:
        verb("suite=tiny.toml", "workers=2")
    out = capsys.readouterr().out
    assert left.value.code == 1
    assert "8 experiments: 0 are there already, 8 to run, 0 cannot be run" in out
    assert "failed: clicks odd seed 1: n_heads=3 must divide d_model=64" in out
    assert "2 of 8 experiments failed" in out
    found = table(suite / "runs").set_index("label")
    assert set(found.index) == {"popular", "markov", "sasrec"}
    assert set(found["seeds"]) == {"1 2"}
    assert found.loc["sasrec", "budget"] == "reduced: max_epochs=3 of 400, patience=8 epochs of 16"
    assert {failure["model"] for failure in json.loads((suite / "runs/suite-tiny/failures.json").read_text())} == {"odd"}
    runs = {path: path.stat().st_mtime_ns for path in (suite / "runs").rglob("metrics.json")}
    assert len(runs) == 6
    for path in runs:
        run = recpref.load(path.parent)
        means = found.loc[run.experiment.model.name]
        assert means["ndcg@10_low"] <= means["ndcg@10"] <= means["ndcg@10_high"]
    with pytest.raises(SystemExit):
        verb("suite=tiny.toml")
    assert "8 experiments: 6 are there already, 2 to run" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (suite / "runs").rglob("metrics.json")} == runs
    assert table(suite / "runs").equals(found.reset_index()[table(suite / "runs").columns])
    check_report_and_compare(suite, verb)


def check_report_and_compare(suite: Path, verb: Verb) -> None:
    """Of the runs that are there: a page of all, and two of them user by user."""
    out, _ = verb("report", "runs/clicks", "out=page")
    assert "written: page/leaderboard.csv, .parquet, .md, .html" in out
    assert len(pd.read_csv(suite / "page" / "leaderboard.csv")) == 3
    assert "Runs side by side" in (suite / "page" / "leaderboard.html").read_text()
    sasrec, popular = (next((suite / "runs/clicks" / model).glob("*-s1")) for model in ("sasrec", "popular"))
    out, _ = verb("compare", str(sasrec), str(popular), "metric=hr@5")
    assert "HR@5 on clicks" in out or "HR@5 on clicks.csv" in out
    assert re.search(r"difference, first minus second\W+[+-]0\.\d{4} \[[+-]0\.\d{4}, [+-]0\.\d{4}\]", out)
    assert re.search(r"^(no winner|sasrec is better|popular is better): ", out, re.MULTILINE)
    both, _ = verb("compare", str(sasrec).removesuffix("-s1"), str(popular).removesuffix("-s1"))
    assert "first: sasrec, seeds 1 2" in both
    same, _ = verb("compare", str(popular), str(popular))
    assert "no winner: within the noise" in same


def test_a_corrupted_run_is_told_and_the_rest_goes_on(suite: Path, verb: Verb) -> None:
    """It is neither counted nor thrown away, until somebody removes it."""
    (suite / "tiny.toml").write_text(re.sub(r"(sasrec|odd) = .*\n", "", SUITE))
    verb("suite=tiny.toml")
    broken = next((suite / "runs" / "clicks" / "popular").glob("*-s1"))
    (broken / "metrics.json").write_text("{")
    with pytest.raises(SystemExit):
        verb("suite=tiny.toml")
    assert (broken / "metrics.json").read_text() == "{"
    found = table(suite / "runs").set_index("label")
    assert (found.loc["popular", "seeds"], found.loc["popular", "missing_seeds"]) == ("2", "1")
    assert "metrics.json is damaged" in (suite / "runs/suite-tiny/leaderboard.md").read_text()
    out, _ = verb("report", "runs/clicks")
    assert "left out: " in out
    assert len(pd.read_csv("report/leaderboard.csv")) == 2


def test_overrides_seeds_and_out_hold_for_all(suite: Path, verb: Verb) -> None:
    (suite / "tiny.toml").write_text(re.sub(r"(sasrec|odd) = .*\n", "", SUITE))
    verb("suite=tiny.toml", "seeds=[7]", "out=elsewhere", "evaluation.ks=[3]")
    found = table(suite / "elsewhere")
    assert set(found["seeds"]) == {"7"}
    assert "hr@3" in found
    assert "hr@10" not in found
    assert not (suite / "runs").exists()


BAD = [
    (["suite=qick"], "unknown suite 'qick'; did you mean 'quick'"),
    (["suite=nowhere.toml"], "no such suite: nowhere.toml"),
    (["workers=2"], "no suite was named; say suite=NAME"),
    (["suite=tiny.toml", "workers=none"], "workers=none must be a whole number"),
    (["suite=tiny.toml", "seeds=[1,1]"], r"seeds=\[1,1\] must be different whole numbers"),
    (["suite=tiny.toml", "seeds=[]"], r"seeds=\[\] must be different whole numbers"),
    (["suite=tiny.toml", "seed=1"], r"seed= is said by the suite tiny; say seeds="),
    (["suite=tiny.toml", "model=ease"], "model= is said by the suite tiny"),
    (["suite=tiny.toml", "trainer.max_epoch=1"], "no experiment of the suite tiny can be run: .*did you mean 'max_epochs'"),
    (["suite=tiny.toml", "out="], "out= must be a folder"),
    (["reprot", "runs"], "unknown command 'reprot'; did you mean 'report'"),
    (["report"], "no run was named"),
    (["report", "nowhere", "out=tiny.toml"], "tiny.toml cannot be written to; say out=FOLDER for another place"),
    (["suite=tiny.toml", "out=clicks.csv"], "clicks.csv/suite-tiny cannot be written to; say out=FOLDER"),
    (["report", "nowhere"], "no run is at or under nowhere"),
    (["report", "runs", "to=x"], "unknown option 'to'"),
    (["compare", "one"], "compare takes two runs, and got 1"),
    (["compare", "one", "two"], "no run is at or under one"),
    (["--fast"], "unknown switch --fast"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_mistake_is_one_line_and_exit_code_2(
    suite: Path, verb: Verb, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as left:
        verb(*arguments)
    err = capsys.readouterr().err
    assert left.value.code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)


def test_help_shows_a_whole_suite(verb: Verb) -> None:
    """As much of a file as one of one's own needs."""
    out, _ = verb("--help")
    for part in ("[models]", "[data]", "seeds = [1, 2, 3]", "overrides = ", "[[grids]]"):
        assert part in out


def test_help_lists_the_suites(verb: Verb) -> None:
    for arguments in ([], ["--help"]):
        out, _ = verb(*arguments)
        assert "python -m recpref.benchmark suite=NAME" in out
        assert re.search("suites: .*quick, .*sequential", out)


def test_runs_of_other_protocols_do_not_compare(suite: Path, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [recpref.fit("model=popular", *more, data="clicks.csv").path for more in ((), ("split.valid_users=5",))]
    with pytest.raises(SystemExit):
        verb("compare", *map(str, paths))
    assert re.search("the runs do not compare: .* and .*valid_users=5", capsys.readouterr().err)
    with pytest.raises(SystemExit):
        verb("compare", "runs/clicks/popular", str(paths[0]))
    assert "holds 2 different experiments" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        verb("compare", *map(str, paths[:1] * 2), "metric=ndgc@10")
    assert "unknown metric 'ndgc@10'; did you mean 'ndcg@10'" in capsys.readouterr().err


def start() -> subprocess.Popen[str]:
    """The suite from the command line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "recpref.benchmark", "suite=tiny.toml"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_suite_that_was_stopped_goes_on(suite: Path, verb: Verb) -> None:
    """Ctrl-C in the middle of a training, and kill -9 in the middle of what went on from there: nothing finished is made again, the
    training goes on from its saved state, no process is left behind, and the table is that of a suite that nobody stopped."""
    longer = re.sub("odd = .*\n", "", SUITE).replace("seeds = [1, 2]", "seeds = [1]")
    longer = longer.replace("max_epochs=3", 'max_epochs=200", "stopping.patience=900", "stopping.save_seconds=0.1')
    (suite / "tiny.toml").write_text(longer)
    finished: dict[Path, int] = {}
    saved = 0
    for number in (signal.SIGINT, signal.SIGKILL):
        process = start()
        for _ in range(1800):
            states = list(suite.glob("runs/clicks/sasrec/.*.partial/training.ckpt"))
            if states and states[0].stat().st_mtime_ns != saved:
                saved = states[0].stat().st_mtime_ns
                break
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        owner = int(next(suite.glob("runs/clicks/sasrec/.*.partial/process")).read_text())
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == (-9 if number == signal.SIGKILL else 130)
        assert number == signal.SIGKILL or "the same command goes on from there" in out
        made = {path: path.stat().st_mtime_ns for path in suite.glob("runs/clicks/*/*-s?/metrics.json")}
        assert len(made) == 2
        assert finished in ({}, made)
        finished = made
    verb("suite=tiny.toml")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert not list(suite.glob("runs/clicks/*/.*"))
    assert not Path(f"/proc/{owner}").exists()
    verb("suite=tiny.toml", "out=whole")
    left, right = (table(suite / out).drop(columns=MEASURED) for out in ("runs", "whole"))
    pd.testing.assert_frame_equal(left, right)
