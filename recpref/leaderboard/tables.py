"""The leaderboard as a frame, and as files: CSV, Parquet and Markdown, each replaced in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from recpref.leaderboard.rows import PLANNED, Row, headline_of
from recpref.leaderboard.standing import together
from recpref.leaderboard.suite import Experiment

SHOWN = ("hr", "ndcg")  # what the Markdown has of the metrics, at the headline's cut-off


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A row a row, every column a plain number or text; empty where something was not measured or does not apply."""
    columns = list(_said_of_nobody())
    return pd.DataFrame([_flat(row) for row in rows]) if rows else pd.DataFrame(columns=columns)


def _said_of_nobody() -> tuple[str, ...]:
    return ("data", "model", "protocol", "standing", "claim", *PLANNED)


def _flat(row: Row) -> dict[str, Any]:
    return {**_what(row), **_metrics(row), **_standing(row), **_claim(row), **_cost(row), **_planned(row), **_whence(row)}


def _what(row: Row) -> dict[str, Any]:
    plan = row.plan
    return {
        "data": row.data,
        "grid": row.grid,
        "label": row.label,
        "model": plan.model.name,
        "recipe": plan.recipe,
        **{kind: row.taught_by.get(kind) for kind in ("objective", "loss", "sampler")},
        "options": " ".join(row.options),
        "budget": row.budget or None,
        "seeds": " ".join(map(str, row.seeds)),
        "missing_seeds": " ".join(map(str, row.missing)) or None,
        "protocol": row.protocol,
        "split": plan.split.name,
        "filter_seen": plan.evaluation.get("filter_seen"),
        "valid_users": plan.split.options.get("valid_users"),
        "refit": plan.refit,
        "users": row.sizes.n_users,
        "items": row.sizes.n_items,
        "test_users": row.n_users,
        "data_digest": row.data_digest,
        "digest": row.digest,
    }


def _metrics(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metric, mean in row.means.items():
        seeds = row.by_seed[metric]
        spread = float(pd.Series(seeds).std()) if len(seeds) > 1 else None
        found |= {metric: mean, f"{metric}_low": row.low[metric], f"{metric}_high": row.high[metric], f"{metric}_seed_sd": spread}
    return {**found, **{key.removeprefix("test/"): value for key, value in row.aspects.items() if key not in PLANNED.values()}}


def _standing(row: Row) -> dict[str, Any]:
    if row.standing is None:
        return {"standing": None}
    against = row.standing.comparison
    told = {"standing": row.standing.place, "standing_by": row.standing.metric, "reason": row.standing.reason}
    if against is None:
        return told
    names = ("difference", "low", "high", "effect", "detectable", "wins", "ties", "losses", "p_bootstrap", "p_randomisation")
    return {**told, "p_holm": row.standing.p_holm, **{f"best_minus_this_{name}": getattr(against, name) for name in names}}


def _claim(row: Row) -> dict[str, Any]:
    if not row.claims:
        return {"claim": None}
    best = row.claims[0]
    return {
        "claim": best.value,
        "claim_metric": best.metric,
        "claim_source": best.claim.source,
        "claim_table": best.claim.table,
        "claim_protocol": str(best.claim.protocol),
        "protocols_match": best.matches + (f": {best.reasons}" if best.reasons else ""),
        "claims": len(row.claims),
    }


def _cost(row: Row) -> dict[str, Any]:
    cost = vars(row.cost)
    return {**cost, "underfit": f"{row.cost.underfit} of {len(row.seeds)}" if row.trained else None}


def _planned(row: Row) -> dict[str, Any]:
    return {name: row.aspects.get(key) for name, key in PLANNED.items()}


def _whence(row: Row) -> dict[str, Any]:
    return {"command": row.command, "runs": " ".join(map(str, row.paths))}


def markdown(title: str, rows: Sequence[Row], notes: Sequence[str]) -> str:
    """A table for each data set and protocol, with what was left out below."""
    parts = [f"# {title}", ""]
    for data, group in together(rows):
        metrics = shown_of(group)
        heads = ["model", *(metric.upper() for metric in metrics), "standing", "claim", "budget", "seeds", "train s", "s / 1000", "MiB"]
        users = f"{group[0].n_users:,} users"
        parts += [f"## {_cell(data)}: {_cell(group[0].protocol)}, {users}", "", _line(heads), _line(["---"] * len(heads))]
        parts += [_line(_cells(row, metrics)) for row in group] + [""]
    return "\n".join(parts + [f"- {_cell(note)}" for note in notes]) + "\n"


def shown_of(rows: Sequence[Row]) -> list[str]:
    """The metrics of a table that is read in a terminal, at the cut-off by which its rows stand."""
    return [f"{name}@{headline_of(rows).partition('@')[2]}" for name in SHOWN]


def _cells(row: Row, metrics: list[str]) -> list[str]:
    claim = row.claims[0] if row.claims else None
    claimed = "" if claim is None else f"{claim.metric} {claim.value:.4f}, {claim.claim.source} (protocols match: {claim.matches})"
    seeds = " ".join(map(str, row.seeds)) + (f" (missing {' '.join(map(str, row.missing))})" if row.missing else "")
    return [
        row.label,
        *(with_interval(row, metric) for metric in metrics),
        row.standing.place if row.standing else "",
        claimed,
        row.budget + (f"; {row.cost.underfit} underfit" if row.cost.underfit else ""),
        seeds,
        f"{row.cost.train_seconds:.1f}",
        "" if row.cost.seconds_per_1000 is None else f"{row.cost.seconds_per_1000:.2f}",
        f"{row.cost.peak_memory_mib:.0f}",
    ]


def with_interval(row: Row, metric: str) -> str:
    """``0.1040 [0.0913, 0.1172]``; empty where the row lacks the metric."""
    return f"{row.means[metric]:.4f} [{row.low[metric]:.4f}, {row.high[metric]:.4f}]" if metric in row.means else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Names are text: nothing in them starts a column, a tag or a line."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def write(place: Path, title: str, rows: Sequence[Row], notes: Sequence[str]) -> None:
    """``leaderboard.csv``, ``.parquet`` and ``.md`` in a folder."""
    table = frame(rows)
    place.mkdir(parents=True, exist_ok=True)
    with replacing(place / "leaderboard.csv") as partial:
        table.to_csv(partial, index=False)
    with replacing(place / "leaderboard.parquet") as partial:
        table.to_parquet(partial, index=False)
    with replacing(place / "leaderboard.md") as partial:
        partial.write_text(markdown(title, rows, notes))


def write_failures(place: Path, failures: Sequence[tuple[Experiment, str]]) -> None:
    """``failures.json``: which experiments have no run, and why, in one line each."""
    content = [{**experiment._asdict(), "error": error} for experiment, error in failures]
    with replacing(place / "failures.json") as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path to write to that takes the place of ``file`` when all went well; a kill leaves the old file or the new one."""
    partial = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
