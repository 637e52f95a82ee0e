"""Seconds of each epoch of recpref's BERT4Rec: DATA.csv BATCH EPOCHS."""

from __future__ import annotations

import json
import sys
import tempfile
import time

import pytorch_lightning as pl

import recpref
from recpref import training


class Clock(pl.Callback):
    """The wall's seconds of each training epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self.start)


path, batch, epochs = sys.argv[1], sys.argv[2], sys.argv[3]
clock, ours = Clock(), training.callbacks
training.callbacks = lambda *arguments, **named: [clock, *ours(*arguments, **named)]
options = ["examples.crop=0", "examples.mask_ratio=0.2", "examples.last_ratio=0", "logger=[]", f"loader.batch_size={batch}"]
with tempfile.TemporaryDirectory() as folder:
    recpref.fit("model=bert4rec", "split=none", f"trainer.max_epochs={epochs}", f"out={folder}", *options, data=path)
print(json.dumps(clock.seconds))
