"""The one LightningDataModule: training batches, and validation users as questions, each process its share of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch

from recpref.data.batches import Batches, Examples, Loader
from recpref.data.heldout import Heldout
from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Evaluation, Question, question
from recpref.types import History, Query


class Data(pl.LightningDataModule):
    """Training batches, and the validation users as questions. ``timed`` adds times to the histories of both."""

    def __init__(
        self,
        rows: Interactions,
        valid: Heldout,
        examples: Examples,
        loader: Loader,
        evaluation: Evaluation,
        *,
        seed: int,
        timed: bool = False,
    ):
        super().__init__()
        self.valid, self.evaluation, self.timed = valid, evaluation, timed
        self.batches = Batches(rows, examples, loader, seed=seed, place=self.place, share=self.share, device=self.device, timed=timed)

    def place(self) -> tuple[int, int]:
        """The epoch, and how many of its batches are done: more than none where training was resumed inside it."""
        if self.trainer is None:
            return 0, 0
        return self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def share(self) -> tuple[int, int]:
        """The number of this process, and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def device(self) -> torch.device:
        """Where this process trains."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def train_dataloader(self) -> Batches:
        return self.batches

    def val_dataloader(self) -> list[Questions]:
        return [Questions(self.valid, self.evaluation, self.timed, *self.share())] if len(self.valid.targets) else []


class Questions:
    """The validation users, as often as asked: every ``processes``-th batch of them, and nobody where none is left for the last turn."""

    def __init__(self, heldout: Heldout, evaluation: Evaluation, timed: bool, number: int, processes: int):
        self.heldout, self.evaluation, self.timed, self.number, self.processes = heldout, evaluation, timed, number, processes

    def __len__(self) -> int:
        return -(-len(self.evaluation.order(self.heldout)) // self.processes)

    def __iter__(self) -> Iterator[Question]:
        batches = self.evaluation.order(self.heldout)
        for turn in range(self.number, len(self) * self.processes, self.processes):
            yield self.asked(batches[turn]) if turn < len(batches) else _nobody(self.asked(batches[0][:1]))

    def asked(self, users: np.ndarray) -> Question:
        """What these users are asked."""
        return question(self.heldout.history, self.heldout.targets, users, filter_seen=self.evaluation.filter_seen, timed=self.timed)


def _nobody(asked: Question) -> Question:
    """The question with no user left."""
    history = History(asked.query.history.items[:0], asked.query.history.user[:0])
    return Question(Query(history), asked.targets[:0])
