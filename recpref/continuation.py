"""Continuing an interrupted training: with the same data and the same options, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from recpref.data.interactions import Interactions
from recpref.plan import Plan, Written, read
from recpref.source import identity
from recpref.workplace import plan_of, state_of


def plan_to_continue(path: Path, asked: dict[str, str]) -> Plan:
    """The plan of the interrupted run ``path``. ``asked`` are overrides given beside it, which must not differ.

    Raises: ValueError where there is nothing to continue or an option differs; FileNotFoundError where there is no run.
    """
    plan = written(path).plan
    if state_of(path) is None:
        raise ValueError(f"{path} has nothing to continue: its training was not interrupted after a state had been saved")
    content = plan.content
    for key, value in asked.items():
        section, dot, option = key.partition(".")
        there = content.get(section)
        there = there.get(option if dot else "name") if isinstance(there, dict) else there
        if not _same(value, there):
            raise ValueError(
                f"resume={path}: {key} is {there} there, and {value} was asked for; leave it out, or start anew without resume"
            )
    return plan


def written(path: Path) -> Written:
    """What is written of a run that is finished or was cut short."""
    return read(plan_of(path))


def _same(text: str, there: Any) -> bool:
    if text == str(there):
        return True
    try:
        asked = yaml.safe_load(text)
        return bool(asked == there or [asked] == there) or float(asked) == float(there)
    except (TypeError, ValueError, yaml.YAMLError):  # one that is no number, or a text that has no meaning but itself
        return False


def agree(resumed: Path, path: Path, plan: Plan, data: Interactions) -> None:
    """Raises: ValueError where the data is not what the interrupted training saw."""
    if written(resumed).data_digest != identity(plan, data):
        raise ValueError(f"resume={resumed}: the data is not what that training saw ({data!r}); start anew without resume")
    if resumed.name != path.name:
        raise ValueError(
            f"resume={resumed}: that training was of other options than this plan, whose run is {path.name}; start anew without resume"
        )
