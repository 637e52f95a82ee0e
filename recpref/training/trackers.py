"""Trackers: where the course of training is logged, through Lightning's own loggers."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from typing import Any

from pytorch_lightning import loggers
from pytorch_lightning.loggers import Logger

from recpref.suggest import unknown

KNOWN = ("csv", "tensorboard", "wandb", "mlflow")
NONE = "none"  # alone: nothing is logged
OPTIONAL = {"wandb": "wandb", "mlflow": "mlflow"}  # tracker -> the package it needs


def chosen_trackers(choice: str | list[str]) -> list[str]:
    """``csv`` or ``[csv, wandb]`` as a list; ``none`` is an empty one. Raises: ValueError for an unknown tracker or a missing package."""
    names = [choice] if isinstance(choice, str) else list(choice)
    if names == [NONE]:
        return []
    for name in names:
        if name not in KNOWN:
            raise ValueError(unknown("logger", str(name), KNOWN, hint=f"or {NONE} alone"))
        if name in OPTIONAL and importlib.util.find_spec(OPTIONAL[name]) is None:
            raise ValueError(f"logger={name} needs a package that is not installed: pip install {OPTIONAL[name]}")
    return names


def trackers(choice: str | list[str], folder: Path, name: str) -> list[Logger]:
    """The loggers. Files go under ``folder/logs``; a resumed training adds ``logs-2`` and so on. ``name`` is the run's."""
    taken = itertools.chain(["logs"], (f"logs-{n}" for n in itertools.count(2)))
    logs = next(place for place in taken if not (folder / place).exists())
    make: dict[str, Any] = {
        "csv": lambda: loggers.CSVLogger(folder, name="", version=logs),
        "tensorboard": lambda: loggers.TensorBoardLogger(folder, name="", version=logs),
        "wandb": lambda: loggers.WandbLogger(project="recpref", name=name, save_dir=folder / logs),
        "mlflow": lambda: loggers.MLFlowLogger(experiment_name="recpref", run_name=name, save_dir=str(folder / logs)),
    }
    return [make[tracker]() for tracker in chosen_trackers(choice)]
