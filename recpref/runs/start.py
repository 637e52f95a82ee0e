"""Where training starts: from random weights, or from those of a finished run, of the same model or of its base.

What was trained on other rows has perhaps seen what is held out here, so data and split must be the same; and a run that was
refitted has seen the validation rows, which then choose nothing.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from recpref import processes
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.plan import Part, Plan
from recpref.runs.saving import OBJECTIVE, complete, seconds_in_all
from recpref.runs.source import identity
from recpref.workplace import interrupted


def finished(path: Path) -> bool:
    """Whether a complete run lies there whose training was not interrupted."""
    try:
        complete(path)
    except (FileNotFoundError, ValueError):
        return False
    return not interrupted(path)


def absolute(start: str) -> str:
    """The folder of a run to start from, named so that it is found from anywhere."""
    return str(Path(start).expanduser().absolute())


def refuse_start(plan: Plan, data: Interactions) -> None:
    """Raises: ValueError where a plan cannot start from the run that it names; FileNotFoundError where there is none."""
    path = Path(plan.start)
    written = complete(path)
    if interrupted(path):
        raise ValueError(f"start={path} was interrupted; continue it with resume={path}, or train it anew")
    there = written.plan
    if there.split != plan.split:
        raise ValueError(f"start={path} was trained on split={_said(there)} and may know what split={_said(plan)} holds out")
    if written.data_digest != identity(plan, data):
        same = Vocabulary.read(path / "items.parquet").ids.tolist() == data.items.ids.tolist()
        differs = "its items are the same, but not its rows, users or times" if same else "it knows other items"
        raise ValueError(f"start={path} was trained on other data ({there.data.name}) than {data!r}: {differs}")
    if there.refit:
        raise ValueError(f"start={path} was refitted and knows the rows that are to validate what starts from it; train it without refit")
    if there.model.name not in plan.architectures:
        raise ValueError(f"start={path} is a run of model={there.model.name}, and weights are wanted of {' or '.join(plan.architectures)}")


def _said(plan: Plan) -> str:
    return " ".join([plan.split.name, *(f"split.{key}={value}" for key, value in plan.split.options.items())])


def begin(model: Any, plan: Plan, objective: Any = None) -> float:
    """Gives the model, or its base, the weights of the run that the plan starts from, and the objective what it learned there.

    Returns: the seconds that these took: the run's own, and those of the runs that it was started from in its turn.
    Raises: ValueError where they do not fit.
    """
    path = Path(plan.start)
    there = complete(path).plan
    part: nn.Module = model if there.model.name == plan.model.name else model.base
    weights = _saved(path / "model.safetensors")
    wrong = _misfit(part.state_dict(), weights)
    if wrong is not None:
        raise ValueError(f"start={path} has other shapes: {wrong}; say the options that it was trained with")
    part.load_state_dict(weights)
    if isinstance(objective, nn.Module) and any(True for _ in objective.parameters()):
        _begin_objective(objective, path, plan.objective, there.objective)
    return seconds_in_all(json.loads((path / "metrics.json").read_text()))


def _begin_objective(objective: nn.Module, path: Path, ours: Part, theirs: Part) -> None:
    """Gives an objective what one of its kind learned in the run at ``path``; otherwise it begins anew, which a warning says."""
    why = _unlike(objective, ours, theirs)
    if why is None:
        state, buffers = _saved(path / OBJECTIVE), dict(objective.named_buffers())  # which are facts of the rows: the objective knows
        why = _misfit(dict(objective.named_parameters()), {name: value for name, value in state.items() if name not in buffers})
        if why is None:
            getattr(objective, "begin", objective.load_state_dict)(state)
    if why is not None and processes.first():
        warnings.warn(f"start={path}: what objective={ours.name} learns begins anew, and not where it ended there: {why}", stacklevel=3)


def _unlike(objective: nn.Module, ours: Part, theirs: Part) -> str | None:
    """What keeps an objective from reading what another one learned, in words: its kind, or an option that gives it its meaning."""
    if ours.name != theirs.name:
        return f"objective is {theirs.name} there"
    for name in getattr(objective, "read_by", ours.options):
        here, there = ours.options[name], theirs.options.get(name)
        if here != there:
            return f"objective.{name} is {there} there and {here} here"
    return None


def _saved(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def _misfit(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> str | None:
    """The first difference between names or shapes, in words."""
    for name in [*ours, *theirs]:
        here, there = (list(state[name].shape) if name in state else "nothing" for state in (ours, theirs))
        if here != there:
            return f"{name} is {there} there and {here} here"
    return None
