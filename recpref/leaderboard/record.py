"""What a finished run has written down, read without its model: the material of a leaderboard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from recpref.plan import FILE, Plan, Written, read

NEEDED = (FILE, "metrics.json", "environment.json", "per_user.parquet")


@dataclass(frozen=True)
class Record:
    """A run's folder, its plan and data, and what was measured; ``metrics`` as ``Run.metrics``."""

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
            raise ValueError(f"{file} is damaged: {_line(error)}") from error

    @cached_property
    def curve(self) -> pd.DataFrame:
        """``epoch`` (from 1), ``train/loss`` and ``valid/ndcg@10`` as they were logged; empty where nothing was."""
        logs = sorted(self.path.glob("logs*/metrics.csv"), key=lambda file: (len(file.parent.name), file.parent.name))
        try:
            frames = [pd.read_csv(file) for file in logs if file.stat().st_size]
        except ValueError as error:
            raise ValueError(f"{self.path}/logs is damaged: {_line(error)}") from error
        if not frames:
            return pd.DataFrame({"epoch": []})
        merged = pd.concat(frames).groupby("epoch", as_index=False).last()  # a resumed training logs its epoch again
        return merged.assign(epoch=merged.epoch.astype(int) + 1)


def recorded(path: Path) -> Record:
    """Raises: FileNotFoundError where there is no run; ValueError where it is incomplete, of another format or damaged."""
    if not (path / FILE).is_file():
        raise FileNotFoundError(f"{path} is not a run: it has no {FILE}")
    missing = [name for name in NEEDED if not (path / name).is_file()]
    if missing:
        raise ValueError(f"{path} is damaged: it lacks {', '.join(missing)}; remove it and it will be made anew")
    contents = []
    for name in ("metrics.json", "environment.json"):
        try:
            contents.append(json.loads((path / name).read_text()))
        except ValueError as error:
            raise ValueError(f"{path / name} is damaged: {_line(error)}; remove {path} and it will be made anew") from error
        if not isinstance(contents[-1], dict):
            raise ValueError(f"{path / name} is damaged: it holds no table of names and values; remove {path} and it will be made anew")
    record = Record(path, read(path / FILE), *contents)
    _ = record.per_user  # damage is found now, not when the table is made
    return record


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
