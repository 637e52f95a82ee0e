"""In what a plan differs from its model's recipe: the shortest command that repeats it, and whether its budget was cut."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from recpref import components
from recpref.composition.compose import OPTIONAL, compose
from recpref.composition.general_options import BASE, SELF
from recpref.composition.recipes import DEFAULTS
from recpref.composition.second_stage import CHOICES, PREFIX, SECTIONS
from recpref.composition.unused_options import idle
from recpref.data import cards
from recpref.plan import DataPart, Part, Plan
from recpref.runs.resuming import written

LIMITS = ("max_steps", "max_time", "limit_train_batches", "overfit_batches", "fast_dev_run")  # of the trainer; unset by default
OF_SOME = ("base", *OPTIONAL)  # components that not every plan has
TRAINED_BY = ("optimizer", "loader", "stopping", "evaluation", "trainer")
NO_RESULT = ("save_seconds",)  # how often a state is saved changes no result


@lru_cache
def usual(model: str, recipe: str, kinds: tuple[str, ...] = ()) -> Plan:
    """The plan that nobody has changed, but for the components named in ``kinds``."""
    return compose([f"model={model}", f"recipe={recipe}", *kinds], strict=False)


def trains_itself(plan: Plan) -> bool:
    """Whether the model has a ``fit`` of its own, so that the trainer's options, the loss and their like are none of its. Of a model
    that is not ours that is not known, because nothing is imported for it."""
    return ":" not in plan.model.name and components.trains_itself(components.find("model", plan.model.name))


def differences(plan: Plan, *digests: str) -> list[str]:
    """The overrides that make this plan of its model and recipe, without its data and seed. Of a model that is not ours none can be
    known, and of another part that is not ours no more than the parts, because nothing is imported for them. ``digests`` are those of its
    data, and of what else it learned from."""
    if ":" in plan.model.name:
        return []
    said = _differences(plan)
    start = _start(plan, digests, said)
    return (_in_two_stages(plan) if start == [f"start={plan.start}"] else []) or [*said, *start]


def _parts(plan: Plan) -> dict[str, Part]:
    return {kind: part for kind in ("model", *DEFAULTS, *OF_SOME) if (part := getattr(plan, kind)) is not None}


def _differences(plan: Plan) -> list[str]:
    parts = {kind: part for kind, part in _parts(plan).items() if kind != "model"}
    first = usual(plan.model.name, plan.recipe)
    kinds = tuple(f"{kind}={part.name}" for kind, part in parts.items() if part.name != getattr(getattr(first, kind), "name", None))
    if ":" in "".join(kinds):
        return list(kinds)
    there = usual(plan.model.name, plan.recipe, kinds)
    said = [*([f"recipe={plan.recipe}"] if plan.recipe != "default" else []), *(["refit=true"] if plan.refit else [])]
    for name in ("model", *parts, *TRAINED_BY):
        said += [f"{name}.{key}={_text(value)}" for key, value in _changed(getattr(plan, name), getattr(there, name)).items()]
    return [*kinds, *said]


def _start(plan: Plan, digests: tuple[str, ...], said: list[str]) -> list[str]:
    """What says where training started: the run's folder, unless its name is that of the base's own run, or of the plan's own."""
    usually = usual(plan.model.name, plan.recipe).start
    if plan.start == "none":
        return [] if usually == "none" else ["start=none"]
    for start in (BASE, SELF) if ":" not in "".join(said) else ():
        if start == BASE and plan.base is None:
            continue
        before = compose([f"model={plan.model.name}", *said, f"start={start}"], strict=False).before
        assert before is not None
        before = before.on(plan.data.name, frame=plan.data.frame, **plan.data.options)
        if Path(plan.start).name in {f"{before.digest(digest)}-s{plan.seed}" for digest in digests if digest}:
            return [] if start == usually else [f"start={start}"]
    return [f"start={plan.start}"]


def _in_two_stages(plan: Plan) -> list[str]:
    """The overrides of both stages, where the run that was started from can still be read and these make the plan again; else none."""
    try:
        said = _of_both(written(Path(plan.start)).plan, plan)
        return said if said and _alike(compose([f"model={plan.model.name}", *said], strict=False), plan) else []
    except (OSError, ValueError):  # it is gone, or had options that are no more
        return []


def _of_both(first: Plan, plan: Plan) -> list[str]:
    if (first.model.name, first.seed, first.start) != (plan.model.name, plan.seed, "none"):
        return []
    said = [*_differences(first), *(["refit=true"] if plan.refit else []), f"start={SELF}"]
    said += [f"{PREFIX}{kind}={name}" for kind in CHOICES if (name := getattr(plan, kind).name) != getattr(first, kind).name]
    if ":" in "".join(said):
        return []
    there = compose([f"model={plan.model.name}", *said], strict=False)
    for name in SECTIONS:
        if (ours := getattr(plan, name)) is not None:
            said += [f"{PREFIX}{name}.{key}={_text(value)}" for key, value in _changed(ours, getattr(there, name)).items()]
    return said


def _alike(plan: Plan, other: Plan) -> bool:
    """Whether two plans are the same on the same data, wherever they start from."""
    return _digest_of(plan) == _digest_of(other)


def _digest_of(plan: Plan) -> str:
    return replace(plan, start="none", before=None, data=DataPart(None, {})).digest("")


def _changed(section: Part | dict[str, Any], there: Part | dict[str, Any]) -> dict[str, Any]:
    options, others = ({**(part.options if isinstance(part, Part) else part)} for part in (section, there))
    return {key: value for key, value in options.items() if key not in NO_RESULT and value != others.get(key)}


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        parts = {key: repr(part) if isinstance(part, str) else _text(part) for key, part in value.items()}
        return f"{{{', '.join(f'{key}: {part}' for key, part in parts.items())}}}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_data(plan: Plan) -> list[str]:
    """The overrides that read the data: what a card says itself is left out."""
    own = cards.card(plan.data.name) if plan.data.name in cards.names() else None
    guessed = ("user", "item", *(("time",) if own is not None and plan.data.options.get("time") == own.time else ()))
    there = usual("popular", "default").data.options
    changed = {key: value for key, value in plan.data.options.items() if value != there.get(key)}
    return [
        f"data={plan.data.name}",
        *(f"data.{key}={_text(value)}" for key, value in changed.items() if own is None or key not in guessed),
    ]


def taught_by(plan: Plan) -> dict[str, str]:
    """The objective of a plan, and the loss and sampler where it takes them. Of parts that are not ours it is not known: all are named."""
    names = {kind: getattr(plan, kind).name for kind in ("objective", "loss", "sampler")}
    if ":" in "".join((plan.model.name, *names.values())):
        return names
    nothing = idle(("loss", "sampler"), {"model": plan.model.name, **names})
    return {kind: name for kind, name in names.items() if kind not in nothing}


def command(plan: Plan, *digests: str) -> str:
    """The line that trains this plan again; empty where it cannot be known. ``digests`` as for ``differences``."""
    if plan.data.frame or any(":" in part.name for part in _parts(plan).values()):
        return ""
    parts = [f"model={plan.model.name}", *of_data(plan), *differences(plan, *digests), f"seed={plan.seed}"]
    return shlex.join(["python", "-m", "recpref.train", *parts])


def budget(plan: Plan, epochs: list[int]) -> str:
    """``full``, or by what the recipe's budget was cut; ``epochs`` are those that each seed ran. A limit that stopped nobody cut nothing.
    Empty for a model that is trained by no epochs."""
    if not epochs or trains_itself(plan):
        return ""
    if ":" in plan.model.name:
        return "not known"
    there = usual(plan.model.name, plan.recipe)
    cut = [f"{key}={_text(plan.trainer[key])}" for key in LIMITS if plan.trainer.get(key) != there.trainer.get(key)]
    most, usually = plan.trainer.get("max_epochs"), there.trainer["max_epochs"]
    if most is not None and 0 <= most < usually and max(epochs) >= most:
        cut.append(f"max_epochs={most} of {usually}")
    patience, usually = plan.stopping["patience"] * plan.stopping["every"], there.stopping["patience"] * there.stopping["every"]
    if patience < usually:
        cut.append(f"patience={patience} epochs of {usually}")
    return f"reduced: {', '.join(cut)}" if cut else "full"
