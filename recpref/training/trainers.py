"""Lightning's trainer with our callbacks, what it may say, and how many processes its options ask for."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from recpref.processes import connected, first, restarted, started
from recpref.suggest import unknown
from recpref.training.callbacks import callbacks
from recpref.training.kept_memory import keep_freed_memory
from recpref.training.stopping import Stopping
from recpref.workplace import STATE

SEARCHING, PLAIN = "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"
STRATEGIES = ("auto", "ddp", SEARCHING, PLAIN)  # those whose processes run the whole program
LENGTHS = ("max_epochs", "max_steps", "max_time", "limit_train_batches")  # any of which ends training where it is zero
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # Lightning sets it with trainer.deterministic


def refuse_nothing(options: dict[str, Any]) -> None:
    """Raises: ValueError for a length of training at which not one step is taken, or steps of no batches."""
    if (batches := options.get("accumulate_grad_batches", 1)) < 1:
        raise ValueError(f"trainer.accumulate_grad_batches={batches} must be at least 1")
    for key in LENGTHS:
        if set(re.findall(r"\d", str(options.get(key)))) == {"0"}:
            unlimited = "-1 for no limit" if key in ("max_epochs", "max_steps") else "leave it out"
            raise ValueError(f"trainer.{key}={options.get(key)} would train nothing; say more than that, or {unlimited}")


def epochs_allowed(options: dict[str, Any]) -> int:
    """How many epochs the options allow; -1 without a limit. Where they say nothing at all, Lightning's 1000."""
    epochs = options.get("max_epochs")
    if epochs is None:
        return 1000 if options.get("max_steps", -1) < 0 and options.get("max_time") is None else -1
    return int(epochs)


def trainer_for(options: dict[str, Any], stopping: Stopping, loggers: list[Logger], place: Path, *, validated: bool) -> pl.Trainer:
    """Lightning's trainer with our callbacks. On a processor, freed memory is kept from here on.

    Raises: ValueError with what Lightning has against the options.
    """
    ours = {
        "callbacks": callbacks(stopping, place / STATE, validated=validated),
        "logger": loggers,
        "default_root_dir": place,
        "check_val_every_n_epoch": stopping.every,
        "enable_progress_bar": sys.stderr.isatty(),
        "use_distributed_sampler": False,
        "enable_checkpointing": False,
    }
    trainer = _trainer(options, ours)
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    return trainer


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advertisements and its advice on data loaders, which are not ours, from the screen."""
    levels = {name: logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def settings_kept() -> Iterator[None]:
    """What ``trainer.deterministic`` and ``trainer.benchmark`` set for the whole process is afterwards as it was before."""
    workspace, benchmark = os.environ.get(WORKSPACE), torch.backends.cudnn.benchmark
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        if (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()) != (strict, warns):
            torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmark
        os.environ.pop(WORKSPACE, None)
        os.environ.update({} if workspace is None else {WORKSPACE: workspace})


@contextmanager
def said_by_lightning() -> Iterator[None]:
    """Raises: ValueError with what Lightning has against the options, which it may find in the middle of fitting."""
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(f"trainer.*: {' '.join(str(error).split())}") from error


def _trainer(options: dict[str, Any], ours: dict[str, Any]) -> pl.Trainer:
    try:
        return pl.Trainer(**options, **ours)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ValueError(f"trainer.*: {error}") from error


def with_strategy(options: dict[str, Any], *, resting: bool) -> dict[str, Any]:
    """The options for several processes, where they leave the strategy open. ``resting``: some parameters have no gradient in some steps,
    as those of a flip head in its first epochs, so that the processes have to look for them in every step."""
    open_ = options.get("strategy", "auto") in ("auto", "ddp")
    return {**options, "strategy": SEARCHING if resting else PLAIN} if open_ else options


def processes_of(options: dict[str, Any]) -> int:
    """How many processes the options ask for.

    Raises: ValueError for a strategy that we do not train by, or where torchrun or SLURM has started another number of processes.
    """
    strategy = options.get("strategy", "auto")
    if strategy not in STRATEGIES:
        raise ValueError(unknown("trainer.strategy", str(strategy), STRATEGIES))
    if (options.get("devices", 1), options.get("num_nodes", 1)) == (1, 1):
        wanted = 1
    else:
        with quiet(), settings_kept():
            wanted = _trainer(options, {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}).world_size
    found = started()
    if found not in (1, wanted) and not connected() and not restarted():
        raise ValueError(
            f"{found} processes were started, and trainer.devices={options.get('devices', 1)} on trainer.num_nodes="
            f"{options.get('num_nodes', 1)} asks for {wanted}; say trainer.strategy=ddp and as many devices a node as processes"
        )
    if wanted > 1 and found == 1 and first() and multiprocessing.parent_process() is not None:
        raise ValueError(f"trainer.devices={options.get('devices', 1)}: here one process trains; several are started from a command only")
    return wanted
