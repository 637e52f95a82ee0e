"""The plan of an experiment: every name and value that makes it, as it is composed, saved and read again.

A plan is data. Reading one resolves nothing, imports nothing and executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FORMAT = 1
FILE = "experiment.yaml"


class Part(NamedTuple):
    """A component by name, and the values of its options."""

    name: str
    options: dict[str, Any]


class DataPart(NamedTuple):
    """Where the data comes from. ``frame``: it was passed as Interactions, so there is nowhere to read it from again."""

    name: str | None
    options: dict[str, Any]
    frame: bool = False


@dataclass(frozen=True)
class Plan:
    """One field a section; the sections with only one class are its options.

    ``base`` is what a model wraps; ``table`` is how it keeps its items, where that was said.

    ``start`` is the run whose weights training starts from; ``before`` is the plan of that run where
    it is still to be trained (``start=base`` or ``start=self``), which is known until then only, and never written.
    """

    seed: int
    recipe: str
    refit: bool
    logger: list[str]
    out: str
    split: Part
    model: Part
    examples: Part
    objective: Part
    loss: Part
    sampler: Part
    data: DataPart
    optimizer: dict[str, Any]
    loader: dict[str, Any]
    stopping: dict[str, Any]
    evaluation: dict[str, Any]
    trainer: dict[str, Any]
    base: Part | None = None
    table: Part | None = None
    start: str = "none"
    before: Plan | None = None

    @classmethod
    def of(cls, content: dict[str, Any]) -> Plan:
        """The plan of nested names and values. Raises: KeyError or TypeError where they are not those of a plan."""
        parts = {field.name: content[field.name] for field in fields(cls) if field.default is MISSING or field.name in content}
        for name, part in parts.items():
            if name == "data":
                parts[name] = DataPart(part["name"], _options(part, "name", "source"), part.get("source") == "frame")
            elif name == "before":
                parts[name] = cls.of(part)
            elif isinstance(part, dict) and "name" in part:
                parts[name] = Part(part["name"], _options(part, "name"))
        return cls(**parts)

    @property
    def content(self) -> dict[str, Any]:
        """Nested names and values, for YAML and for digests."""
        sections = {field.name: getattr(self, field.name) for field in fields(self)}
        sections = {key: part.content if isinstance(part, Plan) else part for key, part in sections.items() if part is not None}
        plain = {key: {"name": part.name, **part.options} if isinstance(part, Part) else part for key, part in sections.items()}
        return {**plain, "data": {"name": self.data.name, **({"source": "frame"} if self.data.frame else {}), **self.data.options}}

    @property
    def label(self) -> str:
        """What the model is called: by its name, and by that of the other toolkit's model that it runs."""
        return " ".join([self.model.name, *filter(None, [self.model.options.get("algorithm")])])

    @property
    def architectures(self) -> tuple[str, ...]:
        """The names of the model and, where it has one, of its base."""
        return tuple(part.name for part in (self.model, self.base) if part is not None)

    def value(self, key: str) -> Any:
        """What ``model.n_rounds`` is here, or ``objective``, which part it is; None where there is nothing of that name."""
        section, _, option = key.partition(".")
        there = self.content.get(section)
        return there.get(option or "name") if isinstance(there, dict) else there

    def digest(self, data_digest: str) -> str:
        """Eight characters that stand for the experiment on this data, whatever the seed, what the data is called and wherever it is saved.

        A run that was started from stands there by its model and its digest, whatever its seed where that is this one's, too; and by
        where it lies, if its folder has lost the name that says so. Where a column of ratings was named, the data's digest has what came
        of it.
        """
        same = {key: value for key, value in self.content.items() if key not in ("seed", "out", "logger", "start")}
        same |= {"data": self.data.options | ({"rating": None} if "rating" in self.data.options else {})}
        if self.start != "none":
            parts = Path(self.start).parts[-2:] if re.fullmatch(r"[0-9a-f]{8}-s-?\d+", Path(self.start).name) else (self.start,)
            same |= {"start": [part.removesuffix(f"-s{self.seed}") for part in parts]}
        text = json.dumps([same, data_digest], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def on(self, name: str | None, *, frame: bool = False, **options: Any) -> Plan:
        """The same plan with data of that name, and these of its options changed."""
        return replace(self, data=DataPart(name, {**self.data.options, **options}, frame))


def _options(part: dict[str, Any], *ours: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in ours}


class Sizes(NamedTuple):
    """What a model must know of its data to be built again."""

    n_items: int
    n_users: int


class Written(NamedTuple):
    """What ``experiment.yaml`` holds. ``seen`` is the digest of all that was learned from, by which the run is called: where the item table
    is made of a feature of the items, that is more than ``data_digest``. A run from before it was written has none."""

    plan: Plan
    data_digest: str
    facts: Sizes
    seen: str = ""

    @property
    def digest(self) -> str:
        """The experiment's, whatever its seed: what its folder was called by."""
        return self.plan.digest(self.seen or self.data_digest)


def write(place: Path, written: Written) -> None:
    """Writes ``experiment.yaml`` into a folder."""
    more = {"seen": written.seen} if written.seen not in ("", written.data_digest) else {}
    head = {"format": FORMAT, "data_digest": written.data_digest, **more, "facts": written.facts._asdict()}
    (place / FILE).write_text(yaml.safe_dump({**head, **written.plan.content}, sort_keys=False))


def read(file: Path) -> Written:
    """Raises: ValueError where it is of another format or damaged. Tags, which could name code, are refused."""
    try:
        content = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not valid YAML, or uses a tag, which is refused: {' '.join(str(error).split())}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{file.parent} has format {found}, and this recpref reads format {FORMAT}; train it again or use the version that wrote it"
        )
    try:
        return Written(Plan.of(content), content["data_digest"], Sizes(**content["facts"]), content.get("seen", ""))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged: it lacks {error}, or holds something else in its place (model, data, ...)") from error
