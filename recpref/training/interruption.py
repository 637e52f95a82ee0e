"""Ctrl-C and its like: training ends after the batch, and what was best is kept.

Several processes stop after the same batch: what any of them was told, all of them do.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from recpref.processes import agreed, connected, first

ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))  # SLURM may send the last


TWICE = 1.0  # seconds after which a second Ctrl-C is one; torchrun passes the first on to those who have it already


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
