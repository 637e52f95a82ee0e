"""What a finished run has written down, read without its model: the material of a leaderboard."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from recpref.plan import FILE, Plan, Written, read

NEEDED = (FILE, "metrics.json", "environment.json", "per_user.parquet")
SPREAD = ("hr", "ndcg", "recall", "mrr", "map", "f1", "precision")  # metrics with a value a user, and so with an interval
OURS = ("train", "valid", "test", "llm")  # kinds of metrics, all of them numbers; what another toolkit says of itself may be text
MEASURED = ("train/seconds", "train/parameters")  # of every run, whatever it is
# Of the metrics of training, those that cannot be undefined:
COUNTED = (*MEASURED, "train/seconds_before", "train/epochs", "train/best_epoch")
NUMBERS = ("threads", "peak_memory_mib", "seconds_per_1000")  # of an environment
CLOSE = 1e-6  # a mean over users was taken of the very values that are kept


@dataclass(frozen=True)
class Record:
    """A run's folder, its plan and data, and what was measured; ``metrics`` as ``Run.metrics``, but for what training logged of itself and
    is undefined, such as an AUC without positives."""

    path: Path
    written: Written
    metrics: dict[str, Any]
    environment: dict[str, Any]

    @property
    def plan(self) -> Plan:
        return self.written.plan

    @property
    def interrupted(self) -> bool:
        """Whether training was stopped before its end: such a run is no result."""
        return bool(self.metrics.get("train/interrupted", False))

    @cached_property
    def per_user(self) -> pd.DataFrame:
        """A row a user, indexed by the user's id. Raises: ValueError where the file is damaged."""
        file = self.path / "per_user.parquet"
        try:
            return pd.read_parquet(file).set_index("user")
        except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are such
            raise ValueError(f"{file} is damaged: {_line(error)}; {_remedy(self.path)}") from error

    @cached_property
    def curve(self) -> pd.DataFrame:
        """``epoch`` (from 1), ``train/loss`` and the validation NDCG at ``stopping.k`` as they were logged; empty where nothing was."""
        logs = sorted(self.path.glob("logs*/metrics.csv"), key=lambda file: (len(file.parent.name), file.parent.name))
        try:
            frames = [pd.read_csv(file) for file in logs if file.stat().st_size]
        except ValueError as error:
            raise ValueError(f"{self.path}/logs is damaged: {_line(error)}") from error
        if not frames:
            return pd.DataFrame({"epoch": []})
        together = pd.concat(frames)
        if "epoch" not in together:
            raise ValueError(f"{self.path}/logs is damaged: no column epoch")
        merged = together.groupby("epoch", as_index=False).last()  # a resumed training logs its epoch again
        return merged.assign(epoch=merged.epoch.astype(int) + 1)


def recorded(path: Path) -> Record:
    """Raises: FileNotFoundError where there is no run; ValueError where it is incomplete, of another format or damaged."""
    if not (path / FILE).is_file():
        raise FileNotFoundError(f"{path} is not a run: it has no {FILE}")
    missing = [name for name in NEEDED if not (path / name).is_file()]
    if missing:
        raise ValueError(f"{path} is damaged: it lacks {', '.join(missing)}; remove it and it will be made anew")
    written = read(path / FILE)
    metrics, environment = _table(path / "metrics.json"), _table(path / "environment.json")
    metrics = {name: value for name, value in metrics.items() if not _undefined(name, value)}
    _refuse_text(path / "metrics.json", {name: value for name, value in metrics.items() if name.partition("/")[0] in OURS})
    _refuse_text(path / "environment.json", {name: environment[name] for name in NUMBERS if environment.get(name) is not None})
    if absent := [name for name in MEASURED if name not in metrics]:
        raise ValueError(f"{path / 'metrics.json'} is damaged: it lacks {', '.join(absent)}; {_remedy(path)}")
    record = Record(path, written, metrics, environment)
    _refuse_other_users(record)  # damage is found now, not when the table is made
    return record


def _table(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {_line(error)}; {_remedy(file.parent)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged: it holds no table of names and values; {_remedy(file.parent)}")
    return content


def _undefined(name: str, value: Any) -> bool:
    return name.startswith("train/") and name not in COUNTED and isinstance(value, float) and not math.isfinite(value)


def _refuse_text(file: Path, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{file} is damaged: {name} is {value!r}, and no number; {_remedy(file.parent)}")


def _refuse_other_users(record: Record) -> None:
    """Means of metrics must be those of the users' values: rows or values that were lost would count as a result."""
    file = record.path / "per_user.parquet"
    if (again := record.per_user.index.duplicated()).any():
        raise ValueError(f"{file} is damaged: user {record.per_user.index[again][0]!r} is there more than once; {_remedy(record.path)}")
    if strange := [name for name in map(str, record.per_user.columns) if f"test/{name}" not in record.metrics]:
        raise ValueError(f"{file} is damaged: metrics.json knows nothing of its column {strange[0]}; {_remedy(record.path)}")
    for name, mean in record.metrics.items():
        metric = name.removeprefix("test/")
        if metric == name or metric.partition("@")[0] not in SPREAD:
            continue
        if metric not in record.per_user:
            raise ValueError(f"{file} is damaged: it has no column {metric}; {_remedy(record.path)}")
        values = record.per_user[metric]
        if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
            raise ValueError(f"{file} is damaged: {metric} is not a number for every user; {_remedy(record.path)}")
        if len(values) and not math.isclose(float(values.mean()), mean, rel_tol=0, abs_tol=CLOSE):
            told = f"its users' mean {metric} is {values.mean():.6f}, and metrics.json says {mean:.6f}"
            raise ValueError(f"{file} is damaged: {told}; {_remedy(record.path)}")


def _remedy(path: Path) -> str:
    return f"remove {path} and it will be made anew"


def found(place: Path) -> list[Path]:
    """The folders of all runs at or under ``place``, or whose seeds it is the common beginning of (``runs/.../4f1d0c2a``).

    Raises: FileNotFoundError where there is none.
    """
    if (place / FILE).is_file():
        return [place]
    root = place if place.is_dir() else place.parent
    under = [file.parent for file in place.rglob(FILE)] if root == place else list(root.glob(f"{place.name}-s*"))
    runs = sorted(path for path in under if not any(part.startswith(".") for part in path.relative_to(root).parts))
    if not runs:
        raise FileNotFoundError(f"no run is at or under {place}")
    return runs


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
