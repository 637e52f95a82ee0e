"""What is written of a finished run, and what must be there of one: safetensors, JSON, YAML and Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save_file
from torch import nn

from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Report
from recpref.plan import FILE, Written, read
from recpref.runs.environment import environment

FILES = (
    FILE,
    "metrics.json",
    "per_user.parquet",
    "model.safetensors",
    "items.parquet",
    "users.parquet",
    "item_counts.parquet",
    "environment.json",
)
SECONDS = ("train/seconds", "train/seconds_before")  # of a run itself, and of those that it was started from
OBJECTIVE = "objective.safetensors"


def complete(path: Path) -> Written:
    """What is written of a finished run. Raises: FileNotFoundError where there is none, ValueError where it lacks a file."""
    if not (path / FILE).is_file():
        raise FileNotFoundError(f"{path} is not a run: it has no {FILE}")
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise ValueError(f"{path} is not a complete run: it lacks {', '.join(missing)}")
    return read(path / FILE)


def _seconds_per_1000(model: nn.Module, report: Report) -> float | None:
    """What it takes to recommend to a thousand users, as many items as the report's largest cut-off. Reading another toolkit's answers is
    no such thing."""
    return None if not report.seconds or hasattr(model, "asked_only") else 1000 * report.seconds / len(report.per_user)


def save(
    place: Path,
    model: nn.Module,
    data: Interactions,
    metrics: dict[str, Any],
    report: Report,
    item_counts: np.ndarray,
    *,
    accelerator: str | None = "cpu",
) -> None:
    """Writes everything else that ``Run.load`` needs, and the per-user values, into ``place``. ``accelerator``: the trainer's."""
    made = {**environment(accelerator), "seconds_per_1000": _seconds_per_1000(model, report)}
    (place / "environment.json").write_text(json.dumps(made, indent=1))
    (place / "metrics.json").write_text(json.dumps(metrics, indent=1))
    report.per_user.to_parquet(place / "per_user.parquet")
    _save_state(model, place / "model.safetensors")
    data.items.write(place / "items.parquet")
    pd.DataFrame({"id": data.items.ids, "count": item_counts[1:]}).to_parquet(place / "item_counts.parquet")
    data.users.write(place / "users.parquet")


def save_objective(place: Path, objective: Any) -> None:
    """Writes what an objective learned into ``place``, if it learns anything."""
    if isinstance(objective, nn.Module):
        _save_state(objective, place / OBJECTIVE)


def _save_state(module: nn.Module, file: Path) -> None:
    save_file({name: value.cpu().contiguous().clone() for name, value in module.state_dict().items()}, file)


def seconds_in_all(metrics: dict[str, Any]) -> float:
    """Seconds of a run's training, those of the runs that it was started from among them."""
    return float(sum(metrics.get(key, 0.0) for key in SECONDS))
