"""The one LightningModule: every model and every objective trains here."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from recpref.data.randomness import seed_of
from recpref.evaluation.protocol import Evaluation, Question
from recpref.processes import alone, connect_again, connected, gathered, summed, world
from recpref.retrieval.topk import TopK
from recpref.training import shards
from recpref.training.callbacks import KeepBest
from recpref.training.datamodule import Data
from recpref.training.epoch_means import EpochMeans
from recpref.training.interruption import graceful_interrupt
from recpref.training.lazy_adam import clip
from recpref.training.optimizer import Optimizer
from recpref.training.over_shards import OverShards
from recpref.training.stopping import Stopping, still_rising
from recpref.training.trainers import processes_of, quiet, said_by_lightning, trainer_for, with_strategy
from recpref.types import PAD, Batch, Objective, Step
from recpref.workplace import STATE


class Training(pl.LightningModule):
    """Divides the objective's summed loss by its count, that of all batches of a step, and ranks the whole catalogue to validate.

    Randomness is a function of (seed, epoch, batch): dropout and samplers are seeded anew for each batch, so a resumed run
    repeats an uninterrupted one exactly. Of several processes each has its own, the first that of one alone.

    Sums and counts are those of all processes. Each ranks whole batches of the validation users, so that the numbers are those of one.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        optimizer: Optimizer,
        evaluation: Evaluation,
        *,
        seed: int,
        horizon: int | None = None,
        stages: float | None = None,
    ):
        super().__init__()
        self.model, self.optimizer_of, self.evaluation, self.seed = model, optimizer, evaluation, seed
        self.horizon, self.stages = horizon, stages
        self.average = optimizer.averaged(model)
        if isinstance(objective, nn.Module):
            self.objective = objective  # its parameters train, too
        else:
            self.__dict__["objective"] = objective
        optimizer.mark(self)
        self.shards: shards.Shards = {}
        self.counts: list[int] = []  # of the batches whose gradients are being accumulated
        self.means = EpochMeans()
        self.validations: list[dict[str, float]] = []
        self.began, self.before = time.perf_counter(), 0.0
        self.hits: list[Tensor] = []
        self.relevant: list[Tensor] = []
        self.places: list[Tensor] = []

    def configure_model(self) -> None:
        """Lightning's place to divide a model: processes know each other, and nothing is on a device yet."""
        if connected() and not self.shards:
            self.shards = shards.divided(self, self.model)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        seed = seed_of(self.seed, self.current_epoch, index, self.global_rank)
        _seed(seed, batch.targets.device)
        step = Step(self.current_epoch, self.global_step, torch.Generator(batch.targets.device).manual_seed(seed_of(seed, 1)))
        total, count, logs = self.objective(self.model, batch, step)
        if connected():
            total, shown, count, logs = _of_all(total * 0 if batch.idle else total, 0 if batch.idle else int(count), logs)
        else:
            shown = total / count.clamp(min=1)
        self.counts.append(int(count))
        if not bool(torch.isfinite(shown)):
            raise FloatingPointError(f"the loss became {shown.item()} at step {self.global_step}; try a smaller optimizer.lr")
        more = {f"train/{name}": value for name, value in logs.items()}
        self.means.add(self.current_epoch, int(count), {"train/loss": shown, **more})
        self.log("train/loss", shown, on_step=False, on_epoch=True, prog_bar=True, batch_size=int(count))
        self.log_dict(more, on_step=False, on_epoch=True, batch_size=int(count))
        return total / max(1, self.counts[0])

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Every batch of a step was divided by the count of the first, and Lightning divided all by how many they were to be: now by the
        count of all, so that accumulated batches are as one. Of rows in shards no mean over processes is taken, for which losses were
        multiplied (``_of_all``)."""
        of_first, of_all = max(1, self.counts[0]), max(1, sum(self.counts))
        factor = self.trainer.accumulate_grad_batches * of_first / of_all
        self.counts = []
        rows = shards.parameters(self.shards)
        if factor != 1:
            torch._foreach_mul_([p.grad for p in self.parameters() if p.grad is not None], factor)
        if rows:
            torch._foreach_mul_([p.grad for p in rows if p.grad is not None], 1 / world())

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Lightning's own, but for gradients of rows and of shards, which it cannot clip."""
        if (self.optimizer_of.sparse or self.shards) and gradient_clip_val:
            clip(self, gradient_clip_val, gradient_clip_algorithm, shards.parameters(self.shards))
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    @property
    def learned(self) -> Any:
        """The model to use: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    def on_validation_epoch_start(self) -> None:
        self.hits, self.relevant, self.places = [], [], []
        self.topk = OverShards(self.learned, seed=self.seed) if self.shards else TopK(self.learned, seed=self.seed)

    def validation_step(self, asked: Question, index: int) -> None:
        if len(asked.targets) or self.shards:
            ranking = self.topk.recommend(asked.query, max(self.evaluation.ks))
            self.hits.append(self.evaluation.hits(ranking, asked.targets))
        else:  # it is other processes' turn
            self.hits.append(asked.targets.new_zeros(0, max(self.evaluation.ks), dtype=torch.bool))
        self.relevant.append((asked.targets != PAD).sum(1))
        turn = index * self.trainer.world_size + self.global_rank
        self.places.append(turn * self.evaluation.batch_size + torch.arange(len(asked.targets), device=asked.targets.device))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return  # what has not been trained is no result
        order = gathered(torch.cat(self.places)).argsort()
        hits, relevant = (gathered(torch.cat(part))[order] for part in (self.hits, self.relevant))
        values = self.evaluation.measure(hits, relevant)
        means = {f"valid/{name}": value.mean().float() for name, value in values.items()}
        chooses = f"valid/ndcg@{max(self.evaluation.ks)}"
        self.log_dict({name: mean for name, mean in means.items() if name != chooses})
        self.log(chooses, means[chooses], prog_bar=True)
        self.validations.append({"epoch": self.current_epoch + 1.0, **{name: float(mean) for name, mean in means.items()}})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        seconds = self.before + time.perf_counter() - self.began
        checkpoint.update(**self.means.state(), validations=self.validations, seconds=seconds, stages=self.stages)
        if self.shards:
            shards.whole(checkpoint, self.shards)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.means.load(checkpoint)
        self.validations, self.before = checkpoint["validations"], checkpoint.get("seconds", 0.0)
        self.stages = checkpoint.get("stages")
        if self.shards:
            shards.own(checkpoint, self.shards)

    def configure_optimizers(self) -> Any:
        steps = self.trainer.estimated_stepping_batches
        if self.horizon is not None:  # a refit keeps the schedule it was chosen under
            an_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
            steps = math.inf if self.horizon < 0 else an_epoch * self.horizon
            steps = steps if self.trainer.max_steps < 0 else min(steps, self.trainer.max_steps)
        trained = nn.ModuleList([self.model, *([self.objective] if isinstance(self.objective, nn.Module) else [])])
        optimizer, schedule = self.optimizer_of(trained, steps, fused="mixed" not in str(self.trainer.precision))
        if self.shards:
            shards.saved_whole(optimizer, self.shards)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _seed(seed: int, device: torch.device) -> None:
    """Seeds the generators that training draws from. ``torch.manual_seed`` asks every kind of device that might exist: a millisecond."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)


def _of_all(total: Tensor, count: int, logs: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor, dict[str, float]]:
    """What to descend here, so that the mean of all processes' gradients is that of the sum of losses; that sum over the sum of counts;
    the sum of counts; and the logs' means over all that was counted."""
    names = sorted(logs)
    loss, counted, *sums = summed([float(total.detach()), float(count), *(float(logs[name]) * count for name in names)])
    n = max(1.0, counted)
    shown = total.new_tensor(loss / n)
    return total * world(), shown, torch.tensor(int(counted)), {name: value / n for name, value in zip(names, sums, strict=True)}


class Course(NamedTuple):
    """How training went. ``losses`` and ``validations`` have a row an epoch they were taken at.

    ``before``: seconds of training before it was interrupted and continued, up to the state that was saved. ``stages``: seconds of the
    runs that it was started from, if it was. ``said``: what a model that trains itself wants among the metrics.
    """

    epochs: int = 0
    best_epoch: int = 0
    interrupted: bool = False
    underfit: bool = False
    losses: list[dict[str, float]] = []  # noqa: RUF012
    validations: list[dict[str, float]] = []  # noqa: RUF012
    before: float = 0.0
    stages: float | None = None
    said: dict[str, Any] = {}  # noqa: RUF012

    @property
    def facts(self) -> dict[str, Any]:
        """What belongs among a run's metrics: the course, and what the objective logged in the kept epoch. A model with its own ``fit``:
        what it returned."""
        stages = {} if self.stages is None else {"train/seconds_before": self.stages}
        if not self.epochs:
            return {**self.said, **stages}
        kept = next((row for row in self.losses if row["epoch"] == self.best_epoch), {})
        logged = {name: value for name, value in kept.items() if name not in ("epoch", "train/loss")}
        return {
            **{f"train/{name}": getattr(self, name) for name in ("epochs", "best_epoch", "interrupted", "underfit")},
            **stages,
            **logged,
        }


def train(
    module: Training,
    data: Data,
    stopping: Stopping,
    options: dict[str, Any],
    loggers: list[Logger],
    place: Path,
    watchers: Sequence[pl.Callback] = (),
) -> Course:
    """Trains, from the saved state in ``place`` if there is one, and leaves the model with its best weights.

    The best are those of the best validation; without validation, the last. ``watchers`` are told of training as Lightning's callbacks are.
    """
    state = _readable(place / STATE)
    if processes_of(options) > 1:
        options = with_strategy(options, resting=bool(resting(module, data.batches.one())))
    with quiet():
        trainer = trainer_for(options, stopping, loggers, place, validated=len(data.valid.targets) > 0)
        trainer.callbacks.extend(watchers)
        if trainer.world_size > 1:
            connect_again(trainer.strategy.root_device)
        if trainer.precision == "64-true":
            module.double()  # Lightning's does so after it has read the saved state, of which a single-precision model keeps half
        with said_by_lightning(), graceful_interrupt(trainer) as interrupted, alone() if trainer.world_size == 1 else nullcontext():
            trainer.fit(module, datamodule=data, ckpt_path=state, weights_only=True)
    best = next((callback for callback in trainer.callbacks if isinstance(callback, KeepBest)), None)
    if best is not None and best.weights:
        module.load_state_dict(best.weights)
    module.model.load_state_dict(module.learned.state_dict())
    shards.unite(module.model)
    early = trainer.early_stopping_callback
    asked = best is not None and trainer.limit_val_batches != 0  # validation, that is
    ran_out = not interrupted.is_set() and not (early and early.stopped_epoch)
    return Course(
        epochs=trainer.current_epoch,
        best_epoch=best.epoch if best is not None and best.weights else trainer.current_epoch,
        interrupted=interrupted.is_set(),
        underfit=ran_out and asked and still_rising([row[stopping.metric] for row in module.validations]),
        losses=module.means.rows,
        validations=module.validations,
        before=module.before,
        stages=module.stages,
    )


def resting(module: Training, batch: Batch) -> list[str]:
    """The names of the parameters that get no gradient from a batch in the first epoch. Leaves everything as it was."""
    parts = nn.ModuleList([part for part in (module.model, module.objective) if isinstance(part, nn.Module)])
    modes = {part: part.training for part in parts.modules()}
    parts.eval()  # in training, models remember what they have seen
    with torch.random.fork_rng(devices=[]), alone():
        total, _, _ = module.objective(module.model, batch, Step(0, 0, torch.Generator().manual_seed(0)))
        total.backward()
    found = [name for name, parameter in parts.named_parameters() if parameter.requires_grad and parameter.grad is None]
    parts.zero_grad(set_to_none=True)
    for part, mode in modes.items():
        part.training = mode
    return found


def _readable(state: Path) -> Path | None:
    """The saved state, if there is one. Raises: ValueError where it is damaged."""
    if not state.is_file():
        return None
    try:
        torch.load(state, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{state} cannot be read ({type(error).__name__}); remove {state.parent} and start anew") from error
    return state
