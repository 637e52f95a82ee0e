"""Figures of a leaderboard as Plotly specifications, each with the table it was drawn from.

Names come from users and files, and Plotly reads tags in text: every name is escaped. Colours are Plotly's own, which the page
leaves alone in light and dark; what depends on the background is set by the page.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recpref.leaderboard.rows import Row, headline_of, recorded_once
from recpref.leaderboard.suite import Curve

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b", "#ff9da6", "#8c8c8c")
HISTORY = {f"history-q{q}": text for q, text in enumerate(("shortest quarter", "second", "third", "longest quarter"), 1)}
TARGET = {"target-head": "head", "target-mid": "middle", "target-tail": "tail"}
LABEL = "label"  # a line a label
LEAST_SECONDS = 1e-3  # what is quicker than the clock shows is drawn there


@dataclass(frozen=True)
class Figure:
    """``traces`` and ``layout`` are Plotly's; ``columns`` and ``cells`` the table of the same numbers."""

    title: str
    note: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    columns: list[str]
    cells: list[list[str]] = field(default_factory=list)


def figures(rows: Sequence[Row], curves: Sequence[Curve] = ()) -> list[Figure]:
    """All figures of rows that share data and protocol; those without anything to show are left out."""
    metric = headline_of(rows)
    made = [
        cost(rows, metric),
        training(rows),
        *(by_group(rows, metric, *group) for group in GROUPS),
        flips(rows),
        *(against(rows, metric, curve) for curve in curves),
    ]
    return [figure for figure in made if figure is not None]


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which (cost, value) no other beats in both: by rising cost, each better than all cheaper ones.

    Example: (1, .1) (2, .3) (3, .2) (4, .4) -> the first, second and last.
    """
    best, front = float("-inf"), []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if points[place][1] > best:
            best = points[place][1]
            front.append(place)
    return front


def cost(rows: Sequence[Row], metric: str) -> Figure | None:
    """Accuracy against seconds of training, with the Pareto front."""
    rows = [row for row in rows if metric in row.means]
    if not rows:
        return None
    seconds = [max(row.cost.train_seconds, LEAST_SECONDS) for row in rows]
    means = [row.means[metric] for row in rows]
    front = pareto(list(zip(seconds, means, strict=True)))
    traces = [_point(row, metric, x, place) for place, (row, x) in enumerate(zip(rows, seconds, strict=True))]
    line = {"color": "#8c8c8c", "dash": "dot", "shape": "hv"}
    x, y = [seconds[place] for place in front], [means[place] for place in front]
    traces.insert(0, {"type": "scatter", "mode": "lines", "name": "Pareto front", "x": x, "y": y, "line": line, "hoverinfo": "skip"})
    cells = [
        [row.label, f"{x:.2f}", f"{y:.4f}", f"[{row.low[metric]:.4f}, {row.high[metric]:.4f}]", "yes" if place in front else ""]
        for place, (row, x, y) in enumerate(zip(rows, seconds, means, strict=True))
    ]
    layout = {"xaxis": {"title": {"text": "seconds to train (and evaluate)"}, "type": "log"}, "yaxis": {"title": {"text": metric.upper()}}}
    note = (
        "Bars are 95 % intervals over users. The dotted front joins the models that no other beats in both cost and accuracy. "
        "Whatever a run was started from (start=) counts among its seconds."
    )
    return Figure("Accuracy against cost", note, traces, layout, ["model", "seconds", metric.upper(), "interval", "on the front"], cells)


def _point(row: Row, metric: str, seconds: float, place: int) -> dict[str, Any]:
    mean = row.means[metric]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [row.high[metric] - mean],
        "arrayminus": [mean - row.low[metric]],
        "thickness": 1,
    }
    shown = {"type": "scatter", "mode": "markers+text", "name": _name(row), "text": [_name(row)], "textposition": "top center"}
    marker = {"size": 10, "color": _colour(place)}
    return {**shown, "x": [seconds], "y": [mean], "error_y": spread, "marker": marker, "showlegend": False}


def training(rows: Sequence[Row]) -> Figure | None:
    """The validation metric that chose, against epochs: a line a seed, a colour a model. A damaged log is named and not drawn."""
    traces, cells, damaged = [], [], []
    for place, row in enumerate(rows):
        for number, path in enumerate(row.paths):
            metric = f"valid/ndcg@{row.plan.stopping['k']}"
            try:
                curve = recorded_once(path).curve
            except ValueError as error:
                damaged.append(f"{error}.")
                continue
            if metric not in curve:
                continue
            shown = curve.dropna(subset=metric)
            x, y = shown["epoch"].tolist(), shown[metric].tolist()
            style = {"line": {"color": _colour(place), "width": 1.5}, "legendgroup": str(place), "showlegend": number == 0}
            traces.append({"type": "scatter", "mode": "lines+markers", "marker": {"size": 4}, "name": _name(row), "x": x, "y": y, **style})
            cells += [[row.label, str(row.seeds[number]), str(epoch), f"{value:.4f}"] for epoch, value in zip(x, y, strict=True)]
    if not traces:
        return None
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "validation NDCG"}}}
    note = "A line a seed. A line that still rises at its end was cut short."
    return Figure("Training", " ".join([note, *damaged]), traces, layout, ["model", "seed", "epoch", "validation NDCG"], cells)


def by_group(rows: Sequence[Row], metric: str, title: str, axis: str, groups: dict[str, str]) -> Figure | None:
    """The metric in groups of users or targets, a line a model."""
    traces, cells = [], []
    for place, row in enumerate(rows):
        there = {group: row.aspects[f"test/{group}/{metric}"] for group in groups if f"test/{group}/{metric}" in row.aspects}
        if not there:
            continue
        x, y = [groups[group] for group in there], list(there.values())
        traces.append({"type": "bar", "name": _name(row), "x": x, "y": y, "marker": {"color": _colour(place)}})
        cells += [[row.label, groups[group], f"{row.aspects[f'test/{group}/users']:.0f}", f"{value:.4f}"] for group, value in there.items()]
    if not traces:
        return None
    layout = {"barmode": "group", "xaxis": {"title": {"text": axis}}, "yaxis": {"title": {"text": metric.upper()}}}
    return Figure(title, "Means over seeds.", traces, layout, ["model", axis, "users", metric.upper()], cells)


GROUPS = (
    ("By length of history", "users by the length of their history", HISTORY),
    ("By popularity of the target", "items that hold the first fifth of all interactions, the middle, and the last fifth", TARGET),
)


FLIPS = {"train/flip_mean": "mean", "train/flip_sd": "deviation", "train/flip_auc": "AUC, negatives above positives"}


def flips(rows: Sequence[Row]) -> Figure | None:
    """What NBPO's rows learned of the chance that a negative is a positive nobody saw: a constant one has deviation 0 and AUC 0.5. Where no
    sampled negative is a positive there is no AUC."""
    learned = [row for row in rows if FLIPS.keys() & row.aspects.keys()]
    if not learned:
        return None
    names = [_name(row) for row in learned]
    traces = [
        {"type": "bar", "name": said, "x": names, "y": [row.aspects.get(key) for row in learned], "marker": {"color": _colour(place)}}
        for place, (key, said) in enumerate(FLIPS.items())
    ]
    cells = [[row.label, *(f"{row.aspects[key]:.4f}" if key in row.aspects else "" for key in FLIPS)] for row in learned]
    layout = {"barmode": "group", "xaxis": {"title": {"text": "model"}}, "yaxis": {"title": {"text": "flip probability"}}}
    note = "Of the sampled negatives in the epoch that was kept; means over seeds. A head whose deviation is 0 has learned only a constant."
    return Figure("Flip probabilities", note, traces, layout, ["model", *FLIPS.values()], cells)


def against(rows: Sequence[Row], metric: str, curve: Curve) -> Figure | None:
    """The metric against an option that differs between rows, such as rounds or noise: a line a value of ``by``, else a model."""
    lines: dict[str, list[tuple[Any, Row]]] = {}
    for row in rows:
        x = row.plan.value(curve.x)
        if x is not None and metric in row.means:
            by = row.label if curve.by == LABEL else f"{curve.by}={row.plan.value(curve.by)}" if curve.by else row.plan.model.name
            lines.setdefault(by, []).append((x, row))
    if not lines:
        return None
    traces, cells = [], []
    for place, (by, points) in enumerate(lines.items()):
        points = sorted(points, key=_ordered)
        y = [row.means[metric] for _, row in points]
        above = [row.high[metric] - row.means[metric] for _, row in points]
        below = [row.means[metric] - row.low[metric] for _, row in points]
        spread = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
        style = {"type": "scatter", "mode": "lines+markers", "line": {"color": _colour(place)}, "error_y": spread}
        traces.append({**style, "name": _text(by), "x": [x for x, _ in points], "y": y})
        cells += [
            [by, str(x), row.label, f"{row.means[metric]:.4f}", f"[{row.low[metric]:.4f}, {row.high[metric]:.4f}]"] for x, row in points
        ]
    layout = {"xaxis": {"title": {"text": _text(curve.x)}}, "yaxis": {"title": {"text": metric.upper()}}}
    note = "Bars are 95 % intervals over users."
    return Figure(curve.title, note, traces, layout, ["line", curve.x, "model", metric.upper(), "interval"], cells)


def undrawn(rows: Sequence[Row], curves: Sequence[Curve]) -> list[str]:
    """A line for each curve over an option that no row has: a slip of the pen, perhaps."""
    asked = [(curve, key) for curve in curves for key in (curve.x, curve.by) if key not in ("", LABEL)]
    return [
        f"the figure {curve.title!r}: no row has {key}" for curve, key in asked if rows and all(row.plan.value(key) is None for row in rows)
    ]


def _ordered(point: tuple[Any, Row]) -> tuple[bool, Any]:
    return (True, str(point[0])) if not isinstance(point[0], int | float) else (False, point[0])


def _name(row: Row) -> str:
    return _text(row.label)


def _text(name: str) -> str:
    """Plotly reads tags and the entities of angle brackets, and shows those of quotes as they are."""
    return html.escape(name, quote=False)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
