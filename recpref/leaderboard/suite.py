"""A suite: which models are trained on which data under which protocols, as a TOML file of overrides.

    title = "Quick: MovieLens-100K"
    seeds = [1, 2, 3]
    overrides = ["logger=csv"]               # for every experiment
    optional = ["ml_20m"]                    # data left out where it is not on this machine

    [models]                                 # a label, and the overrides it stands for
    sasrec = ["model=sasrec", "trainer.max_epochs=40"]

    [data]
    ml_100k = ["data=ml_100k"]

    [[grids]]                                # without any: all models on all data
    title = "Leave-one-out"
    overrides = ["split=leave_one_out"]
    data = ["ml_100k"]                       # without: all; models likewise

    [[curves]]                               # figures of a metric against an option
    title = "Rounds"
    x = "model.n_rounds"

    [[tuned]]                                # written by python -m recpref.tune suite=NAME: what a search found for one of them
    data = "ml_100k"
    grid = "Leave-one-out"
    model = "sasrec"
    trials = 20
    overrides = ["model.dropout=0.31"]

Later overrides win: the suite's, the data's, the grid's, the model's, what was tuned, and at last the command line's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from recpref.overrides import chosen
from recpref.suggest import unknown

TAKEN = ("model", "data", "seed")  # what a suite says itself


class Experiment(NamedTuple):
    """One model on one data set under one protocol with one seed; ``overrides`` are those of ``recpref.train``."""

    model: str
    data: str
    grid: str
    seed: int
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """Every one of ``models`` on every one of ``data``; empty stands for all of the suite."""

    title: str = ""
    overrides: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Curve:
    """A figure: the metric against option ``x`` (such as ``model.n_rounds``), a line a model, a value of option ``by``, or a label of the
    suite (``by = "label"``)."""

    title: str
    x: str
    by: str = ""


@dataclass(frozen=True)
class Tuned:
    """What ``trials`` of a search by validation found for one model on one data set in one grid."""

    data: str
    model: str
    trials: int
    overrides: list[str]
    grid: str = ""


@dataclass(frozen=True)
class Suite:
    """What the file says. ``name`` is the file's."""

    name: str
    title: str
    models: dict[str, list[str]]
    data: dict[str, list[str]]
    about: str = ""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    overrides: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=lambda: [Grid()])
    curves: list[Curve] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)

    @property
    def budget(self) -> str:
        """How much was searched for before these trainings, in words: the same for every model."""
        if not self.tuned:
            return "No model was tuned for it: each has the values of its recipe."
        left = [model for model in self.models if model not in {tuned.model for tuned in self.tuned}]
        kept = f"; {', '.join(left)} had nothing to search" if left else ""
        return f"Every model was tuned by {self.tuned[0].trials} trials on each data set, by validation alone{kept}."

    def experiments(self, overrides: Iterable[str] = ()) -> Iterator[Experiment]:
        """Every experiment, data by data, so that a data set is read once; all seeds of a model together.

        Raises: ValueError for overrides that the suite says itself.
        """
        from recpref.composition import heeded  # Lightning takes two seconds to import

        users = tuple(overrides)
        for key in chosen(users):
            if key in TAKEN:
                hint = "say seeds=[1,2,3]" if key == "seed" else "write a suite of your own"
                raise ValueError(f"{key}= is said by the suite {self.name}; {hint}")
        for data in self.data:
            for grid in self.grids:
                for model in (grid.models or list(self.models)) if data in (grid.data or self.data) else ():
                    found = (tuned.overrides for tuned in self.tuned if (tuned.data, tuned.grid, tuned.model) == (data, grid.title, model))
                    every = (*self.overrides, *self.data[data], *grid.overrides, *self.models[model], *chain(*found), *users)
                    own = heeded(every, self.models[model])  # epochs, say, are for the models that have some
                    yield from (Experiment(model, data, grid.title, seed, (*own, f"seed={seed}")) for seed in self.seeds)


def folder() -> Path:
    """Where the suites are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "suites"
    return installed if installed.is_dir() else package.parent / "benchmarks" / "suites"


def names() -> list[str]:
    """The suites that come with recpref."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def read(name: str) -> Suite:
    """The suite of that name, or of that file. Raises: ValueError where there is none, or where it is not one."""
    if not name.endswith(".toml") and name not in names():
        raise ValueError(unknown("suite", name, names(), hint="or the path of a .toml file"))
    file = Path(name) if name.endswith(".toml") else folder() / f"{name}.toml"
    if not file.is_file():
        raise ValueError(f"no such suite: {file}")
    try:
        content = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from error
    content["name"] = file.stem
    for key, kind in (("grids", Grid), ("curves", Curve), ("tuned", Tuned)):
        if key in content:
            content[key] = [_of(kind, part, f"{file}: {key}") for part in content[key]]
    suite = _of(Suite, content, str(file))
    _check(suite, file)
    return suite


def _of(kind: type, content: Any, where: str) -> Any:
    """The dataclass of a table. Raises: ValueError for keys that are missing, unknown or of another type."""
    hints = get_type_hints(kind)
    if not isinstance(content, dict):
        raise ValueError(f"{where} must be a table of {', '.join(hints)}")
    for key, value in content.items():
        if key not in hints:
            raise ValueError(f"{where}: {unknown('key', key, [name for name in hints if name != 'name'])}")
        if not _fits(value, hints[key]):
            raise ValueError(f"{where}: {key} = {value!r} must be {_words(hints[key])}")
    try:
        return kind(**content)
    except TypeError as error:
        lacking = str(error).rpartition(":")[2].strip()
        raise ValueError(f"{where} lacks {lacking}") from error


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(part, get_args(hint)[0]) for part in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_fits(part, get_args(hint)[1]) for part in value.values())
    return isinstance(value, hint) and not isinstance(value, bool)


def _words(hint: Any) -> str:
    if get_origin(hint) is list:
        return f"a list of {_words(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return f"a table whose values are each {_words(get_args(hint)[1])}"
    return {str: "a text", int: "a whole number"}.get(hint, f"a table of {hint.__name__}")


def _check(suite: Suite, file: Path) -> None:
    """Raises: ValueError for labels that nothing has, an empty suite, or seeds that repeat."""
    for what, found in (("models", suite.models), ("data", suite.data), ("seeds", suite.seeds), ("grids", suite.grids)):
        if not found:
            raise ValueError(f"{file}: {what} is empty, so there is nothing to run")
    if len(set(suite.seeds)) < len(suite.seeds):
        raise ValueError(f"{file}: seeds = {suite.seeds} repeat, and a result counts once")
    if len(budgets := {tuned.trials for tuned in suite.tuned}) > 1:
        raise ValueError(f"{file}: models were tuned by {', '.join(map(str, sorted(budgets)))} trials, and a suite gives all the same")
    named: list[tuple[str, Iterable[str], list[str]]] = [("data", suite.data, suite.optional)]
    for tuned in suite.tuned:
        named += [("data", suite.data, [tuned.data]), ("model", suite.models, [tuned.model])]
        named += [("grid", [grid.title for grid in suite.grids], [tuned.grid])]
    for grid in suite.grids:
        named += [("data", suite.data, grid.data), ("model", suite.models, grid.models)]
    for what, known, asked in named:
        for label in asked:
            if label not in known:
                raise ValueError(f"{file}: {unknown(what, label, known)}")
