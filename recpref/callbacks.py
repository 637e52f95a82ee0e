"""When training stops: the patience rule, Ctrl-C, and the judgement whether it stopped too early."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar

METRIC = "valid/ndcg@10"
SHOWN = ("train/loss", METRIC)


class Stopping:
    """Validate every ``every`` epochs; stop after ``patience`` validations without a better NDCG@10.

    Raises: ValueError for numbers below 1.
    """

    def __init__(self, *, every: int = 4, patience: int = 10):
        if every < 1 or patience < 1:
            raise ValueError(f"stopping.every={every} and stopping.patience={patience} must be at least 1")
        self.every, self.patience = every, patience


def still_rising(validations: Sequence[float]) -> bool:
    """Whether the last fifth of the validations beat all before them by more than 1 %: training was cut short.

    Example: .05 .08 .09 .10 .12 rises; .05 .10 .10 .10 .10 does not.
    """
    tail = max(1, len(validations) // 5)
    head = validations[:-tail]
    return len(head) == 0 or max(validations[-tail:]) > 1.01 * max(head)


@contextmanager
def graceful_interrupt(trainer: Any) -> Iterator[threading.Event]:
    """The first Ctrl-C ends training after the batch, so that the best model is kept and the run written; a second one
    interrupts at once. Yields an event that is set once that happened."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous)
        trainer.should_stop = True
        interrupted.set()

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advertisements and its advice on data loaders, which are not ours, from the screen."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        logger.setLevel(level)


class Lines(pl.Callback):
    """A line a validation, where there is no terminal to draw a progress bar on."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return
        shown = {name: float(value) for name, value in trainer.callback_metrics.items() if name in SHOWN}
        print(f"epoch {trainer.current_epoch + 1:4d}  " + "  ".join(f"{name} {value:.4f}" for name, value in shown.items()), flush=True)


def callbacks(stopping: Stopping, folder: Path) -> list[pl.Callback]:
    """Early stopping, the best checkpoint, and what shows progress."""
    bar = RichProgressBar(leave=False) if sys.stderr.isatty() else Lines()
    return [
        EarlyStopping(monitor=METRIC, mode="max", patience=stopping.patience, check_on_train_epoch_end=False),
        ModelCheckpoint(folder, filename="best", monitor=METRIC, mode="max", save_top_k=1, save_weights_only=True),
        bar,
    ]
