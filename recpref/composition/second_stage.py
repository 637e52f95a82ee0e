"""Options of the second stage alone: ``then.optimizer.lr=1e-4`` beside ``start=self`` or ``start=base``.

What is said without ``then.`` holds for both stages, as it does where nothing is said with it.
"""

from __future__ import annotations

from typing import Any

from recpref.composition.general_options import BASE, PLAIN, SELF
from recpref.composition.recipes import DEFAULTS
from recpref.suggest import unknown

PREFIX = "then."
SECTIONS = ("model", "base", "examples", "objective", "loss", "sampler", "optimizer", "loader", "stopping", "trainer")
CHOICES = ("examples", "objective", "loss", "sampler")  # the parts that may be others in the second stage


def divided(user: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was said of both stages, and what of the second alone, without its prefix.

    Raises: ValueError for what two stages have in common: the data and how it is divided, the model and what it wraps, and the
    options without a section.
    """
    then = {key.removeprefix(PREFIX): value for key, value in user.items() if key.startswith(PREFIX)}
    for key in then:
        section, dot, _ = key.partition(".")
        if section in PLAIN or section in ("data", "split", "evaluation", "table") or (not dot and section in ("model", "base")):
            raise ValueError(f"{PREFIX}{key}: {section} is the same in both stages; say it without {PREFIX}")
        if section not in SECTIONS:
            raise ValueError(unknown(f"option after {PREFIX}", key, SECTIONS))
    return {key: value for key, value in user.items() if not key.startswith(PREFIX)}, then


def of_second(user: dict[str, Any], then: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """The overrides of the second stage: the user's, without options of a part in whose place ``then`` puts another, and ``then``'s."""
    names = {**DEFAULTS, **recipe, **user}
    replaced = {kind for kind in CHOICES if kind in then and then[kind] != names.get(kind)}
    return {**{key: value for key, value in user.items() if key.partition(".")[0] not in replaced}, **then}


def refuse_single(then: dict[str, Any], start: str) -> None:
    """Raises: ValueError where there is but one stage."""
    if then and start not in (SELF, BASE):
        key, value = next(iter(then.items()))
        where = "one stage" if start == "none" else f"a first stage that is there already ({start})"
        raise ValueError(
            f"{PREFIX}{key}={value} is for the second of two stages, and start={start} has {where}; say start={SELF}, or {key}={value}"
        )
