"""Continuing an interrupted training: with the same data and the same options, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from recpref.components import foreign
from recpref.composition.compose import OPTIONAL
from recpref.composition.second_stage import divided, of_second
from recpref.data.cards import names
from recpref.data.interactions import Interactions
from recpref.plan import Plan, Written, read
from recpref.runs.source import identity
from recpref.runs.start import absolute
from recpref.suggest import unknown
from recpref.training.trackers import NONE
from recpref.workplace import plan_of, state_of


def plan_to_continue(path: Path, asked: dict[str, str]) -> Plan:
    """The plan of the interrupted run ``path``. ``asked`` are overrides given beside it, which must not differ; but data may be elsewhere.
    Parts that are not ours must be among them: nothing is imported because a file says so.

    Raises: ValueError where there is nothing to continue, for an option that it has not, or where one differs or must be said;
    FileNotFoundError where there is no run.
    """
    plan = written(path).plan
    if _other_place(asked.get("data"), plan):
        plan = plan.on(asked["data"])  # ``agree`` compares what is in it
    if state_of(path) is None:
        raise ValueError(f"{path} has nothing to continue: its training was not interrupted after a state had been saved")
    content = plan.content
    both, then = divided(asked)
    for key, value in of_second(both, then, {}).items():
        there = _there(key, content)
        alike = _same(value, there) or (key == "start" and absolute(value) == absolute(there))
        if not alike and not (key == "logger" and value == NONE and there == []):
            raise ValueError(
                f"resume={path}: {key} is {there} there, and {value} was asked for; leave it out, or start anew without resume"
            )
    if theirs := [f"{key}={name}" for key, name in foreign(plan).items() if key not in asked]:
        raise ValueError(
            f"resume={path} was made with {' '.join(theirs)}, which is not part of recpref; if you trust that code, say so beside it"
        )
    return plan


def _other_place(data: str | None, plan: Plan) -> bool:
    """Whether data is named by a path, here and there, so that it may be the same somewhere else."""
    there = plan.data.name
    return data is not None and there is not None and not plan.data.frame and not {data, there} & set(names()) and Path(data).exists()


def _there(key: str, content: dict[str, Any]) -> Any:
    """What a plan of that content says of an option; None of those of a base or table that it lacks.

    Raises: ValueError with the nearest and all legal names for what is no option of it.
    """
    section, dot, option = key.partition(".")
    if section not in (known := {*content, "base", *OPTIONAL}):
        meant = [f"{name}.{key}" for name, part in content.items() if isinstance(part, dict) and key in part]
        raise ValueError(f"unknown option {key!r}; did you mean {' or '.join(meant)}?" if meant else unknown("option", key, known))
    there = content.get(section)
    options = there.keys() - {"name", "source"} if isinstance(there, dict) else set()
    if dot and there is not None and option not in options:
        raise ValueError(unknown(f"option of {section}", option, options))
    if not dot and isinstance(there, dict) and "name" not in there:
        raise ValueError(f"{key} has options of its own; say one of {', '.join(f'{key}.{option}' for option in sorted(options))}")
    return there.get(option if dot else "name") if isinstance(there, dict) else there


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
