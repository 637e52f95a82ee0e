"""A training that was killed and continued ends at bitwise the same weights and metrics as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from states import continued, kept

import recpref
from recpref import experiment
from recpref.training import callbacks
from recpref.workplace import STATE, place_of

OPTIONS = (
    "model.d_model=16",
    "model.n_heads=2",
    "model.max_len=10",
    "loader.batch_size=16",
    "trainer.max_epochs=4",
    "stopping.every=2",
    "stopping.save_seconds=0",
    "optimizer.decay=linear",
    "optimizer.warmup_steps=3",
)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"user_id": np.repeat(np.arange(50), 12), "item_id": rng.integers(0, 30, 600), "timestamp": np.tile(np.arange(12), 50)}
    )


def interactions(frame):
    return recpref.Interactions.from_dataframe(frame, user="user_id", item="item_id", time="timestamp")


def metrics(run):
    return {name: value for name, value in run.metrics.items() if name != "train/seconds"}


def weights(run):
    return run.model.state_dict()


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_double_precision_continues_in_double_precision(frame, tmp_path):
    """A state that was read into a model of single precision would lose half its digits."""
    data = interactions(frame)
    with kept(tmp_path) as states:
        whole = recpref.fit("model=sasrec", *OPTIONS, "trainer.precision=64-true", f"out={tmp_path / 'runs'}", data=data)
    expected = weights(whole)
    for _, run in continued(whole, [states[6]], data):
        assert equal(weights(run), expected)
        assert metrics(run) == metrics(whole)


@pytest.mark.parametrize(("model", "accumulated", "saved"), [("bert4rec", 1, 16), ("sasrec", 1, 16), ("sasrec", 2, 8)])
def test_from_every_saved_state_training_ends_at_the_same_weights(model, accumulated, saved, frame, tmp_path):
    data = interactions(frame)
    options = (f"model={model}", *OPTIONS, f"trainer.accumulate_grad_batches={accumulated}", f"out={tmp_path / 'runs'}")
    with kept(tmp_path) as states:
        whole = recpref.fit(*options, data=data)
    expected = weights(whole)
    assert len(states) == saved  # 4 epochs of 4 batches: a save between two steps and one after each epoch
    for state, run in continued(whole, states[::3], data):
        assert equal(weights(run), expected)
        assert metrics(run) == metrics(whole)
        before = torch.load(state, weights_only=True)["seconds"]
        assert run.trained.seconds > before > 0  # time spent before the interruption counts
        assert not (run.path / STATE).exists()


def test_a_training_that_waits_for_its_least_number_of_epochs_is_continued(frame, tmp_path):
    """Nothing is learned, so patience runs out at the second validation, after epoch 4; epoch 5 is the last, not 6, the next with one."""
    data = interactions(frame)
    least = ("stopping.patience=1", "trainer.min_epochs=5", "trainer.max_epochs=8", "optimizer.lr=1e-12")
    with kept(tmp_path) as states:
        whole = recpref.fit("model=sasrec", *OPTIONS, *least, f"out={tmp_path / 'runs'}", data=data)
    assert whole.metrics["train/epochs"] == 5
    last = torch.load(states[-2], weights_only=True)  # the last call, at the end of all, saves nothing
    assert last["global_step"] == 19
    for _, run in continued(whole, [states[-2]], data):
        assert equal(weights(run), weights(whole))
        assert metrics(run) == metrics(whole)


@pytest.mark.parametrize("objective", ["score", "nbpo"])
def test_what_was_logged_of_an_epoch_survives_an_interruption_within_it(objective, frame, tmp_path, monkeypatch):
    """Of the second epoch a state within it and one at its end; a row an epoch, to the last bit, and metrics that are taken from them."""
    data, courses = interactions(frame), []
    original = experiment.train
    monkeypatch.setattr(experiment, "train", lambda *given: courses.append(original(*given)) or courses[-1])
    nbpo = ("objective=nbpo", "objective.warmup_epochs=1", "sampler=uniform", "sampler.n_negatives=4")
    options = ("model=sasrec", *OPTIONS, "trainer.max_epochs=2", *(nbpo if objective == "nbpo" else ()), f"out={tmp_path / 'runs'}")
    with kept(tmp_path) as states:
        whole = recpref.fit(*options, data=data)
    assert [row["epoch"] for row in courses[0].losses] == [1.0, 2.0]
    assert ("train/flip_mean" in whole.metrics) == (objective == "nbpo")
    for _, run in continued(whole, [states[5], states[7]], data):
        assert metrics(run) == metrics(whole)
        assert courses[-1].losses == courses[0].losses


def test_a_training_of_so_many_steps_continues_from_every_saved_state(frame, tmp_path):
    """Ten steps, four an epoch: states between two steps only, three of a whole epoch and one of the last, whose second step is the end."""
    data = interactions(frame)
    with kept(tmp_path) as states:
        whole = recpref.fit("model=sasrec", *OPTIONS, "trainer.max_steps=10", f"out={tmp_path / 'runs'}", data=data)
    steps = [torch.load(state, weights_only=True)["global_step"] for state in states]
    assert steps == [1, 2, 3, 5, 6, 7, 9]
    expected = weights(whole)
    assert whole.metrics["train/epochs"] == 3
    for _, run in continued(whole, [states[2], states[6]], data):
        assert equal(weights(run), expected)
        assert metrics(run) == metrics(whole)


def _start(csv, out, *extra):
    command = [sys.executable, "-m", "recpref.train", "model=bert4rec", f"data={csv}", *OPTIONS, f"out={out}", *extra]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def _wait_for_state(out, process):
    for _ in range(600):
        found = list(out.glob(f"*/*/.*.partial/{STATE}"))
        if found:
            return found[0].parent
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("no training state appeared")


@pytest.mark.slow
def test_kill_9_and_resume_from_the_command_line(frame, tmp_path):
    csv = tmp_path / "clicks.csv"
    frame.to_csv(csv, index=False)
    out = tmp_path / "runs"
    process = _start(csv, out, "trainer.max_epochs=30", "stopping.patience=1000")
    place = _wait_for_state(out, process)
    process.kill()
    process.communicate()
    run = place.with_name(place.name.removeprefix(".").removesuffix(".partial"))
    assert not run.exists()
    again = _start(csv, out, "trainer.max_epochs=30", "stopping.patience=1000")
    assert "continue it with resume=" in again.communicate()[0]
    assert again.returncode == 2
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as everywhere here: sums depend on the number of threads
    resumed = subprocess.run([sys.executable, "-m", "recpref.train", f"resume={run}"], capture_output=True, text=True, env=one_thread)
    assert resumed.returncode == 0, resumed.stderr
    whole = recpref.fit(
        "model=bert4rec", *OPTIONS, "trainer.max_epochs=30", "stopping.patience=1000", f"data={csv}", f"out={tmp_path / 'whole'}"
    )
    continued = recpref.load(run)
    assert equal(weights(continued), weights(whole))
    assert metrics(continued) == metrics(whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_stop_that_can_be_continued(number, frame, tmp_path):
    csv, out = tmp_path / "clicks.csv", tmp_path / "runs"
    frame.to_csv(csv, index=False)
    process = _start(csv, out, "trainer.max_epochs=2000", "stopping.patience=3000")
    place = _wait_for_state(out, process)
    process.send_signal(number)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "interrupted: this is the best model until then" in printed
    run = recpref.load(place.with_name(place.name.removeprefix(".").removesuffix(".partial")))
    assert run.metrics["train/interrupted"] is True
    assert (run.path / STATE).is_file()


@pytest.fixture
def interrupted(frame, tmp_path, monkeypatch):
    """A run whose training broke off after a state was saved."""

    class PowerCut(RuntimeError): ...

    def on_train_epoch_end(self, trainer, module):
        self.save(trainer)
        if trainer.current_epoch == 1:
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(callbacks.SaveState, "on_train_epoch_end", on_train_epoch_end)
        recpref.fit("model=bert4rec", *OPTIONS, f"out={tmp_path}", data=interactions(frame))
    (place,) = tmp_path.glob("*/*/.*.partial")
    return place.with_name(place.name.removeprefix(".").removesuffix(".partial"))


def test_resume_with_another_option_is_refused(interrupted, frame):
    with pytest.raises(ValueError, match=r"optimizer\.lr is 0\.002 there, and 0\.5 was asked for"):
        recpref.fit("optimizer.lr=0.5", data=interactions(frame), resume=interrupted)


def test_resume_with_other_data_is_refused(interrupted, frame):
    frame.loc[3, "item_id"] += 1
    with pytest.raises(ValueError, match="the data is not what that training saw"):
        recpref.fit(data=interactions(frame), resume=interrupted)


def test_resume_accepts_the_same_options_again(interrupted, frame):
    run = recpref.fit("model=bert4rec", "optimizer.lr=2e-3", data=interactions(frame), resume=interrupted)
    assert run.metrics["train/epochs"] == 4


def test_resume_of_a_frame_needs_the_frame(interrupted):
    with pytest.raises(ValueError, match="pass it again as data"):
        recpref.fit(resume=interrupted)


def test_resume_of_what_is_no_run_or_is_finished(frame, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run, nor an interrupted one"):
        recpref.fit(data=interactions(frame), resume=tmp_path / "nothing")
    run = recpref.fit("model=popular", f"out={tmp_path}", data=interactions(frame))
    with pytest.raises(ValueError, match="has nothing to continue"):
        recpref.fit(data=interactions(frame), resume=run.path)


def test_a_damaged_state_is_refused_and_kept(interrupted, frame):
    state = place_of(interrupted) / STATE
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"training\.ckpt cannot be read"):
        recpref.fit(data=interactions(frame), resume=interrupted)


def test_data_that_is_elsewhere_now(frame, tmp_path, monkeypatch):
    """Named relative to another folder: the message says how to name it, and whatever has the same rows is it; other rows are refused."""

    class PowerCut(RuntimeError): ...

    def on_train_epoch_end(self, trainer, module):
        self.save(trainer)
        raise PowerCut

    (tmp_path / "other").mkdir()
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(callbacks.SaveState, "on_train_epoch_end", on_train_epoch_end)
        recpref.fit("model=bert4rec", *OPTIONS, f"out={tmp_path}/runs", data="clicks.csv")
    (place,) = tmp_path.glob("runs/*/*/.*.partial")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match=r"no such file: clicks.csv, of which the run was made; say data=PATH where it is now"):
        recpref.fit(resume=place)
    frame.iloc[1:].to_csv("less.csv", index=False)
    with pytest.raises(ValueError, match="the data is not what that training saw"):
        recpref.fit(resume=place, data="less.csv")
    (tmp_path / "clicks.csv").rename("moved.csv")
    run = recpref.fit(resume=place, data="moved.csv")
    assert run.metrics["train/epochs"] == 4
    assert run.experiment.data.name == "moved.csv"
