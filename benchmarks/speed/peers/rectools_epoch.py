"""Seconds of each epoch of RecTools 0.19.0's BERT4Rec: DATA.csv BATCH EPOCHS. Needs `rectools[torch]==0.19.0` and nothing of ours."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel

path, batch, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(2)


class Clock(Callback):
    """The wall's seconds of each training epoch."""

    seconds: list[float] = []  # noqa: RUF012

    def on_train_epoch_start(self, trainer, module):
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer, module):
        Clock.seconds.append(time.perf_counter() - self.start)


def trainer() -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock()],
    )


frame = pd.read_csv(path).rename(columns={"timestamp": "datetime"})
frame["datetime"] = pd.to_datetime(frame["datetime"], unit="s")
model = BERT4RecModel(
    n_factors=64,
    n_blocks=2,
    n_heads=2,
    session_max_len=200,
    dropout_rate=0.2,
    mask_prob=0.2,
    loss="softmax",
    batch_size=batch,
    get_trainer_func=trainer,
    dataloader_num_workers=0,
)
model.fit(Dataset.construct(frame.assign(weight=1)))
print(json.dumps(Clock.seconds))
