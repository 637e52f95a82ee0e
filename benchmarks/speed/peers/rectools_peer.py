"""RecTools' part of `benchmarks/speed/compare.py`. Needs `rectools[torch]==0.19.0` and nothing of ours."""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from answer import answered, measured
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel


class Clock(Callback):
    """The wall's seconds of each training epoch. RecTools copies its callbacks: what they find belongs to the class."""

    seconds: list[float] = []  # noqa: RUF012
    tokens = targets = 0

    def on_train_epoch_start(self, trainer, module):
        Clock.tokens = Clock.targets = 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        Clock.tokens += int((batch["x"] != 0).sum())
        Clock.targets += int((batch["y"] != 0).sum())
        self.stop = time.perf_counter()

    def on_train_epoch_end(self, trainer, module):
        Clock.seconds.append(self.stop - self.start)


def main(asked):
    frame = pd.read_csv(asked["data"]).rename(columns={"timestamp": "datetime"})
    frame["datetime"] = pd.to_datetime(frame["datetime"], unit="s")
    frame[Columns.Weight] = 1

    def trainer():
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        epochs = 1 if asked["target"] is not None else asked["epochs"]
        return Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[Clock()], **quiet)

    kind, own = {"bert4rec": (BERT4RecModel, {"mask_prob": 0.2}), "sasrec": (SASRecModel, {})}[asked["model"]]
    model = kind(
        n_factors=asked["width"],
        n_blocks=2,
        n_heads=2,
        session_max_len=200,
        dropout_rate=0.2,
        loss="softmax",
        batch_size=asked["batch"],
        get_trainer_func=trainer,
        dataloader_num_workers=0,
        **own,
    )
    if asked["target"] is not None:
        return {"reached": to_target(model, frame, asked), "seconds": Clock.seconds}
    start = time.perf_counter()
    dataset = Dataset.construct(frame)
    prepare = time.perf_counter() - start
    model.fit(dataset)
    start = time.perf_counter()
    rows = len(model.recommend(frame[Columns.User].unique(), dataset, k=10, filter_viewed=True))
    recommend = time.perf_counter() - start
    return measured(Clock, prepare, recommend, rows)


def to_target(model, frame, asked):
    """Validation NDCG@10 after every epoch, until it is there: the second last item of every user is held out, the last is unused."""
    place = frame.groupby(Columns.User).cumcount(ascending=False)
    train, held = frame[place >= 2], frame[place == 1].set_index(Columns.User)[Columns.Item]
    dataset = Dataset.construct(train)
    users = train[Columns.User].unique()
    reached = []
    for _ in range(asked["epochs"]):
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        optimizer = model.fit_trainer.optimizers[0]
        model.lightning_model.configure_optimizers = lambda kept=optimizer: kept  # its moments would start anew with every call
        found = model.recommend(users, dataset, k=10, filter_viewed=True)
        hit = found[found[Columns.Item].to_numpy() == held.reindex(found[Columns.User]).to_numpy()]
        reached.append(float((1 / np.log2(hit[Columns.Rank] + 1)).sum() / len(held)))
        print(reached[-1], file=sys.stderr, flush=True)
        if reached[-1] >= asked["target"]:
            break
    return reached


if __name__ == "__main__":
    answered(main)
