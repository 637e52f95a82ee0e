"""What papers claim, from ``benchmarks/claims.toml``, and whether it was measured as a row of ours was.

A file of tables, each with its source, the protocol it was measured under, and its values:

    [[tables]]
    source = "Petrov and Macdonald, RecSys 2022"
    table = "ML-1M, full ranking"
    read_in = "where the number was read, if not in the paper"
    split = "leave_one_out"                  # what is left out is not known: nobody says it matches
    ranking = "full"                         # or such as "popularity-100": sampled candidates
    filter_seen = true
    refit = false                            # true: what we validate on was trained on
    valid_known = true                       # of split=given; false: validation rows count as wrong at test
    [[tables.claims]]
    data = "ml_1m"
    model = "bert4rec"
    values = {"hr@10" = 0.2821, "ndcg@10" = 0.1516}
    needs = ["loss=cross_entropy"]           # overrides that make ours the paper's model; null is no value
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from recpref import components
from recpref.data import cards
from recpref.leaderboard.differences import taught_by
from recpref.plan import Plan, Sizes
from recpref.suggest import unknown

TEACHING = ("objective", "loss", "sampler")


@dataclass(frozen=True)
class Conditions:
    """How a table was measured; None where it does not say. ``users`` and ``items`` are those of its data.

    ``refit``: what stood for validation was trained on, too. ``valid_known``: it is in the histories at test.
    """

    split: str | None = None
    ranking: str | None = None
    filter_seen: bool | None = None
    valid_users: int | None = None
    users: int | None = None
    items: int | None = None
    refit: bool | None = None
    valid_known: bool | None = None

    def __str__(self) -> str:
        said = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in said.items()) or "not said"


class Claim(NamedTuple):
    """A model's values in a paper's table. ``needs`` are overrides that a run of ours must have been made with."""

    data: str
    model: str
    needs: tuple[str, ...]
    values: dict[str, float]
    source: str
    table: str
    read_in: str
    protocol: Conditions

    @property
    def place(self) -> str:
        """Where it stands, for an error."""
        return f"{self.source}, {self.table}"


class Claimed(NamedTuple):
    """A claim beside a row: the metric compared, its value, and whether the protocols match, with the reasons if not."""

    claim: Claim
    metric: str
    value: float
    matches: Literal["yes", "not known", "no"]
    reasons: str


@dataclass(frozen=True)
class Table:
    """A table of the file."""

    source: str
    table: str
    claims: list[dict[str, Any]]
    read_in: str = ""
    split: str | None = None
    ranking: str | None = None
    filter_seen: bool | None = None
    valid_users: int | None = None
    users: int | None = None
    items: int | None = None
    refit: bool | None = None
    valid_known: bool | None = None

    @property
    def protocol(self) -> Conditions:
        return Conditions(**{one.name: getattr(self, one.name) for one in fields(Conditions)})


@dataclass(frozen=True)
class Entry:
    """A claim of the file."""

    data: str
    model: str
    values: dict[str, float]
    needs: list[str] = field(default_factory=list)


def file() -> Path:
    """Where the claims are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "claims.toml"
    return installed if installed.is_file() else package.parent / "benchmarks" / "claims.toml"


def read(path: Path) -> tuple[list[Claim], list[str]]:
    """The claims that can be used, and what is wrong with the others: a line each.

    Raises: ValueError where the file is no TOML, or has no tables.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    tables = content.get("tables", [])
    if not (isinstance(tables, list) and all(isinstance(part, dict) for part in tables)):
        raise ValueError(f"{path}: tables={tables!r} must be tables of the form [[tables]]")
    found: list[Claim] = []
    wrong = []
    for number, part in enumerate(tables, 1):
        try:
            components.check(Table, part, f"table {number}")
            table = Table(**part)
        except TypeError as error:
            wrong.append(f"{path.name}, table {number}: {str(error).partition(' ')[2]}; known: {', '.join(Table.__dataclass_fields__)}")
            continue
        except ValueError as error:
            wrong.append(f"{path.name}, {error}")
            continue
        for place, entry in enumerate(table.claims, 1):
            try:
                found.append(_claim(table, entry, f"claim {place}"))
            except (TypeError, ValueError) as error:
                wrong.append(f"{path.name}, {table.source}, {table.table}: {error}")
    kept, contradictions = _consistent(found)
    return kept, wrong + [f"{path.name}, {line}" for line in contradictions]


def _claim(table: Table, content: dict[str, Any], place: str) -> Claim:
    values = content.get("values")
    for metric, value in values.items() if isinstance(values, dict) else ():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{place}.values.{metric}={value!r} must be a number from 0 to 1")
    components.check(Entry, content, place)
    entry = Entry(**content)
    if not entry.values:
        raise ValueError(f"{place}.values names no metric")
    for kind, name, known in (("data set", entry.data, cards.names()), ("model", entry.model, components.names("model"))):
        if name not in known:
            raise ValueError(unknown(kind, name, known))
    for metric in entry.values:
        if metric.partition("@")[0] not in components.names("metric") or not metric.partition("@")[2].isdigit():
            raise ValueError(f"{metric!r} is no metric at a cut-off, such as ndcg@10")
    return Claim(entry.data, entry.model, tuple(entry.needs), entry.values, table.source, table.table, table.read_in, table.protocol)


def _consistent(claims: list[Claim]) -> tuple[list[Claim], list[str]]:
    """Without claims of one table about one model that differ in protocol or value: nobody knows which of them is right."""
    places: dict[tuple[Any, ...], list[Claim]] = {}
    for claim in claims:
        places.setdefault((claim.source, claim.table, claim.data, claim.model, claim.needs), []).append(claim)
    wrong, lines = [], []
    for same in places.values():
        protocols = sorted({str(claim.protocol) for claim in same})
        first = same[0]
        about = f"{first.place}: two claims about {first.model} on {first.data}"
        if len(protocols) > 1:
            lines.append(f"{about} have different protocols ({'; '.join(protocols)}): name their tables apart; neither is used")
        elif len(same) > 1:
            lines.append(f"{about}: keep one; neither is used")
        else:
            continue
        wrong += same
    return [claim for claim in claims if claim not in wrong], lines


def claimed(plan: Plan, sizes: Sizes, measured: Iterable[str], claims: Iterable[Claim], *, first: str) -> list[Claimed]:
    """The claims about the model of a plan on its data, the best comparable one first: protocols that match, then the metric
    ``first``, then the highest value. ``measured`` are the metrics that the row has."""
    measured = set(measured)
    found = []
    for claim in claims:
        if (claim.data, claim.model) != (plan.data.name, plan.model.name) or not _has(plan, claim.needs):
            continue
        matches, reasons = matched(claim.protocol, plan, sizes)
        metrics = [metric for metric in claim.values if metric in measured] or list(claim.values)
        metric = first if first in metrics else metrics[0]
        found.append(Claimed(claim, metric, claim.values[metric], matches, reasons))
    return sorted(found, key=lambda one: (("yes", "not known", "no").index(one.matches), one.metric != first, -one.value))


def _has(plan: Plan, needs: Iterable[str]) -> bool:
    """Whether a plan was made with these. A loss or sampler that its objective does not take fulfils none: it stands there by default."""
    taught = taught_by(plan)
    said = (need.partition("=") for need in needs)
    return all(
        ("null" if (ours := plan.value(key)) is None else str(ours).lower()) == value.lower()
        and (key.partition(".")[0] not in TEACHING or key.partition(".")[0] in taught)
        for key, _, value in said
    )


def matched(protocol: Conditions, plan: Plan, sizes: Sizes) -> tuple[Literal["yes", "not known", "no"], str]:
    """Whether a row of this plan was measured like that, and if not, what differs or what is not known."""
    ours = Conditions(
        split=plan.split.name,
        ranking="full",
        filter_seen=plan.evaluation.get("filter_seen"),
        valid_users=plan.split.options.get("valid_users"),
        users=sizes.n_users,
        items=sizes.n_items,
        refit=plan.refit,
        valid_known=plan.split.options.get("valid_known"),
    )
    said, here = vars(protocol), vars(ours)
    asked = [name for name in said if said[name] is not None or (name == "valid_users" and here[name] is not None)]
    differs = [f"{name}: {_said(said[name])} there, {_said(here[name])} here" for name in asked if said[name] != here[name]]
    if differs:
        return "no", "; ".join(differs)
    own = [*(["refit"] if plan.refit else []), *(["valid_known"] if ours.valid_known is not None else [])]
    needed = ("split", "ranking", "filter_seen", *own)
    unsaid = [name for name in needed if said[name] is None]
    doubts = [
        *([f"{', '.join(unsaid)} not said there"] if unsaid else []),
        *(f"{option} here" for option in (*_rows_of_its_own(plan), *_split_of_its_own(plan))),
    ]
    return ("not known", "; ".join(doubts)) if doubts else ("yes", "")


def _rows_of_its_own(plan: Plan) -> list[str]:
    """The options by which a plan reads other rows of its card's data, or in another order, than the card says."""
    if plan.data.name not in cards.names():
        return []
    card = cards.card(plan.data.name)
    usual = {"k_core": None, "min_rating": None, "rating": None, "duplicates": None, "ties": "file", **card.filter, "time": card.time}
    return [f"data.{key}={value}" for key in usual if (value := plan.data.options.get(key)) not in (None, usual[key])]


def _split_of_its_own(plan: Plan) -> list[str]:
    """The options by which a plan divides otherwise than its split does by itself, those apart that claims speak of and the seed."""
    usual = {name: option.default for name, option in components.options_of(components.find("split", plan.split.name)).items()}
    asked = {name: plan.split.options.get(name, usual[name]) for name in usual if name not in ("seed", "valid_users", "valid_known")}
    return [f"split.{name}={value}" for name, value in asked.items() if value != usual[name]]


def _said(value: object) -> str:
    return "all" if value is None else str(value).lower()
