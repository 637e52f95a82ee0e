"""A suite tuned: the same number of trials for every model on every data set, and the suite's file with what they found.

Every model has a study of its own for each data set and grid, with the suite's first seed. A model that has nothing to search keeps what
the suite says of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from recpref.leaderboard.jobs import Job, jobs
from recpref.leaderboard.suite import Experiment, Suite, Tuned
from recpref.overrides import chosen
from recpref.tuning.space import declared


def searches(suite: Suite, users: Iterable[str], out: str) -> tuple[list[Experiment], list[Job]]:
    """What is to be searched, and what cannot be run. Raises: ValueError for a suite that is tuned already, and as ``jobs``."""
    if suite.tuned:
        raise ValueError(f"the suite {suite.name} is tuned already; tune the one that it was made of")
    found = jobs(replace(suite, seeds=suite.seeds[:1]), users, out)
    wanted = [job.experiment for job in found if not job.error and has_space(job.experiment)]
    if not wanted:
        raise ValueError(f"no model of the suite {suite.name} has anything to search that the suite does not say itself")
    return wanted, [job for job in found if job.error]


def has_space(experiment: Experiment) -> bool:
    """Whether the model declares anything that the suite has not fixed."""
    said = chosen(experiment.overrides)
    return bool(chosen(declared(said["model"])).keys() - said.keys())


def name_of(experiment: Experiment) -> str:
    """The study's, fit for a folder and unlike any other's of the suite."""
    parts = (experiment.data, experiment.grid, experiment.model)
    shown = "-".join(re.sub(r"\W+", "_", part).strip("_") for part in parts if part)
    return f"{shown}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:6]}"


def with_tuned(text: str, found: Iterable[Tuned]) -> str:
    """The text of a suite's file, and behind it the table of each search."""
    tables = ["\n".join(["[[tuned]]", *(f"{key} = {_toml(value)}" for key, value in vars(one).items()), ""]) for one in found]
    return "\n".join([text.rstrip() + "\n", *tables])


def _toml(value: Any) -> str:
    """JSON's numbers, lists and texts are TOML's, as long as no character stands there as half of itself, and none is a control."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
