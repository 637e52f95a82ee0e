"""A trial: the validation metric of what was asked for, pruned where it is hopeless, and blind to the test split."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

import recpref
from recpref import experiment
from recpref.composition.compose import compose
from recpref.experiment import located, opened_to_validate
from recpref.leaderboard.record import found
from recpref.runs.saving import save
from recpref.training.callbacks import SaveState
from recpref.tuning.space import Among, Between
from recpref.tuning.trial import Problem
from recpref.workplace import OWNER, place_of

RNG = np.random.default_rng(0)
ROWS = [(u, (s + i) % 12, i) for u, s in enumerate(RNG.integers(0, 12, 60)) for i in range(6)]
DATA = recpref.Interactions.from_dataframe(pd.DataFrame(ROWS, columns=["u", "i", "t"]), user="u", item="i", time="t")
FIXED = (
    "model=sasrec", "model.d_model=8", "model.n_layers=1", "model.n_heads=1", "model.max_len=8", "trainer.max_epochs=4",
    "stopping.every=1", "loader.batch_size=16",
)  # fmt: skip
SPACE = {"model.dropout": Among(("0.0", "0.5")), "optimizer.lr": Between(1e-3, 1e-2, log=True)}


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), pruner=optuna.pruners.NopPruner())


def test_its_value_is_the_validation_of_the_run_it_stands_for(study, tmp_path):
    """The best trial's overrides, run as anybody would: the same validation, to the last bit."""
    study.optimize(Problem(FIXED, SPACE, DATA), n_trials=1)
    trial = study.best_trial
    run = recpref.fit(*FIXED, *trial.user_attrs["overrides"], "logger=csv", f"out={tmp_path}", data=DATA)
    assert trial.value == run.metrics["valid/ndcg@10"]
    assert trial.user_attrs["best_epoch"] == run.metrics["train/best_epoch"]
    assert list(trial.intermediate_values) == [1, 2, 3, 4]
    assert max(trial.intermediate_values.values()) == pytest.approx(trial.value, abs=1e-6)


@pytest.mark.parametrize("fixed", [FIXED, (*FIXED, "start=self")])
def test_it_never_looks_at_the_test_rows(fixed):
    """With every user's last item replaced by another, nothing of a trial changes."""
    item = DATA.item.copy()
    last = DATA.offsets[1:] - 1
    item[last] = item[last] % 12 + 1
    other = recpref.Interactions(DATA.user, item, DATA.time, DATA.clock, None, DATA.users, DATA.items, "other", DATA.columns)
    values = []
    for data in (DATA, other):
        fresh = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
        fresh.optimize(Problem(fixed, SPACE, data), n_trials=1)
        values.append(fresh.best_value)
    assert values[0] == values[1]


def test_a_hopeless_trial_is_broken_off():
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1.1, n_warmup_steps=2))
    study.optimize(Problem(FIXED, SPACE, DATA), n_trials=1)
    (trial,) = study.trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert list(trial.intermediate_values) == [1, 2]


def test_a_model_that_only_counts_has_a_value_too(study):
    study.optimize(Problem(("model=itemknn",), {"model.n_neighbours": Among(("2", "5"))}, DATA), n_trials=1)
    assert 0 < study.best_value <= 1
    assert study.best_trial.user_attrs["best_epoch"] == 0


@pytest.mark.parametrize(("ks", "metric"), [("[5,20]", "ndcg@5"), ("[20,50]", "ndcg@20"), ("[3,10]", "ndcg@10")])
def test_a_model_that_counts_is_judged_by_the_nearest_cut_off_that_is_measured(study, tmp_path, ks, metric):
    """It stops by nothing, so that nobody can say stopping.k of it."""
    fixed = ("model=itemknn", f"evaluation.ks={ks}")
    study.optimize(Problem(fixed, {"model.n_neighbours": Among(("5",))}, DATA), n_trials=1)
    run = recpref.fit(*fixed, "model.n_neighbours=5", f"out={tmp_path}", data=DATA)
    assert study.best_value == run.metrics[f"valid/{metric}"]


def test_without_validation_there_is_nothing_to_choose_by(study):
    with pytest.raises(ValueError, match="leaves nothing to validate on"):
        study.optimize(Problem((*FIXED, "split=random", "split.valid_share=0"), SPACE, DATA), n_trials=1)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("split=hidden", "refit=true"), "refit=true trains on the validation rows, and split=hidden keeps them out"),
        (("evaluation.sampled=uniform", "evaluation.n_negatives=500"), "only [0-9]+ items can be drawn"),
    ],
)
def test_what_the_best_run_would_be_refused_for_is_refused_before_the_first_trial(study, tmp_path, overrides, says):
    """A search asks for neither; the experiment that it recommends does."""
    csv = tmp_path / "rows.csv"
    pd.DataFrame(ROWS, columns=["user_id", "item_id", "order"]).to_csv(csv, index=False)
    with pytest.raises(ValueError, match=says):
        opened_to_validate(compose([*FIXED, f"data={csv}", *overrides]))
    with pytest.raises(ValueError, match=says):
        study.optimize(Problem((*FIXED, *overrides), SPACE, DATA), n_trials=1)


# ------------------------------------------------------------------------------------------------- two stages

TWO = (*FIXED, "start=self", "stopping.save_seconds=0", "logger=csv")


class PowerCut(RuntimeError): ...


def cut_short(monkeypatch, after: int) -> None:
    """The power goes after so many epochs, once the state has been saved."""

    def on_train_epoch_end(callback, trainer, module) -> None:
        callback.save(trainer)
        if trainer.current_epoch + 1 == after:
            raise PowerCut

    monkeypatch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)


def test_a_search_goes_on_with_a_first_stage_that_was_killed(study, tmp_path):
    """It ends at the value of one that was never cut short, and trains only what was left."""
    whole = recpref.fit(*TWO, "optimizer.lr=0.005", f"out={tmp_path}/whole", data=DATA)
    problem = Problem(TWO, {"optimizer.lr": Among(("0.005",))}, DATA, tmp_path / "stages")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
        cut_short(patch, after=3)
        study.optimize(problem, n_trials=1)
    epochs: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveState, "on_train_epoch_end", lambda callback, trainer, module: epochs.append(trainer.current_epoch))
        study.optimize(problem, n_trials=1)
    assert epochs == [3, 0, 1, 2, 3]  # the last of the first stage, and all of the second
    assert study.best_value == whole.metrics["valid/ndcg@10"]


def first_stage(*overrides: str) -> Path:
    """Where the first stage of a trial belongs."""
    return Path(located(compose(overrides).on(DATA.name, frame=True), DATA)[0].start)


def test_a_first_stage_that_another_process_makes_is_waited_for(study, tmp_path):
    """One trial of one, not a failed one for every look at it. The other process ends without a run, so this one makes it."""
    other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    place = place_of(first_stage(*TWO, "optimizer.lr=0.005", f"out={tmp_path}/stages"))
    place.mkdir(parents=True)
    (place / OWNER).write_text(str(other.pid))
    timer = threading.Timer(1.0, lambda: (other.kill(), other.wait()))
    timer.start()
    study.optimize(Problem(TWO, {"optimizer.lr": Among(("0.005",))}, DATA, tmp_path / "stages"), n_trials=1, catch=(ValueError,))
    timer.join()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]


ADA = (
    "model=ada_retrieval", "model.n_rounds=2", "model.per_round=2", "base.d_model=8", "base.n_layers=1", "base.n_heads=1",
    "base.max_len=8", "sampler.n_negatives=3", "stopping.k=10", "trainer.max_epochs=2", "stopping.every=1", "loader.batch_size=16",
    "optimizer.lr=0.005", "evaluation.sampled=uniform", "evaluation.n_negatives=2",
)  # fmt: skip
DECAYS = {"model.loss_decay": Among(("0.3", "0.7"))}


def test_trials_of_one_base_train_it_once_and_ask_its_test_rows_nothing(study, tmp_path):
    """It is kept where the search says, and ``out`` gets nothing that a report would read. The run of the same options starts the same."""
    written: list[str] = []
    problem = Problem((*ADA, f"out={tmp_path}/runs"), DECAYS, DATA, tmp_path / "stages")
    study.enqueue_trial({"model.loss_decay": "0.3"})
    study.enqueue_trial({"model.loss_decay": "0.7"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "save", lambda place, *given, **said: (written.append(place.name), save(place, *given, **said)))
        study.optimize(problem, n_trials=2)
    (metrics,) = (tmp_path / "stages").rglob("metrics.json")
    assert written == [place_of(metrics.parent).name]
    assert not [key for key in json.loads(metrics.read_text()) if key.startswith("test/")]
    assert "valid/ndcg@10" in json.loads(metrics.read_text())
    assert len(pd.read_parquet(metrics.parent / "per_user.parquet")) == 0
    with pytest.raises(FileNotFoundError, match="no run is at or under"):
        found(tmp_path / "runs")
    run = recpref.fit(*ADA, "model.loss_decay=0.3", f"out={tmp_path}/runs", data=DATA)
    assert study.trials[0].value == run.metrics["valid/ndcg@10"]
    assert Path(run.experiment.start).name == metrics.parent.name


def test_a_finished_run_of_the_base_is_taken(study, tmp_path):
    """Its weights are those that the search would train: nothing is trained twice."""
    overrides = (*ADA, f"out={tmp_path}/runs")
    recpref.fit(*overrides, data=DATA)
    study.optimize(Problem(overrides, DECAYS, DATA, tmp_path / "stages"), n_trials=1)
    assert study.best_trial.state.name == "COMPLETE"
    assert not (tmp_path / "stages").exists()
