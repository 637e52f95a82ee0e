"""When training stops: patience, Ctrl-C, the best weights, and the judgement whether it stopped too early."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recpref.callbacks import METRIC, KeepBest, Lines, SaveState, Stopping, callbacks, graceful_interrupt, quiet, still_rising

pytestmark = pytest.mark.usefixtures("unchecked")  # trainers and modules are stand-ins here


@pytest.mark.parametrize(
    ("validations", "rising"),
    [
        ([0.05, 0.08, 0.09, 0.10, 0.12], True),  # the last fifth is one value: 0.12 > 1.01 * 0.10
        ([0.05, 0.10, 0.10, 0.10, 0.10], False),  # 0.10 < 0.101
        ([0.05, 0.08, 0.09, 0.10, 0.101], False),  # exactly one per cent is not more than one per cent
        ([0.05, 0.08, 0.09, 0.10, 0.1011], True),
        ([0.20, 0.08, 0.09, 0.10, 0.12], False),  # an early peak
        ([0.1] * 8 + [0.15, 0.1], True),  # the last fifth of ten are two values, and the better one counts
        ([0.1] * 7 + [0.15, 0.1, 0.1], False),
        ([0.1, 0.2], True),
        ([0.2, 0.1], False),
        ([0.3], True),  # nothing to compare with
        ([], True),
        ([0.0, 0.0], False),
    ],
)
def test_still_rising(validations: list[float], rising: bool) -> None:
    """Whether the last fifth beats all before it by more than one per cent."""
    assert still_rising(validations) is rising


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=30), st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_still_rising_has_no_unit(validations: list[float], factor: float) -> None:
    """Scaling all values changes nothing; a flat end is never rising; a new peak of two per cent at the end always is."""
    assert still_rising([factor * value for value in validations]) is still_rising(validations)
    assert still_rising([*validations, max(validations) * 1.02])
    assert not still_rising(validations + [max(validations)] * len(validations))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "stopping.every=0"), ({"patience": 0}, "stopping.patience=0"), ({"every": -4}, "stopping.every=-4")],
)
def test_stopping_refuses_numbers_below_one(options: dict[str, int], message: str) -> None:
    """The option, its value and the least legal one."""
    with pytest.raises(ValueError, match=f"{message} .*must be at least 1"):
        Stopping(**options)


def test_stopping_refuses_a_negative_time() -> None:
    """Saving before it began."""
    with pytest.raises(ValueError, match=r"stopping\.save_seconds=-1\.0 must not be negative"):
        Stopping(save_seconds=-1.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_the_trainer_to_stop(number: signal.Signals) -> None:
    """No exception inside; afterwards the handlers are as before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    trainer = SimpleNamespace(should_stop=False, callbacks=[])
    with graceful_interrupt(trainer) as interrupted:
        assert not interrupted.is_set()
        os.kill(os.getpid(), number)
        assert interrupted.wait(2)
        assert trainer.should_stop is True
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def listening() -> Iterator[None]:
    """Python's own answer to Ctrl-C, which processes started in the background do without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_a_second_ctrl_c_interrupts_at_once() -> None:
    """Whoever presses twice means it."""
    before = signal.getsignal(signal.SIGINT)
    trainer = SimpleNamespace(should_stop=False, callbacks=[])

    def press_twice() -> None:
        with graceful_interrupt(trainer) as interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.wait(2)
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.clear()
            interrupted.wait(2)

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert signal.getsignal(signal.SIGINT) == before


def test_no_handler_is_set_outside_of_the_main_thread() -> None:
    """Python allows handlers in the main thread only; training in another one still works."""
    seen: list[bool] = []

    def work() -> None:
        with graceful_interrupt(SimpleNamespace(should_stop=False, callbacks=[])) as interrupted:
            seen.append(interrupted.is_set())

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGINT) == before


def test_handlers_are_restored_after_an_error() -> None:
    """An exception in training leaves Ctrl-C as it was."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="broken"), graceful_interrupt(SimpleNamespace(should_stop=False, callbacks=[])):
        raise RuntimeError("broken")
    assert signal.getsignal(signal.SIGINT) == before


def test_quiet_is_over_when_it_is_over() -> None:
    """Lightning's logger and the warning filters come back, after an error too."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level, list(warnings.filters)
    with quiet():
        assert logger.level == logging.ERROR
        warnings.warn("The 'val_dataloader' does not have many workers which may be a bottleneck", stacklevel=1)
    assert (logger.level, warnings.filters) == before
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError("broken")
    assert (logger.level, warnings.filters) == before


def test_quiet_hides_no_warning_of_ours() -> None:
    """Only what Lightning says is kept from the screen."""
    with quiet(), pytest.warns(UserWarning, match="of ours"):
        warnings.warn("of ours", stacklevel=1)


@pytest.mark.parametrize(("epoch", "every", "shown"), [(0, 1, True), (0, 4, False), (3, 4, True), (4, 4, False), (7, None, True)])
def test_a_line_a_validation(capsys: pytest.CaptureFixture[str], epoch: int, every: int | None, shown: bool) -> None:
    """Epochs count from one; only the loss and the watched metric are shown."""
    metrics = {"train/loss": torch.tensor(2.5), METRIC: torch.tensor(0.25), "valid/hr@10": torch.tensor(0.5)}
    trainer = SimpleNamespace(current_epoch=epoch, check_val_every_n_epoch=every, callback_metrics=metrics)
    Lines().on_train_epoch_end(trainer, None)
    expected = f"epoch {epoch + 1:4d}  train/loss 2.5000  {METRIC} 0.2500\n" if shown else ""
    assert capsys.readouterr().out == expected


def validated(keep: KeepBest, model: nn.Linear, scores: list[float]) -> None:
    """Validates after each of the epochs, in which every weight becomes the epoch's number."""
    for epoch, score in enumerate(scores):
        nn.init.constant_(model.weight, float(epoch + 1))
        trainer = SimpleNamespace(callback_metrics={METRIC: torch.tensor(score)}, current_epoch=epoch, sanity_checking=False)
        keep.on_validation_end(trainer, model)


@pytest.mark.parametrize(("scores", "best"), [([0.1, 0.3, 0.2], 2), ([0.3, 0.3, 0.1], 1), ([0.0], 1), ([0.1, 0.2, 0.3], 3)])
def test_the_first_best_validation_is_kept(scores: list[float], best: int) -> None:
    """The weights of that epoch, copied: later training does not change them."""
    keep, model = KeepBest(), nn.Linear(2, 2)
    validated(keep, model, scores)
    assert keep.epoch == best
    assert keep.score == pytest.approx(max(scores))
    assert keep.weights["weight"].eq(best).all()


def test_the_best_survives_saving() -> None:
    """A resumed training knows the best of the first half."""
    first, model = KeepBest(), nn.Linear(2, 2)
    validated(first, model, [0.1, 0.3])
    second = KeepBest()
    second.load_state_dict(first.state_dict())
    validated(second, model, [0.2])
    assert (second.epoch, second.score) == (2, pytest.approx(0.3))
    assert second.weights["weight"].eq(2).all()


@pytest.mark.parametrize(("seconds", "stopping", "saves"), [(0.0, False, 1), (3600.0, False, 0), (0.0, True, 0)])
def test_the_state_is_saved_when_it_is_due(tmp_path: Path, seconds: float, stopping: bool, saves: int) -> None:
    """In one step, not before its time, and never while training is being stopped."""
    saved: list[Path] = []

    def save_checkpoint(path: Path) -> None:
        saved.append(path)
        Path(path).write_text("state")

    trainer = SimpleNamespace(should_stop=stopping, save_checkpoint=save_checkpoint)
    SaveState(tmp_path / "training.ckpt", seconds).save(trainer)
    assert len(saved) == saves
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"] * saves


def test_where_nothing_is_validated_nothing_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Early stopping without a validation would stop at nothing."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    names = [type(callback).__name__ for callback in callbacks(Stopping(patience=3), tmp_path / "state", validated=True)]
    assert names == ["KeepBest", "EarlyStopping", "Lines", "SaveState"]
    names = [type(callback).__name__ for callback in callbacks(Stopping(), tmp_path / "state", validated=False)]
    assert names == ["Lines", "SaveState"]


def test_what_chooses_may_look_further_down_the_list() -> None:
    """``stopping.k`` names the metric that is kept by, stopped by and shown."""
    stopping = Stopping(k=50)
    assert (Stopping().metric, stopping.metric) == (METRIC, "valid/ndcg@50")
    keep, early, *_ = callbacks(stopping, Path("state"), validated=True)
    assert (keep.metric, early.monitor) == ("valid/ndcg@50", "valid/ndcg@50")
    with pytest.raises(ValueError, match=r"stopping\.k=0 must be at least 1"):
        Stopping(k=0)
