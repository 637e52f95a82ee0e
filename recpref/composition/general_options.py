"""The options that belong to no section: seed, recipe, refit, logger, out, start. Each is read by a function that says what it may be."""

from __future__ import annotations

import re
from copy import copy
from typing import Any

from recpref.suggest import unknown
from recpref.training.trackers import chosen_trackers

PLAIN: dict[str, Any] = {
    "seed": 1,
    "recipe": "default",
    "refit": False,
    "logger": ["csv", "tensorboard"],
    "out": "runs",
    "start": "none",
}
RECIPES = ("default", "published")
BASE, SELF = "base", "self"  # where training starts from: the base of the model, or the same plan, trained first


def general_options(user: dict[str, str]) -> dict[str, Any]:
    """The options that belong to no section. Raises: ValueError for a value that is none of theirs."""
    read = {"seed": _seed, "recipe": _recipe, "refit": _refit, "logger": _logger, "out": _out, "start": _start}
    return {key: read[key](user[key]) if key in user else copy(default) for key, default in PLAIN.items()}


def _seed(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(f"seed={text} must be a whole number of at most 18 digits")
    return int(text)


def _recipe(text: str) -> str:
    if text not in RECIPES:
        raise ValueError(unknown("recipe", text, RECIPES))
    return text


def _refit(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"refit={text} must be true or false")
    return text.lower() == "true"


def _logger(text: str) -> list[str]:
    return chosen_trackers([name.strip() for name in text.strip("[]").split(",") if name.strip()])


def _out(text: str) -> str:
    if text in ("", "null"):
        raise ValueError(f"out={text} must be a folder, such as out=runs")
    return text


def _start(text: str) -> str:
    if text in ("", "null"):
        raise ValueError(f"start={text} must be none, {BASE}, {SELF}, or the folder of a run, such as start=runs/...")
    return text
