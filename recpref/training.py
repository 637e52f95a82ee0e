"""The one LightningModule and the one LightningDataModule: every model and every objective trains here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn

from recpref.callbacks import METRIC, Stopping, callbacks
from recpref.data.batches import Batches, Examples, Loader
from recpref.data.heldout import Split
from recpref.data.randomness import seed_of
from recpref.evaluation import Evaluation, Question
from recpref.optimizer import Optimizer
from recpref.topk import TopK
from recpref.types import PAD, Batch, Objective, Step


class Training(pl.LightningModule):
    """Divides the objective's summed loss by its count, and ranks the whole catalogue to validate.

    Randomness is a function of (seed, step): dropout and samplers are seeded anew at each step, so a resumed run repeats
    an uninterrupted one exactly.
    """

    def __init__(self, model: Any, objective: Objective, optimizer: Optimizer, evaluation: Evaluation, *, seed: int):
        super().__init__()
        self.model, self.optimizer_of, self.evaluation, self.seed = model, optimizer, evaluation, seed
        if isinstance(objective, nn.Module):
            self.objective = objective  # its parameters train, too
        else:
            self.__dict__["objective"] = objective
        self.validations: list[float] = []
        self.hits: list[Tensor] = []
        self.relevant: list[Tensor] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        seed = seed_of(self.seed, self.global_step, self.global_rank)
        torch.manual_seed(seed)
        step = Step(self.current_epoch, self.global_step, torch.Generator(batch.targets.device).manual_seed(seed))
        total, count, logs = self.objective(self.model, batch, step)
        loss = total / count.clamp(min=1)
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"the loss became {float(loss)} at step {self.global_step}; try a smaller optimizer.lr")
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=int(count))
        self.log_dict({f"train/{name}": value for name, value in logs.items()}, on_step=False, on_epoch=True, batch_size=int(count))
        return loss

    def on_validation_epoch_start(self) -> None:
        self.hits, self.relevant = [], []
        self.topk = TopK(self.model, seed=self.seed)

    def validation_step(self, asked: Question, index: int) -> None:
        ranking = self.topk.recommend(asked.query, max(self.evaluation.ks))
        self.hits.append(self.evaluation.hits(ranking, asked.targets))
        self.relevant.append((asked.targets != PAD).sum(1))

    def on_validation_epoch_end(self) -> None:
        values = self.evaluation.measure(torch.cat(self.hits), torch.cat(self.relevant))
        means = {f"valid/{name}": value.mean().float() for name, value in values.items()}
        self.log_dict({name: mean for name, mean in means.items() if name != METRIC})
        self.log(METRIC, means[METRIC], prog_bar=True)
        self.validations.append(float(means[METRIC]))

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.optimizer_of(self, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Data(pl.LightningDataModule):
    """Training batches, and the validation users as questions."""

    def __init__(self, split: Split, examples: Examples, loader: Loader, evaluation: Evaluation, *, seed: int):
        super().__init__()
        self.split, self.evaluation = split, evaluation
        self.batches = Batches(split.train, examples, batch_size=loader.batch_size, seed=seed, epoch=self.epoch)

    def epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def train_dataloader(self) -> Batches:
        return self.batches

    def val_dataloader(self) -> _Questions:
        return _Questions(self.split, self.evaluation)


class _Questions:
    """The validation users, as often as asked."""

    def __init__(self, split: Split, evaluation: Evaluation):
        self.split, self.evaluation = split, evaluation

    def __len__(self) -> int:
        return len(self.evaluation.order(self.split.valid))

    def __iter__(self) -> Iterator[Question]:
        return self.evaluation.questions(self.split.valid)


def trainer_for(folder: Path, stopping: Stopping, options: dict[str, Any]) -> pl.Trainer:
    """Lightning's trainer with our callbacks, and logs for people (CSV) and for TensorBoard under ``folder/logs``."""
    bar = sys.stderr.isatty()
    return pl.Trainer(
        **options,
        callbacks=callbacks(stopping, folder / "checkpoints"),
        logger=[CSVLogger(folder, name="", version="logs"), TensorBoardLogger(folder, name="", version="logs")],
        default_root_dir=folder,
        check_val_every_n_epoch=stopping.every,
        enable_progress_bar=bar,
        use_distributed_sampler=False,
    )
