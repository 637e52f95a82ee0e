"""The report: one HTML page that holds everything, also plotly.js, and is read without a network.

Texts are escaped by Jinja; data for the scripts goes through ``tojson``, which closes no script. Needs the extra ``report``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recpref.leaderboard.figures import Figure, against, figures
from recpref.leaderboard.rows import Row, headline_of
from recpref.leaderboard.standing import together
from recpref.leaderboard.suite import Curve

HERE = Path(__file__).parent
NEEDS = ("jinja2", "plotly")


@dataclass(frozen=True)
class Story:
    """What a page says beside its rows. ``command`` makes it again; ``notes`` are what is missing, and why."""

    title: str
    about: str
    command: str
    notes: Sequence[str] = ()
    curves: Sequence[Curve] = ()


@dataclass(frozen=True)
class Group:
    """Rows of one data set and protocol, with their figures."""

    name: str
    data: str
    protocol: str
    rows: list[Row]
    figures: list[Figure]


def lacking() -> list[str]:
    """The packages that the page needs and that are not installed."""
    return [name for name in NEEDS if importlib.util.find_spec(name) is None]


def page(rows: Sequence[Row], story: Story) -> str:
    """The whole page. Raises: ValueError where a package is missing."""
    if lacking():
        raise ValueError(f"the HTML report needs {', '.join(lacking())}: pip install 'recpref[report]'")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("page.html.j2")
    groups = _groups(rows, story.curves)
    plots = [{"data": figure.traces, "layout": figure.layout} for group in groups for figure in group.figures]
    shown = {"style": (HERE / "page.css").read_text(), "script": (HERE / "page.js").read_text(), "plotly": get_plotlyjs()}
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    tables = {id(row): group.data for group in groups for row in group.rows}
    named = [(tables[id(row)], row) for row in rows]
    return template.render(story=story, groups=groups, rows=named, plots=plots, cutoffs=_cutoffs(rows), when=when, **shown)


def _groups(rows: Sequence[Row], curves: Sequence[Curve]) -> list[Group]:
    """A curve over an option of the split goes through tables that differ in nothing else, and stands in the first of them."""
    through = [curve for curve in curves if curve.x.startswith("split.")]
    within = [curve for curve in curves if curve not in through]
    made, drawn = [], set[tuple[Curve, str]]()
    for number, (data, group) in enumerate(together(rows)):
        found = figures(group, within)
        for curve in through:
            beside = _but_for(group[0], curve.x)
            if (curve, beside) not in drawn:
                drawn.add((curve, beside))
                alike = [row for row in rows if _but_for(row, curve.x) == beside]
                found += [figure for figure in [against(alike, headline_of(alike), curve)] if figure is not None]
        made.append(Group(f"g{number}", data, group[0].protocol, group, found))
    return made


def _but_for(row: Row, key: str) -> str:
    """The data and the protocol of a row, whatever its split says of one option."""
    split = row.plan.split
    options = {name: value for name, value in split.options.items() if f"split.{name}" != key}
    alike = replace(row.plan, split=split._replace(options=options))
    return f"{row.data_digest}: {replace(row, plan=alike).protocol}"


def _cutoffs(rows: Sequence[Row]) -> dict[str, Any]:
    """The cut-offs that any row has, and the one shown first."""
    ks = sorted({int(metric.partition("@")[2]) for row in rows for metric in row.means})
    first = int(rows[0].headline.partition("@")[2]) if rows else None
    return {"all": ks, "first": first if first in ks else next(iter(ks), None)}
