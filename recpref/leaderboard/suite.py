"""A suite: which models are trained on which data under which protocols, by overrides. Its file: ``suite_files``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from recpref.overrides import chosen

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
    """What ``trials`` of a search by validation found for one model on one data set in one grid; ``unfinished`` of them failed."""

    data: str
    model: str
    trials: int
    overrides: list[str]
    grid: str = ""
    unfinished: int = 0


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
        """How much was searched for before these trainings, in words."""
        if not self.tuned:
            return "No model was tuned for it: each has the values of its recipe."
        found = {(tuned.data, tuned.grid, tuned.model) for tuned in self.tuned}
        every = [(data, grid.title, model) for data, grid, model in self.combinations()]
        left = [key for key in every if key not in found]
        kept = f"; with the values of the recipe: {', '.join(_named(left, every))}" if left else ""
        short = {(tuned.data, tuned.grid, tuned.model): tuned.trials - tuned.unfinished for tuned in self.tuned if tuned.unfinished}
        fewer = ", ".join(f"{_named([key], every)[0]} {count}" for key, count in short.items())
        of_them = f" (fewer finished: {fewer})" if fewer else ""
        return f"Tuned by {self.tuned[0].trials} trials each{of_them}, on every data set by itself, by validation alone{kept}."

    def combinations(self) -> Iterator[tuple[str, Grid, str]]:
        """Every data set, grid and model that are run together, data by data."""
        for data in self.data:
            for grid in self.grids:
                for model in (grid.models or list(self.models)) if data in (grid.data or self.data) else ():
                    yield data, grid, model

    def experiments(self, overrides: Iterable[str] = ()) -> Iterator[Experiment]:
        """Every experiment, data by data, so that a data set is read once; all seeds of a model together.

        Raises: ValueError for overrides that the suite says itself.
        """
        from recpref.composition.compose import heeded  # Lightning takes two seconds to import

        users = tuple(overrides)
        for key in chosen(users):
            if key in TAKEN:
                hint = "say seeds=[1,2,3]" if key == "seed" else "write a suite of your own"
                raise ValueError(f"{key}= is said by the suite {self.name}; {hint}")
        for data, grid, model in self.combinations():
            found = (tuned.overrides for tuned in self.tuned if (tuned.data, tuned.grid, tuned.model) == (data, grid.title, model))
            every = (*self.overrides, *self.data[data], *grid.overrides, *self.models[model], *chain(*found), *users)
            own = heeded(every, self.models[model])  # epochs, say, are for the models that have some
            yield from (Experiment(model, data, grid.title, seed, (*own, f"seed={seed}")) for seed in self.seeds)


def _named(some: list[tuple[str, str, str]], every: list[tuple[str, str, str]]) -> list[str]:
    """Models, with their data and grid where they are not meant on all of theirs."""
    whole = {model for _, _, model in some if all(key in some for key in every if key[2] == model)}
    parts = [f"{model} on {' '.join(part for part in (data, grid) if part)}" for data, grid, model in some if model not in whole]
    return [*(model for model in dict.fromkeys(model for _, _, model in some) if model in whole), *parts]
