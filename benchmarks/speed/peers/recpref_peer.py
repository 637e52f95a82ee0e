"""recpref's part of `benchmarks/speed/compare.py`: one JSON object in, the last line out is one JSON object."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from answer import answered, measured

import recpref
from recpref.training import trainers
from recpref.types import PAD

OPTIONS = {
    "bert4rec": ["examples.mask_ratio=0.2", "examples.last_ratio=0", "model.dropout=0.2", "model.attention_dropout=0.2"],
    "sasrec": ["model.n_heads=2", "model.dropout=0.2", "model.attention_dropout=0.2"],
}

INNER = {"bert4rec": 4, "sasrec": 1}  # width of the feed-forward part over that of the model, as published and as all peers have it


class Clock(pl.Callback):
    """The wall's seconds of each training epoch, without validation; stops once ``target`` is reached."""

    def __init__(self, target: float | None) -> None:
        self.target, self.seconds, self.reached = target, [], []
        self.tokens = self.targets = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.tokens = self.targets = 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int) -> None:
        self.tokens += int((batch.history.items != PAD).sum())
        self.targets += int((batch.targets != PAD).sum())
        self.stop = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds.append(self.stop - self.start)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.target is not None and not trainer.sanity_checking:
            self.reached.append(float(trainer.callback_metrics["valid/ndcg@10"]))
            trainer.should_stop = self.reached[-1] >= self.target


def main(asked: dict[str, Any]) -> dict[str, Any]:
    frame = pd.read_csv(asked["data"])
    start = time.perf_counter()
    data = recpref.Interactions.from_dataframe(frame, user="user_id", item="item_id", time="timestamp")
    prepare = time.perf_counter() - start
    clock, ours = Clock(asked["target"]), trainers.callbacks
    trainers.callbacks = lambda *arguments, **named: [clock, *ours(*arguments, **named)]
    own = [] if asked["target"] is not None else ["examples.crop=0", "optimizer.average=0", "loader.shuffle_ties=false"]
    shape = [
        f"model.d_model={asked['width']}",
        f"model.d_ff={INNER[asked['model']] * asked['width']}",
        "model.max_len=200",
        "model.n_layers=2",
    ]
    split = "split=none" if asked["target"] is None else "split=leave_one_out"
    run_of = [split, f"trainer.max_epochs={asked['epochs']}", f"loader.batch_size={asked['batch']}", "stopping.every=1", "logger=[]"]
    with tempfile.TemporaryDirectory() as folder:
        run = recpref.fit(f"model={asked['model']}", *OPTIONS[asked["model"]], *shape, *own, *run_of, f"out={folder}", data=data)
        histories = frame.drop_duplicates(["user_id", "item_id"])
        start = time.perf_counter()
        rows = len(run.recommend(histories, k=10)) if asked["target"] is None and asked.get("recommended", True) else 0
        recommend = time.perf_counter() - start
    return {**measured(clock, prepare, recommend, rows), "reached": clock.reached}


if __name__ == "__main__":
    answered(main)
