"""What watches every training: the best weights are kept, the state is saved, and progress is shown.

Several processes save at the same batch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, RichProgressBar

from recpref.processes import agreed, first
from recpref.training.stopping import METRIC, Stopping


class KeepBest(pl.Callback):
    """Keeps the weights of the best validation, in memory and inside every saved state: one file says everything."""

    def __init__(self, metric: str = METRIC) -> None:
        self.metric, self.score, self.epoch = metric, -1.0, 0
        self.weights: dict[str, Any] = {}

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics[self.metric])
        if score > self.score:
            self.score, self.epoch = score, trainer.current_epoch + 1
            self.weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.score, self.epoch, self.weights = (state[name] for name in ("score", "epoch", "weights"))


class SaveState(pl.Callback):
    """Saves the state of training now and then: between two steps of an epoch, or when an epoch is over.

    Never while gradients are being accumulated, which no state holds, and never once training is being stopped or has its steps: the
    state is then no longer one that an uninterrupted training goes through. With ``trainer.max_steps`` between two steps only: Lightning
    takes every state for one in the middle of an epoch then, and cannot go on from the end of one.
    """

    def __init__(self, path: Path, seconds: float):
        self.path, self.seconds, self.last = path, seconds, time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int) -> None:
        within = index + 1 < trainer.num_training_batches and trainer.global_step != trainer.max_steps
        if within and (index + 1) % trainer.accumulate_grad_batches == 0:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.max_steps == -1:
            self.save(trainer)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Patience that had run out before the state was saved is Lightning's to remember, and that training is to end, is not."""
        early = trainer.early_stopping_callback
        trainer.should_stop = trainer.should_stop or bool(early and early.stopped_epoch)

    def save(self, trainer: pl.Trainer) -> None:
        """Writes the state where the first process finds it due, in one step: a kill leaves the old state or the new one."""
        if (trainer.should_stop and not _goes_on(trainer)) or not agreed(first() and time.monotonic() - self.last >= self.seconds):
            return
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        if first():
            partial.replace(self.path)
        self.last = time.monotonic()


def _goes_on(trainer: pl.Trainer) -> bool:
    """Whether training only waits for ``trainer.min_epochs`` or ``trainer.min_steps`` since patience has run out."""
    early, loop = trainer.early_stopping_callback, trainer.fit_loop
    least = loop.epoch_progress.current.processed >= (loop.min_epochs or 0) and trainer.global_step >= (loop.min_steps or 0)
    return bool(early and early.stopped_epoch) and not least


class Lines(pl.Callback):
    """A line a validation, where there is no terminal to draw a progress bar on."""

    def __init__(self, metric: str = METRIC) -> None:
        self.shown = ("train/loss", metric)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) or not first():
            return
        shown = {name: float(value) for name, value in trainer.callback_metrics.items() if name in self.shown}
        print(f"epoch {trainer.current_epoch + 1:4d}  " + "  ".join(f"{name} {value:.4f}" for name, value in shown.items()), flush=True)


def callbacks(stopping: Stopping, state: Path, *, validated: bool) -> list[pl.Callback]:
    """The best weights and early stopping where there is validation, what shows progress, and at last the saved state,
    which holds the others'."""
    early = EarlyStopping(monitor=stopping.metric, mode="max", patience=stopping.patience, check_on_train_epoch_end=False)
    return [
        *([KeepBest(stopping.metric), early] if validated else []),
        RichProgressBar(leave=False) if sys.stderr.isatty() else Lines(stopping.metric),
        SaveState(state, stopping.save_seconds),
    ]
