"""Rows of a leaderboard: runs that differ in nothing but their seed are one row, with the spread over users and over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recpref.leaderboard import differences
from recpref.leaderboard.claims import Claimed
from recpref.leaderboard.record import SPREAD, Record, recorded
from recpref.plan import Plan, Sizes
from recpref.runs.saving import SECONDS, seconds_in_all
from recpref.significance import Comparison, interval

PLANNED = {  # empty columns, until the modules that report these are here: "A table has its columns" in docs/decisions.md
    "m_at_k": "test/m@10",
    "steering": "test/steering",
    "validity_rate": "test/validity_rate",
    "llm_calls": "llm/calls",
    "llm_cost_usd": "llm/cost_usd",
}

COURSE = (*SECONDS, *(f"train/{name}" for name in ("parameters", "epochs", "best_epoch", "interrupted", "underfit")))  # see Cost


@dataclass(frozen=True)
class Cost:
    """Means over seeds; memory is the largest. ``train_seconds`` counts what the runs were started from, too. ``seconds_per_1000``
    recommends to a thousand users."""

    train_seconds: float
    seconds_per_1000: float | None
    peak_memory_mib: float
    parameters: int
    epochs: float | None
    best_epoch: float | None
    underfit: int
    device: str
    threads: int
    commit: str


@dataclass(frozen=True)
class Standing:
    """Against the best of the same data and protocol by ``metric``: ``best``, ``not told apart`` from it, or ``behind``."""

    metric: str
    place: str
    against: str = ""
    reason: str = ""
    p_holm: float | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Row:
    """One plan on one data set. ``means``, ``low`` and ``high`` (over users, of the mean over seeds) and ``deviation`` (over seeds)
    are by metric; ``aspects`` are all other test metrics and what the
    objective logged, means over seeds. ``users`` stands for the set of the users that it was measured on. ``missing`` are seeds that
    were asked for in vain."""

    label: str
    plan: Plan
    sizes: Sizes
    data_digest: str
    digest: str
    seeds: tuple[int, ...]
    paths: tuple[Path, ...]
    means: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    by_seed: dict[str, list[float]]
    aspects: dict[str, float]
    cost: Cost
    options: list[str]
    budget: str
    command: str
    n_users: int
    users: int
    missing: tuple[int, ...] = ()
    grid: str = ""
    claims: list[Claimed] = field(default_factory=list)
    standing: Standing | None = None

    @property
    def data(self) -> str:
        return str(self.plan.data.name)

    @property
    def trained(self) -> bool:
        """Whether there were epochs of ours, and so an objective, a loss and a sampler."""
        return self.cost.epochs is not None and not differences.trains_itself(self.plan)

    @property
    def protocol(self) -> str:
        """How it was trained and measured, in words: rows of one data digest and protocol stand in one table."""
        return self.measured + (", refit on the validation rows" if self.plan.refit else "")

    @property
    def measured(self) -> str:
        """How it was measured. Rows of one data digest that were measured alike have the same users and compare."""
        split = self.plan.split
        options = [f"{key}={value}" for key, value in split.options.items() if value is not None and not (key == "seed" and value == 0)]
        seen = "seen items filtered" if self.plan.evaluation.get("filter_seen") else "seen items not filtered"
        return ", ".join([split.name, *options, "full ranking", seen])

    @property
    def headline(self) -> str:
        """NDCG at 10, or at the largest cut-off below, or at the smallest."""
        return _nearest_to_ten(self.means) or "ndcg@10"

    @property
    def taught_by(self) -> dict[str, str]:
        """The objective, and the loss and the sampler where it takes them; empty where nothing was trained step by step."""
        return differences.taught_by(self.plan) if self.trained else {}

    def values(self, metric: str) -> pd.Series:
        """The metric of every user, mean over seeds, indexed by the user's id."""
        return user_values(self.paths, metric)

    def with_standing(self, standing: Standing | None) -> Row:
        """The same row, knowing where it stands."""
        return replace(self, standing=standing)


@lru_cache(maxsize=256)
def user_values(paths: tuple[Path, ...], metric: str) -> pd.Series:
    """The mean over runs of a metric of every user. Raises: ValueError where runs have other users than each other."""
    frames = [frame[metric] for frame in _frames(paths, ["user", metric])]
    return sum(frames[1:], frames[0]) / len(frames)


def _frames(paths: Sequence[Path], columns: list[str] | None = None) -> list[pd.DataFrame]:
    """The users' values of each run, in the order of the first. Raises: ValueError where runs have other users than each other."""
    frames = [pd.read_parquet(path / "per_user.parquet", columns=columns).set_index("user") for path in paths]
    users = frames[0].index
    for path, frame in zip(paths, frames, strict=True):
        if len(frame) != len(users) or not frame.index.isin(users).all():
            raise ValueError(f"{path} has other users than {paths[0]}, and seeds of one plan have the same")
    return [frame.loc[users] for frame in frames]


def headline_of(rows: Sequence[Row]) -> str:
    """The headline among the metrics that all of some rows have; where they share none, that of most of them."""
    shared = set.intersection(*(set(row.means) for row in rows))
    return _nearest_to_ten(shared) or Counter(row.headline for row in rows).most_common(1)[0][0]


def _nearest_to_ten(metrics: Iterable[str]) -> str | None:
    ks = sorted(int(metric.partition("@")[2]) for metric in metrics if metric.startswith("ndcg@"))
    return f"ndcg@{max((k for k in ks if k <= 10), default=ks[0])}" if ks else None


def rows_of(paths: Iterable[Path], *, labels: dict[str, str] | None = None, wanted: Mapping[str, Sequence[int]] | None = None) -> list[Row]:
    """The rows of finished runs, by data, protocol, and headline, the best first. ``labels`` names digests as a suite does;
    ``wanted`` are the seeds that each should have.

    Raises: ValueError for a run that is damaged or interrupted, or that is there twice.
    """
    paths = list(paths)
    if doubles := twice(paths):
        raise ValueError("; ".join(doubles.values()))
    return _in_order([row_of(found) for found in _experiments(paths)], labels or {}, wanted or {})


def whole_rows(
    paths: Iterable[Path], *, labels: dict[str, str] | None = None, wanted: Mapping[str, Sequence[int]] | None = None
) -> tuple[list[Row], list[str]]:
    """The rows of the experiments that make some, and a line for each run that is there twice and for each that none can be made of."""
    paths = list(paths)
    doubles = twice(paths)
    rows, wrong = [], list(doubles.values())
    for found in _experiments(path for path in paths if path not in doubles):
        try:
            rows.append(row_of(found))
        except ValueError as error:
            wrong.append(f"{found[0]}: {error}")
    return _in_order(rows, labels or {}, wanted or {}), wrong


def _experiments(paths: Iterable[Path]) -> list[tuple[Path, ...]]:
    """The runs that differ in their seed only, together. Raises: ValueError for one that was interrupted."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        record = recorded_once(path)
        if record.interrupted:
            raise ValueError(f"{path} was interrupted before its end, which is no result; continue it with resume={path}")
        groups.setdefault((record.written.data_digest, _digest(record)), []).append(path)
    return [tuple(sorted(set(found))) for found in groups.values()]


def _in_order(rows: list[Row], labels: dict[str, str], wanted: Mapping[str, Sequence[int]]) -> list[Row]:
    named = [replace(row, label=labels.get(row.digest, row.label), missing=_missing(row, wanted)) for row in rows]
    return sorted(named, key=lambda row: (row.data, row.data_digest, row.protocol, -row.means.get(row.headline, 0.0), row.label))


def twice(paths: Iterable[Path]) -> dict[Path, str]:
    """Runs of the same plan, data and seed as one before them, a copy perhaps, with a line that says so: no seed counts as two."""
    first: dict[tuple[str, str, int], Path] = {}
    doubles = {}
    for path in dict.fromkeys(paths):
        record = recorded_once(path)
        one = first.setdefault((record.written.data_digest, _digest(record), record.plan.seed), path)
        if one != path:
            doubles[path] = f"{path} is seed {record.plan.seed} of the same experiment as {one}"
    return doubles


@lru_cache(maxsize=4096)
def _heads(path: Path) -> tuple[Record, str]:
    record = recorded(path)
    return Record(record.path, record.written, record.metrics, record.environment), record.written.digest


def recorded_once(path: Path) -> Record:
    """The record of a finished run, without its users' values, read once a process: a finished run does not change."""
    return _heads(path)[0]


def _digest(record: Record) -> str:
    return _heads(record.path)[1]


def _missing(row: Row, wanted: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    return tuple(seed for seed in wanted.get(row.digest, ()) if seed not in row.seeds)


@lru_cache(maxsize=4096)
def row_of(paths: tuple[Path, ...]) -> Row:
    """The row of runs that differ in their seed only. Raises: ValueError where they have other users than each other."""
    records = sorted((recorded_once(path) for path in paths), key=lambda record: record.plan.seed)
    first, plan = records[0], records[0].plan
    frames = _frames([record.path for record in records])
    metrics = [column for column in map(str, frames[0].columns) if column.partition("@")[0] in SPREAD]
    mean = sum((frame[metrics] for frame in frames[1:]), frames[0][metrics]) / len(frames)
    bounds = {metric: interval(mean[metric].to_numpy(dtype=np.float64)) for metric in metrics} if len(mean) else {}
    epochs = [record.metrics["train/epochs"] for record in records if "train/epochs" in record.metrics]
    return Row(
        label=plan.label,
        plan=plan,
        sizes=first.written.facts,
        data_digest=first.written.data_digest,
        digest=_digest(first),
        seeds=tuple(record.plan.seed for record in records),
        paths=tuple(record.path for record in records),
        means={metric: float(mean[metric].mean()) for metric in metrics} if len(mean) else {},
        low={metric: low for metric, (low, _) in bounds.items()},
        high={metric: high for metric, (_, high) in bounds.items()},
        by_seed={metric: [float(frame[metric].mean()) for frame in frames] for metric in metrics} if len(mean) else {},
        aspects=_aspects(records, metrics),
        cost=_cost(records),
        options=differences.differences(plan, first.written.data_digest, first.written.seen),
        budget=differences.budget(plan, epochs),
        command=differences.command(plan, first.written.data_digest, first.written.seen),
        n_users=len(mean),
        users=int(pd.util.hash_pandas_object(frames[0].index, index=False).sum()) if len(mean) else 0,
    )


def _aspects(records: list[Record], metrics: list[str]) -> dict[str, float]:
    others = {*(f"test/{metric}" for metric in metrics), *COURSE}
    every = dict.fromkeys(key for record in records for key in record.metrics)  # what is undefined of one seed is there of another
    keys = [key for key in every if key.partition("/")[0] in ("test", "llm", "train") and key not in others]
    values = {key: [record.metrics[key] for record in records if key in record.metrics] for key in keys}
    return {key: float(np.mean(found)) for key, found in values.items()}


def _cost(records: list[Record]) -> Cost:
    def values(name: str, *, of: str = "metrics") -> list[Any]:
        found = [getattr(record, of).get(name) for record in records]
        return [value for value in found if value is not None]

    def mean(found: list[Any]) -> float | None:
        return float(np.mean(found)) if found else None

    def words(name: str) -> str:
        return "; ".join(sorted({str(value) for value in values(name, of="environment")}))

    return Cost(
        train_seconds=mean([seconds_in_all(record.metrics) for record in records]) or 0.0,
        seconds_per_1000=mean(values("seconds_per_1000", of="environment")),
        peak_memory_mib=float(max(values("peak_memory_mib", of="environment"), default=0.0)),
        parameters=int(max(values("train/parameters"), default=0)),
        epochs=mean(values("train/epochs")),
        best_epoch=mean(values("train/best_epoch")),
        underfit=sum(map(bool, values("train/underfit"))),
        device=words("device"),
        threads=int(max(values("threads", of="environment"), default=0)),
        commit=words("commit"),
    )
