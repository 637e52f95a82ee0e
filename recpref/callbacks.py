"""When training stops: the patience rule, Ctrl-C, and the judgement whether it stopped too early.

Several processes stop after the same batch and save at the same one: what any of them was told, all of them do.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, RichProgressBar

from recpref.processes import agreed, connected, first

METRIC = "valid/ndcg@10"  # what chooses, where ``stopping.k`` is its default
ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))  # SLURM may send the last
TWICE = 1.0  # seconds after which a second Ctrl-C is one; torchrun passes the first on to those who have it already


class Stopping:
    """Validate every ``every`` epochs; stop after ``patience`` validations without a better NDCG@``k``.

    Every ``save_seconds`` the state of training is saved, so that ``resume=`` can continue it after a crash.

    Raises: ValueError for numbers below 1, or a negative time.
    """

    def __init__(self, *, every: int = 5, patience: int = 8, k: int = 10, save_seconds: float = 60.0):
        if every < 1 or patience < 1:
            raise ValueError(f"stopping.every={every} and stopping.patience={patience} must be at least 1")
        if k < 1:
            raise ValueError(f"stopping.k={k} must be at least 1")
        if save_seconds < 0:
            raise ValueError(f"stopping.save_seconds={save_seconds} must not be negative")
        self.every, self.patience, self.k, self.save_seconds = every, patience, k, save_seconds

    @property
    def metric(self) -> str:
        """What chooses the epoch, by the name it is logged under."""
        return f"valid/ndcg@{self.k}"


def still_rising(validations: Sequence[float]) -> bool:
    """Whether the last fifth of the validations beat all before them by more than 1 %: training was cut short.

    Example: .05 .08 .09 .10 .12 rises; .05 .10 .10 .10 .10 does not.
    """
    tail = max(1, len(validations) // 5)
    head = validations[:-tail]
    return len(head) == 0 or max(validations[-tail:]) > 1.01 * max(head)


@contextmanager
def graceful_interrupt(trainer: Any) -> Iterator[threading.Event]:
    """Ctrl-C, SIGTERM or SIGUSR1 ends training after the batch, so that the best model is kept and the run written; a second
    Ctrl-C interrupts at once. Yields an event that is set once that happened, to any of several processes."""
    interrupted = threading.Event()
    watch = _Interruption(trainer, interrupted)
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    previous = {number: signal.getsignal(number) for number in ASKING}
    watch.before = previous[signal.SIGINT]
    if getattr(trainer, "world_size", 1) == 1:
        watch.listen()  # and of several, when they have found each other: whoever waits for others is to end when told to
    trainer.callbacks.insert(0, watch)  # the state is not saved in the batch after which training stops
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Interruption(pl.Callback):
    """Passes a signal on to the trainer: at once where it is the only process, and else when all processes have finished the batch.

    Lightning puts its own SIGTERM handler, which breaks training off, before ours when training starts: that is taken out.
    """

    def __init__(self, trainer: Any, interrupted: threading.Event):
        self.trainer, self.interrupted, self.when = trainer, interrupted, -1.0
        self.before: Any = signal.SIG_DFL

    def asked(self, number: int, frame: FrameType | None) -> None:
        """What answers the signals."""
        if self.when < 0:
            self.when = time.monotonic()
            if first():
                os.write(2, b"\nstopping after this batch, then testing the best model until now (Ctrl-C again stops at once)\n")
        elif number == signal.SIGINT and time.monotonic() - self.when >= (TWICE if connected() else 0):
            signal.signal(signal.SIGINT, self.before)
            signal.raise_signal(signal.SIGINT)
        if not connected():
            self.stop()

    def stop(self) -> None:
        self.trainer.should_stop = True
        self.interrupted.set()

    def listen(self) -> None:
        """Answers the signals from now on."""
        for number in ASKING:
            signal.signal(number, self.asked)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            self.listen()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int) -> None:
        if connected() and agreed(self.when >= 0):
            self.stop()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if connected() and agreed(self.when >= 0):
            self.stop()


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

    Never while gradients are being accumulated, which no state holds, and never once training is being stopped: the state is then no
    longer one that an uninterrupted training goes through.
    """

    def __init__(self, path: Path, seconds: float):
        self.path, self.seconds, self.last = path, seconds, time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int) -> None:
        if index + 1 < trainer.num_training_batches and (index + 1) % trainer.accumulate_grad_batches == 0:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Writes the state where the first process finds it due, in one step: a kill leaves the old state or the new one."""
        if trainer.should_stop or not agreed(first() and time.monotonic() - self.last >= self.seconds):
            return
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        if first():
            partial.replace(self.path)
        self.last = time.monotonic()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advertisements and its advice on data loaders, which are not ours, from the screen."""
    levels = {name: logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


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
