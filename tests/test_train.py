"""python -m recpref.train: the row, the course, one line for a mistake, and a clean stop."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import recpref
from recpref import console
from recpref.composition.compose import compose
from recpref.train import train
from recpref.training.callbacks import SaveState
from recpref.workplace import OWNER, place_of

ROOT = Path(recpref.__file__).parents[1]
TINY = (
    "model.d_model=8",
    "model.n_layers=1",
    "model.n_heads=1",
    "model.max_len=10",
    "loader.batch_size=8",
    "stopping.every=1",
    "trainer.max_epochs=2",
)
Train = Callable[..., "tuple[str, str]"]


def cycle(n_users: int = 24, n_items: int = 15) -> pd.DataFrame:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places."""
    rows = [(f"u{u:02d}", f"i{(7 * u + t) % n_items:02d}", 1000 + t) for u in range(n_users) for t in range(4 + u % 5)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture
def csv(tmp_path: Path) -> str:
    """The cycle as a file."""
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    return str(tmp_path / "clicks.csv")


@pytest.fixture
def run_train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the verb as the command line would, in this process: what it printed, and what it complained of."""

    def call(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        console.main(train)
        return capsys.readouterr()

    return call


def only_run(out: Path, model: str) -> Path:
    """The one run of a model under ``out``."""
    (found,) = out.glob(f"clicks/{model}/*")
    return found


def test_training_prints_the_row_beside_the_baseline(run_train: Train, csv: str, tmp_path: Path) -> None:
    """The printed numbers are those of the saved runs; the course and the place follow."""
    out, err = run_train("model=sasrec", f"data={csv}", *TINY, "evaluation.ks=[5,10]", f"out={tmp_path}/runs")
    assert err == ""
    for model in ("sasrec", "popular"):
        metrics = json.loads((only_run(tmp_path / "runs", model) / "metrics.json").read_text())
        row = next(line for line in out.splitlines() if re.search(rf"[│|]\s*{model}\s", line))
        numbers = [f"{metrics[f'test/{name}@{k}']:.4f}" for name in ("hr", "ndcg") for k in (5, 10)]
        assert re.findall(r"\d\.\d{4}", row) == numbers
    flat = " ".join(out.split())  # a title is as wide as its table
    for text in ("HR@5", "NDCG@10", "24 users", "full ranking", "seen items filtered", "leave_one_out"):
        assert text in flat
    assert re.search(r"[\d,]+ parameters, \d+ s of training, 2 epochs; kept epoch \d", out)
    assert f"saved in {only_run(tmp_path / 'runs', 'sasrec')}" in out


@pytest.mark.parametrize("folder", [False, True])
def test_a_split_that_is_there_is_not_passed_over_in_silence(run_train: Train, tmp_path: Path, folder: bool) -> None:
    """A column of the table, or files of a folder: one line, before training, unless split=given is said."""
    frame = cycle()
    frame["split"] = ["test" if row % 4 == 3 else "train" for row in range(len(frame))]
    where = tmp_path / "clicks" if folder else tmp_path / "clicks.csv"
    if folder:
        where.mkdir()
        for name, rows in frame.groupby("split"):
            rows.drop(columns="split").to_csv(where / f"{name}.csv", index=False)
    else:
        frame.to_csv(where, index=False)
    said = "beware: the data has a column 'split' (train, test) that split=leave_one_out does not use; split=given does\n"
    out, err = run_train("model=popular", f"data={where}", f"out={tmp_path}/runs")
    assert (err, out.count(said)) == ("", 1)
    assert out.index(said) < out.index("run: ")
    assert "beware" not in run_train("model=popular", f"data={where}", "split=given", f"out={tmp_path}/runs")[0]


@pytest.mark.parametrize(("by", "how"), [("uniform", "uniformly"), ("popularity", "by popularity")])
def test_sampled_candidates_are_printed_below_as_what_they_are(run_train: Train, csv: str, tmp_path: Path, by: str, how: str) -> None:
    """The numbers of metrics.json of both models, under a title of their own; nothing of the kind where they were not asked for."""
    said = "sampled candidates, not comparable with the above"
    asked = ("evaluation.ks=[5]", f"evaluation.sampled={by}", "evaluation.n_negatives=3")
    out, err = run_train("model=itemknn", f"data={csv}", *asked, f"out={tmp_path}/runs")
    assert err == ""
    full, _, sampled = out.partition("sampled candidates")
    assert "full ranking" in " ".join(full.split())
    flat = " ".join(sampled.split())
    assert flat.startswith(f", not comparable with the above: targets among 3 negatives, drawn {how}")
    for model in ("itemknn", "popular"):
        metrics = json.loads((only_run(tmp_path / "runs", model) / "metrics.json").read_text())
        row = next(line for line in sampled.splitlines() if re.search(rf"[│|]\s*{model}\s", line))
        assert re.findall(r"\d\.\d{4}", row) == [f"{metrics[f'test/sampled-{by}-3/{name}@5']:.4f}" for name in ("hr", "ndcg")]
    assert said not in " ".join(run_train("model=itemknn", f"data={csv}", f"out={tmp_path}/runs")[0].split())


def test_an_underfit_run_says_what_to_do(run_train: Train, csv: str, tmp_path: Path) -> None:
    """One epoch with nothing to compare it with was cut short."""
    out, _ = run_train("model=sasrec", f"data={csv}", *TINY, "trainer.max_epochs=1", f"out={tmp_path}/runs")
    assert "underfit: validation was still rising at trainer.max_epochs (or was measured once at most); raise trainer.max_epochs" in out


def test_a_model_that_patience_ended_at_popularity_says_so(
    run_train: Train, csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that learns the cycle is silent, until it has to be a thousand times better than Popular."""
    ended = (*TINY, "stopping.every=1", "stopping.patience=3", "trainer.max_epochs=100", "optimizer.lr=1e-2")
    out, _ = run_train("model=sasrec", f"data={csv}", *ended, f"out={tmp_path}/runs")
    assert "no better than popular" not in out
    monkeypatch.setattr("recpref.train.AHEAD", 1000.0)
    out, _ = run_train("model=sasrec", f"data={csv}", *ended, f"out={tmp_path}/runs")
    metrics = (json.loads((only_run(tmp_path / "runs", model) / "metrics.json").read_text()) for model in ("sasrec", "popular"))
    found, least = (f"{values['valid/ndcg@10']:.4f}" for values in metrics)
    assert f"no better than popular: valid/ndcg@10 {found} to {least}. It may not have left its start yet" in out


def test_the_baseline_alone(run_train: Train, csv: str, tmp_path: Path) -> None:
    """Popular is not compared with itself."""
    out, _ = run_train("model=popular", f"data={csv}", f"out={tmp_path}/runs")
    assert len(re.findall(r"[│|]\s*popular\s", out)) == 1
    assert "saved in" in out


def test_cut_offs_without_ten(run_train: Train, csv: str, tmp_path: Path) -> None:
    """Validation watches NDCG@10 whatever the report shows."""
    out, _ = run_train("model=sasrec", f"data={csv}", *TINY, "evaluation.ks=[5]", f"out={tmp_path}/runs")
    assert "HR@5" in out
    assert "kept epoch" in out


def test_the_protocol_of_the_baseline_is_the_models(run_train: Train, csv: str, tmp_path: Path) -> None:
    """Seed, split and evaluation carry over, so that the rows compare."""
    run_train("model=sasrec", f"data={csv}", *TINY, "seed=4", "evaluation.filter_seen=false", f"out={tmp_path}/runs")
    runs = [yaml.safe_load((only_run(tmp_path / "runs", model) / "experiment.yaml").read_text()) for model in ("sasrec", "popular")]
    for section in ("seed", "split", "evaluation", "data", "data_digest"):
        assert runs[0][section] == runs[1][section]
    assert runs[1]["evaluation"]["filter_seen"] is False


def test_cfg_prints_the_composed_experiment(run_train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML with the recipe's values (BERT4Rec: cloze); it needs no data and writes nothing."""
    monkeypatch.chdir(tmp_path)
    out, _ = run_train("model=bert4rec", "model.d_model=32", "--cfg")
    content = yaml.safe_load(out)
    assert content == compose(["model=bert4rec", "model.d_model=32"]).content
    assert (content["examples"]["name"], content["model"]["d_model"]) == ("cloze", 32)
    assert not list(tmp_path.iterdir())


BAD = [
    (["model=bert5rec", "data={csv}"], "did you mean 'bert4rec'"),
    (["model=sasrec", "data={csv}", "model.d_modle=3"], "did you mean 'd_model'"),
    (["model=sasrec", "data={csv}", "model.n_heads=3"], "n_heads=3 must divide d_model"),
    (["model=sasrec", "data={csv}", "model.dropout=1.5"], r"1\.5 must lie in \[0, 1\)"),
    (["model=sasrec", "data={csv}", "optimizer.lr=-1"], r"optimizer\.lr=-1\.0 must be positive"),
    (["model=sasrec", "data={csv}", "stopping.patience=0"], r"stopping\.patience=0"),
    (["model=sasrec", "data={csv}", "examples=cloze"], "use examples=next_item"),
    (["model=sasrec", "data={csv}", "data.user=who"], "no column 'who'; it has 'user_id', 'item_id', 'timestamp'"),
    (["model=sasrec", "data={csv}", "data.k_core=99"], r"data\.k_core=99 leaves nothing"),
    (["model=sasrec", "data={csv}", "data.min_rating=3"], r"data\.min_rating needs a column of ratings, .* say data\.rating="),
    (["model=sasrec", "data={csv}.nowhere.csv"], "no such file: .*nowhere.csv"),
    (["model=sasrec", "data=ml_100"], "did you mean 'ml_100k'"),
    (["model=sasrec"], "no data was named; say data="),
    (["data={csv}"], "no model was named; say model="),
    ([], "no model was named"),
    (["model=sasrec", "data={csv}", "verbose"], "'verbose' is not of the form key=value"),
    (["model=sasrec", "--verbose"], "unknown switch --verbose; known: --cfg, --help, -h"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_mistake_is_one_line_and_exit_code_2(
    run_train: Train, csv: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """No traceback, no run, nothing on standard output but what was read."""
    with pytest.raises(SystemExit) as left:
        run_train(*(argument.format(csv=csv) for argument in arguments), f"out={tmp_path}/runs")
    err = capsys.readouterr().err
    assert left.value.code == 2
    assert re.match("error: ", err)
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file() or path.name.startswith(".")]


@pytest.mark.parametrize(
    "override", ["trainer.accelerator=foo", "trainer.devices=abc", "trainer.max_epochs=-3", "model.n_heads=0", "optimizer.lr=1e30"]
)
def test_every_mistake_is_one_line(run_train: Train, csv: str, tmp_path: Path, override: str) -> None:
    """Whoever finds the mistake, the user made it."""
    with pytest.raises(SystemExit, match="2"):
        run_train("model=sasrec", f"data={csv}", *TINY, override, f"out={tmp_path}/runs")


def command(*arguments: str) -> list[str]:
    """The real command line."""
    return [sys.executable, "-m", "recpref.train", *arguments]


def environment() -> dict[str, str]:
    """This package, and one thread, in a fresh interpreter."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_the_real_command_line_refuses_in_one_line(tmp_path: Path) -> None:
    """Exit code 2, one line on standard error, no traceback."""
    done = subprocess.run(command("model=bert5rec"), cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown model 'bert5rec'; did you mean 'bert4rec'?")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_stops_after_the_batch_and_keeps_the_best(csv: str, tmp_path: Path) -> None:
    """Once a validation was printed, an interrupt ends training: the run is written, says so, and recommends."""
    endless = ("trainer.max_epochs=100000", "stopping.patience=100000", f"out={tmp_path}/runs")
    started = subprocess.Popen(
        command("model=sasrec", f"data={csv}", *TINY, *endless),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    before = []
    for line in started.stdout:
        before.append(line)
        if line.startswith("epoch"):
            break
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert started.returncode == 130, err
    assert f"run: {only_run(tmp_path / 'runs', 'sasrec')}\n" in before
    assert "stopping after this batch" in err
    assert "no state of it had been saved yet (see stopping.save_seconds): to train it, say the same command again" in out
    assert "interrupted: this is the best model until then, not a finished run" in out
    assert "Traceback" not in err
    run = recpref.load(str(only_run(tmp_path / "runs", "sasrec")))
    assert run.metrics["train/interrupted"] is True
    assert run.metrics["train/underfit"] is False
    assert 1 <= run.metrics["train/best_epoch"] <= run.metrics["train/epochs"]
    assert len(run.recommend(cycle(), k=3)) == 24 * 3


def test_an_interrupted_training_is_not_replaced_in_silence(
    run_train: Train, csv: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again says what it replaces and how to go on with it; going on by the hidden folder's name works, too."""
    options = ("model=sasrec", f"data={csv}", *TINY, "stopping.save_seconds=0", "trainer.max_epochs=3", f"out={tmp_path}/my runs")

    def on_train_epoch_end(callback: SaveState, trainer: Any, module: Any) -> None:
        callback.save(trainer)
        if trainer.current_epoch == 0:
            signal.raise_signal(signal.SIGINT)

    for again in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)
            with pytest.raises(SystemExit, match=r"^130$"):  # a loop over seeds in a script can end, too
                run_train(*options)
            out, _ = capsys.readouterr()
        path = only_run(tmp_path / "my runs", "sasrec")
        assert f"to go on with it: python -m recpref.train 'resume={path}'\n" in out  # safe to paste
        if again:
            out, _ = run_train(*options)
            assert f"an interrupted training is in {path}: this one starts anew and replaces it; 'resume={path}' would go on with it" in out
            assert recpref.load(str(path)).metrics["train/epochs"] == 3
            shutil.rmtree(path)
        else:
            out, _ = run_train(f"resume={place_of(path)}")
            assert "not a finished run" not in out
            assert recpref.load(str(path)).metrics["train/epochs"] == 3


@pytest.mark.parametrize("saved", [True, False])
def test_an_interrupted_training_never_replaces_a_finished_run(
    csv: str, tmp_path: Path, saved: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finished one stays; what was saved of the other goes on with ``resume=``, and ends as a finished run in its place."""
    seconds = f"stopping.save_seconds={0 if saved else 1000}"
    options = ("model=sasrec", f"data={csv}", *TINY, seconds, "trainer.max_epochs=3", f"out={tmp_path}/runs")
    train(list(options))
    path = only_run(tmp_path / "runs", "sasrec")
    whole = (path / "metrics.json").read_text()

    def on_train_epoch_end(callback: SaveState, trainer: Any, module: Any) -> None:
        callback.save(trainer)
        if trainer.current_epoch == 0:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)
    with pytest.warns(UserWarning, match=rf"the finished run {path} is kept") as said, pytest.raises(SystemExit, match=r"^130$"):
        train(list(options))
    monkeypatch.undo()
    out = capsys.readouterr().out
    assert f"a finished run is in {path}: this one trains anew, and replaces it once it is finished\n" in out
    assert out.endswith("this training was interrupted, and all of the above is of the finished run that was there before\n")
    assert (path / "metrics.json").read_text() == whole
    assert place_of(path).exists() is saved
    assert (f"resume={path} goes on with it" if saved else "nothing is left of it") in str(said[0].message)
    if saved:
        train([f"resume={path}"])
        assert "3 epochs" in capsys.readouterr().out
        assert not place_of(path).exists()
    assert recpref.load(str(path)).metrics["train/epochs"] == 3


def test_the_run_of_popular_is_made_once_and_not_waited_for_without_end(
    run_train: Train, csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the second model stands the same run; a damaged one is made again; while another process makes it, the table goes without."""
    options = (f"data={csv}", f"out={tmp_path}/runs")
    run_train("model=itemknn", *options)
    path = only_run(tmp_path / "runs", "popular")
    made = path.stat().st_ino
    assert "popular" in run_train("model=ease", *options)[0]
    assert path.stat().st_ino == made
    (path / "model.safetensors").unlink()
    assert "popular" in run_train("model=ease", *options)[0]
    assert recpref.load(path)
    path.rename(path.with_name("elsewhere"))
    place_of(path).mkdir()
    (place_of(path) / OWNER).write_text(str(os.getppid()))
    monkeypatch.setattr("recpref.train.PATIENCE", 0.3)
    out, err = run_train("model=ease", *options)
    assert err == ""
    assert f"popular is not shown beside it: process {os.getppid()} is still making {path}\n" in out
    assert re.search(r"[│|]\s*ease\s", out)
