"""The search space: which options vary, and between what values.

One line a dimension, as a model's ``space()`` declares them and ``space.KEY=...`` overrides them:

* ``model.d_model=[64,128,256]``: one of these;
* ``model.dropout=0.1..0.5``: a number between; whole where both ends are;
* ``optimizer.lr=1e-4..1e-2 log``: between, on a logarithmic scale.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from recpref import components
from recpref.composition.compose import compose
from recpref.composition.recipes import KINDS
from recpref.composition.second_stage import PREFIX
from recpref.overrides import chosen

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})(\s+log)?")
COMPARED = (*KINDS, "data", "seed", "out", "logger", "refit", "stopping.k")  # what trials are compared by, or what changes none of them
EVERYWHERE = ("optimizer.lr=3e-4..3e-3 log", "optimizer.weight_decay=1e-4..1e-1 log")  # of whatever is trained by epochs


class Among(NamedTuple):
    """One of some values, as they are written."""

    values: tuple[str, ...]


class Between(NamedTuple):
    """A number between two; ``whole`` where both are whole."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


Dimension = Among | Between


def dimension(key: str, text: str) -> Dimension:
    """What a line says. Raises: ValueError where it says nothing of the three, or nothing to choose from."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        values = tuple(value.strip() for value in text[1:-1].split(",") if value.strip())
        if not values:
            raise ValueError(f"space.{key}={text} offers nothing; say space.{key}=[64,128]")
        return Among(values)
    if found := RANGE.fullmatch(text):
        low, high, log = float(found[1]), float(found[2]), found[3] is not None
        if not low < high or (log and low <= 0):
            raise ValueError(f"space.{key}={text}: the first number must be the smaller one, and above 0 on a logarithmic scale")
        return Between(low, high, log, whole=all(re.fullmatch(r"[+-]?\d+", end) for end in found.groups()[:2]))
    raise ValueError(f"space.{key}={text} must be [a,b,c], low..high, or low..high log")


def declared(model: str) -> list[str]:
    """The lines of a model's own space, after those of every model that is trained here: of two for one option the last counts."""
    found = components.find("model", model)
    own = found.space() if hasattr(found, "space") else []
    return [*(() if components.trains_itself(found) else EVERYWHERE), *own]


def space_of(model: str, wanted: dict[str, str], fixed: Iterable[str]) -> dict[str, Dimension]:
    """The dimensions of a study: the model's, those of ``wanted`` in their place, without what the user fixed. By name.

    Each end is composed once with the fixed overrides, so that a value that no run would take is refused now.

    Raises: ValueError for an empty space, an unknown option or a value that is not one of its.
    """
    fixed = list(fixed)
    settled = set(chosen(fixed)) - set(wanted)
    lines = {**_of_parts(chosen(declared(model)), compose(fixed)), **wanted}
    space = {key: dimension(key, text) for key, text in sorted(lines.items()) if key not in settled}
    if not space:
        raise ValueError(f"model={model} declares no search space, or all of it is fixed; add one such as space.model.d_model=[64,128]")
    for key, choice in space.items():
        if key.removeprefix(PREFIX) in COMPARED or key.startswith(("data.", "split.", "evaluation.")):
            raise ValueError(f"space.{key}: what is compared must stay the same; only the model, its training and its examples may vary")
        for value in choice.values if isinstance(choice, Among) else (_written(choice, choice.low), _written(choice, choice.high)):
            _check(key, value, fixed)
    return space


def _of_parts(lines: dict[str, str], plan: Plan) -> dict[str, str]:
    """Those lines whose option the plan's part of that kind has: a model declares them for the parts of its own recipe."""

    def has(key: str) -> bool:
        kind, _, option = key.partition(".")
        part = getattr(plan, kind, None)
        return kind not in components.PACKAGES or part is None or option in components.options_of(components.find(kind, part.name))

    return {key: text for key, text in lines.items() if has(key)}


def _check(key: str, value: str, fixed: Sequence[str]) -> None:
    try:
        compose([*fixed, f"{key}={value}"])
    except ValueError as error:
        raise ValueError(f"space.{key}: {error}") from error


def overrides(space: dict[str, Dimension], ask: Callable[[str, Dimension], Any]) -> list[str]:
    """The overrides of a trial, where ``ask`` names a value of each dimension."""
    found = []
    for key, choice in space.items():
        value = ask(key, choice)
        found.append(f"{key}={value if isinstance(choice, Among) else _written(choice, value)}")
    return found


def _written(choice: Between, value: float) -> str:
    """A number as an override: three digits are enough of one that is searched for."""
    if choice.whole:
        return str(round(value))
    digits = 3 - math.ceil(math.log10(abs(value))) if value else 3
    return repr(min(max(round(value, digits), choice.low), choice.high))


def text_of(space: dict[str, Dimension]) -> str:
    """The space as a text that is equal where the space is."""
    return json.dumps({key: [type(choice).__name__, *choice] for key, choice in space.items()}, sort_keys=True)
