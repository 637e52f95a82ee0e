"""Runs written by hand, so that every number of a leaderboard can be reckoned, and a tiny file of clicks for real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.composition.compose import compose
from recpref.plan import Plan, Sizes, Written, write

DIGEST = "d" * 64
MakeRun = Callable[..., Path]


@cache
def composed(*overrides: str) -> Plan:
    """Composed once: it takes a while with the checks of types."""
    return compose(overrides)


def as_located(*overrides: str, seed: int = 1, data: str = "ml_100k", time: str = "timestamp") -> Plan:
    """A plan as a finished run has it, with what was guessed of the data."""
    plan = replace(composed(*overrides), seed=seed)
    return plan.on(data, user="user_id", item="item_id", time=time)


@pytest.fixture
def located() -> Callable[..., Plan]:
    """See ``as_located``."""
    return as_located


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes what a finished run of a plan leaves behind: the values of users are given, or drawn about ``mean``."""

    def make(
        *overrides: str,
        seed: int = 1,
        values: Sequence[float] | None = None,
        mean: float = 0.3,
        data: str = "ml_100k",
        epochs: int | None = None,
        metrics: dict[str, float] | None = None,
        environment: dict[str, object] | None = None,
        columns: Sequence[str] = ("hr@10", "ndcg@10", "ndcg@5"),
        codes: str = "",
        **facts: object,
    ) -> Path:
        plan = as_located(*(overrides or ("model=popular",)), seed=seed, data=data)
        digest = DIGEST if data == "ml_100k" else sha256(data.encode()).hexdigest()
        written = Written(plan, digest, Sizes(40, 60 if values is None else len(values)), digest + codes)
        place = tmp_path / "runs" / data / plan.model.name.replace(":", "_") / f"{written.digest}-s{seed}"
        place.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        drawn = np.where(rng.random(60) < mean, 1.0, 0.0) if values is None else np.asarray(values, dtype=np.float64)
        users = pd.DataFrame({"user": [f"u{n}" for n in range(len(drawn))], **dict.fromkeys(columns if len(drawn) else (), drawn)})
        write(place, written)
        trained = (
            {}
            if epochs is None
            else {"train/epochs": epochs, "train/best_epoch": epochs, "train/interrupted": False, "train/underfit": False}
        )
        means = {f"test/{column}": float(drawn.mean()) for column in columns if len(drawn)}
        measured = {**means, "train/seconds": 2.0, "train/parameters": 7, **trained, **(metrics or {})}
        where = {
            "device": "cpu",
            "threads": 1,
            "commit": "abc",
            "peak_memory_mib": 100.0 + seed,
            "seconds_per_1000": 0.5,
            **(environment or {}),
        }
        (place / "metrics.json").write_text(json.dumps(measured | facts))
        (place / "environment.json").write_text(json.dumps(where))
        users.to_parquet(place / "per_user.parquet")
        return place

    return make


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    """30 users who walk along 12 items from different places."""
    rows = [(f"u{u:02d}", f"i{(7 * u + t) % 12:02d}", 1000 + t) for u in range(30) for t in range(4 + u % 5)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(tmp_path / "clicks.csv", index=False)
    return tmp_path / "clicks.csv"
