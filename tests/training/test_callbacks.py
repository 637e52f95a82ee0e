"""What watches training: the best weights are kept, states are saved, and what Lightning says is quiet."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from recpref.training.callbacks import KeepBest, Lines, SaveState, callbacks
from recpref.training.stopping import METRIC, Stopping
from recpref.training.trainers import quiet

pytestmark = pytest.mark.usefixtures("unchecked")  # trainers and modules are stand-ins here


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


@pytest.mark.parametrize(
    ("seconds", "stopping", "saves", "stopped", "epochs"),
    [
        (0.0, False, 1, 0, 4),
        (3600.0, False, 0, 0, 4),
        (0.0, True, 0, 0, 4),  # by a signal
        (0.0, True, 1, 3, 4),  # patience has run out, and trainer.min_epochs is 5
        (0.0, True, 0, 3, 5),
    ],
)
def test_the_state_is_saved_when_it_is_due(tmp_path: Path, seconds: float, stopping: bool, saves: int, stopped: int, epochs: int) -> None:
    """In one step, not before its time, and never while training is being stopped; but while it has its least number of epochs to go."""
    saved: list[Path] = []

    def save_checkpoint(path: Path) -> None:
        saved.append(path)
        Path(path).write_text("state")

    trainer = SimpleNamespace(
        should_stop=stopping,
        save_checkpoint=save_checkpoint,
        global_step=7,
        early_stopping_callback=SimpleNamespace(stopped_epoch=stopped),
        fit_loop=SimpleNamespace(min_epochs=5, min_steps=None, epoch_progress=SimpleNamespace(current=SimpleNamespace(processed=epochs))),
    )
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
