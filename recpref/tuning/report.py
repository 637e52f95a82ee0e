"""What a study found: a table, the command of the best, and a page with its history and what mattered."""

from __future__ import annotations

import html
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from recpref.data.cards import names
from recpref.tuning.counting import SURPLUS, finished

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 70rem; padding: 0 1rem }}
pre {{ overflow-x: auto; padding: .5rem; border: 1px solid #8888 }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
td, th {{ padding: .2rem .6rem; border: 1px solid #8888; text-align: right }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
<h2>The best</h2><pre>{command}</pre>
{figures}
<h2>Trials</h2>{trials}
</body></html>
"""


def trials_of(study: Any) -> pd.DataFrame:
    """A row a trial: ``number``, ``state``, ``ndcg`` on validation, ``best_epoch``, ``seconds``, a column a dimension, ``error``."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        said = trial.user_attrs
        if SURPLUS in said:
            continue
        value = trial.value if trial.value is not None else trial.intermediate_values.get(trial.last_step or 0)
        facts = {"number": trial.number, "state": trial.state.name.lower(), "ndcg": value}
        rows.append({**facts, **{key: said.get(key) for key in ("best_epoch", "seconds")}, **trial.params, "error": said.get("error")})
    frame = pd.DataFrame(rows)
    return frame.astype({"ndcg": float}) if rows else frame


def _ended(study: Any) -> list[Any]:
    """The trials that ran to their end."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def best_command(study: Any, fixed: list[str]) -> str:
    """The experiment of the best trial, to be run: seeds and test are for it alone. Raises: ValueError where no trial ended, with why."""
    if not _ended(study):
        raise ValueError(_no_best(study))
    placed = [_placed(override) for override in fixed]
    return shlex.join(["python", "-m", "recpref.train", *placed, *study.best_trial.user_attrs["overrides"]])


def _placed(override: str) -> str:
    """Data by its whole path, so that the command runs from any folder."""
    key, _, path = override.partition("=")
    return f"data={Path(path).absolute()}" if key == "data" and path not in names() and Path(path).exists() else override


def _no_best(study: Any) -> str:
    """Why no trial ended: what was wrong with them, the most frequent first."""
    reasons = Counter(trial.user_attrs.get("error") for trial in study.get_trials(deepcopy=False))
    said = [f"{reason} ({count} {'time' if count == 1 else 'times'})" for reason, count in reasons.most_common() if reason]
    return f"no trial could be trained: {'; '.join(said)}" if said else "no trial has ended yet, so there is no best one"


def write_report(study: Any, place: Path, *, title: str, fixed: list[str]) -> None:
    """``study.html``, ``trials.csv`` and, once a trial has ended, ``best.sh`` in ``place``."""
    frame = trials_of(study)
    frame.to_csv(place / "trials.csv", index=False)
    ended = bool(_ended(study))
    command = best_command(study, fixed) if ended else _no_best(study)
    if ended:
        (place / "best.sh").write_text(f"#!/bin/sh\n# validation NDCG {study.best_value:.4f}, trial {study.best_trial.number}\n{command}\n")
    summary = f"{finished(study)} trials ended or were pruned; chosen by the best validation NDCG; the test split was never asked."
    page = PAGE.format(
        title=html.escape(title),
        summary=html.escape(summary),
        command=html.escape(command),
        figures="\n".join(_figures(study)),
        trials=frame.to_html(index=False, na_rep="", float_format=lambda value: f"{value:.4g}"),
    )
    partial = place / ".study.html"
    partial.write_text(page)
    partial.replace(place / "study.html")


def _figures(study: Any) -> list[str]:
    """What can be drawn of so many trials; plotly's script comes once, inside the page."""
    from optuna import visualization

    drawn: list[Callable[[Any], Any]] = [visualization.plot_optimization_history]
    if any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        drawn.append(visualization.plot_intermediate_values)
    complete = _ended(study)
    if len(complete) > 1 and len({trial.value for trial in complete}) > 1:
        drawn += [visualization.plot_param_importances, visualization.plot_slice, visualization.plot_parallel_coordinate]
    if not finished(study):
        return []
    figures = [draw(study).update_layout(template="plotly", autosize=True) for draw in drawn]
    return [figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)]
