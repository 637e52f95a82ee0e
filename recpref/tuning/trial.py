"""One trial: a configuration, trained and validated. The test split is never asked, and not even built into a question."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl

from recpref import components
from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.evaluation.measures import evaluation_of
from recpref.experiment import validated
from recpref.plan import Plan
from recpref.training.stopping import Stopping
from recpref.tuning.space import Among, Dimension, overrides


class Pruning(pl.Callback):
    """Tells the study every validation, and breaks a hopeless trial off. ``metric`` is what the plan validates by."""

    def __init__(self, trial: Any, metric: str):
        self.trial, self.metric = trial, metric

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        import optuna

        self.trial.report(float(trainer.callback_metrics[self.metric]), trainer.current_epoch + 1)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"pruned after epoch {trainer.current_epoch + 1}")


def judged_by(plan: Plan) -> str:
    """The validation metric that trials of a plan are judged by: NDCG at the k that it stops by. A model that counts stops by nothing:
    without that k among ``evaluation.ks``, the largest one below it is taken, or the smallest.

    Raises: ValueError where the k that a training stops by is not measured.
    """
    stopping, ks = Stopping(**plan.stopping), evaluation_of(plan).ks
    if stopping.k in ks:
        return stopping.metric
    if not components.trains_itself(components.find("model", plan.model.name)):
        raise ValueError(f"stopping.k={stopping.k} chooses, so it must be among evaluation.ks={list(ks)}")
    return f"valid/ndcg@{max((k for k in ks if k <= stopping.k), default=min(ks))}"


class Problem(NamedTuple):
    """What all trials of a study share. ``fixed`` are overrides; the budget is part of them. ``stages`` is where the first stages of trials
    with ``start=base`` or ``start=self`` are kept; without it, each trial trains its own."""

    fixed: Sequence[str]
    space: dict[str, Dimension]
    data: Interactions
    stages: Path | None = None

    def __call__(self, trial: Any) -> float:
        """The best validation NDCG of a new configuration, as ``judged_by`` says.

        Raises: optuna.TrialPruned; ValueError for a combination that no run would take; KeyboardInterrupt where it was stopped.
        """
        found = overrides(self.space, lambda key, choice: _asked(trial, key, choice))
        trial.set_user_attr("overrides", found)
        plan = compose([*self.fixed, *found, "logger=csv"])
        metric = judged_by(plan)
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="recpref-trial-") as place:
            metrics, course = validated(plan, self.data, Path(place), stages=self.stages, watchers=[Pruning(trial, metric)])
        if course.interrupted:
            raise KeyboardInterrupt
        trial.set_user_attr("seconds", time.perf_counter() - start)
        trial.set_user_attr("best_epoch", course.best_epoch)
        trial.set_user_attr("underfit", course.underfit)
        return float(metrics[metric])


def _asked(trial: Any, key: str, choice: Dimension) -> Any:
    if isinstance(choice, Among):
        return trial.suggest_categorical(key, choice.values)
    if choice.whole:
        return trial.suggest_int(key, round(choice.low), round(choice.high), log=choice.log)
    return trial.suggest_float(key, choice.low, choice.high, log=choice.log)
