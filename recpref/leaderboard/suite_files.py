"""The TOML file of a suite, read and checked.

    title = "Quick: MovieLens-100K"
    seeds = [1, 2, 3]
    overrides = ["logger=csv"]               # for every experiment
    optional = ["ml_20m"]                    # data left out where it is not on this machine

    [models]                                 # a label, and the overrides it stands for
    sasrec = ["model=sasrec", "trainer.max_epochs=40"]

    [data]
    ml_100k = ["data=ml_100k"]

    [[grids]]                                # without any: all models on all data
    title = "Leave-one-out"                  # of its own, where several grids share data and models
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
    unfinished = 1                           # of these trials; without: none
    overrides = ["model.dropout=0.31"]

Later overrides win: the suite's, the data's, the grid's, the model's, what was tuned, and at last the command line's.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from recpref.leaderboard.suite import TAKEN, Curve, Grid, Suite, Tuned
from recpref.overrides import chosen
from recpref.suggest import unknown


def folder() -> Path:
    """Where the suites are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "suites"
    return installed if installed.is_dir() else package.parent / "benchmarks" / "suites"


def names() -> list[str]:
    """The suites that come with recpref."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def file_of(name: str) -> Path:
    """The file of the suite of that name, or that file. Raises: ValueError where there is none."""
    if not name.endswith(".toml") and name not in names():
        raise ValueError(unknown("suite", name, names(), hint="or the path of a .toml file"))
    file = Path(name) if name.endswith(".toml") else folder() / f"{name}.toml"
    if not file.is_file():
        raise ValueError(f"no such suite: {file}")
    return file


def read(name: str) -> Suite:
    """The suite of that name, or of that file. Raises: ValueError where there is none, or where it is not one."""
    file = file_of(name)
    try:
        content = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from error
    if "name" in content:
        raise ValueError(f"{file}: name = {content['name']!r} is nothing to say: a suite is called as its file is; title is what is shown")
    content["name"] = file.stem
    for key, kind in (("grids", Grid), ("curves", Curve), ("tuned", Tuned)):
        if key in content:
            if not isinstance(content[key], list):
                raise ValueError(f"{file}: {key} = {content[key]!r} must be tables, each under [[{key}]]")
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
    """Raises: ValueError for labels that nothing has, an empty suite, or seeds and grids that repeat."""
    for what, found in (("models", suite.models), ("data", suite.data), ("seeds", suite.seeds), ("grids", suite.grids)):
        if not found:
            raise ValueError(f"{file}: {what} is empty, so there is nothing to run")
    if len(set(suite.seeds)) < len(suite.seeds):
        raise ValueError(f"{file}: seeds = {suite.seeds} repeat, and a result counts once")
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
    _check_apart(suite, file)
    _check_tuned(suite, file)


def _check_apart(suite: Suite, file: Path) -> None:
    """Raises: ValueError for experiments that nothing tells apart: by its title a grid is found again."""
    for grid in suite.grids:
        if len(set(grid.models)) < len(grid.models):
            raise ValueError(f"{file}: models = {grid.models} repeat, and a result counts once")
    for (data, title, model), times in Counter((data, grid.title, model) for data, grid, model in suite.combinations()).items():
        if times > 1:
            called = f"the title {title!r}" if title else "no title"
            raise ValueError(f"{file}: {times} grids with {called} run {model} on {data}; give each grid a title of its own")


def _check_tuned(suite: Suite, file: Path) -> None:
    """Raises: ValueError for budgets that differ, and for what was tuned twice, is not run, or is said by the suite."""
    if len(budgets := {tuned.trials for tuned in suite.tuned}) > 1 or any(trials < 1 for trials in budgets):
        raise ValueError(f"{file}: models were tuned by {', '.join(map(str, sorted(budgets)))} trials, and a suite gives all the same")
    run = Counter((data, grid.title, model) for data, grid, model in suite.combinations())
    tuned = Counter((one.data, one.grid, one.model) for one in suite.tuned)
    for key, times in tuned.items():
        if times > 1 or run[key] != 1:
            raise ValueError(
                f"{file}: {' '.join(filter(None, key))} must be tuned once and run in one grid; it is tuned {times} times and runs in "
                f"{run[key]} grids"
            )
    for one in suite.tuned:
        if not 0 <= one.unfinished < one.trials:
            raise ValueError(f"{file}: {one.model} on {one.data}: unfinished = {one.unfinished} must lie between 0 and {one.trials - 1}")
        if said := [key for key in chosen(one.overrides) if key in TAKEN]:
            raise ValueError(f"{file}: {one.model} on {one.data} is tuned in {said[0]}, which the suite says itself")
