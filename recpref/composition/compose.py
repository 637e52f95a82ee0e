"""From a list of overrides to a complete experiment: defaults, then the model's recipe, then what the user said.

The result is a plan of plain names and values. Hydra composes the sections and checks their types; nothing is interpolated
or instantiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any

from recpref import components
from recpref.composition.general_options import BASE, PLAIN, SELF, general_options
from recpref.composition.recipes import DEFAULTS, KINDS, recipe_of, still_meant, wraps
from recpref.composition.second_stage import divided, of_second, refuse_single
from recpref.composition.unused_options import idle
from recpref.data.batches import Loader
from recpref.data.cards import open_data
from recpref.evaluation.protocol import Evaluation
from recpref.overrides import chosen
from recpref.plan import DataPart, Part, Plan
from recpref.suggest import unknown
from recpref.training.optimizer import Optimizer
from recpref.training.stopping import Stopping
from recpref.training.trainers import refuse_nothing

OPTIONAL = ("table",)  # kinds of which nothing is chosen where nothing is said
TRAINER = {  # where our defaults differ from Lightning's
    "max_epochs": 400,
    "devices": 1,
    "gradient_clip_val": 5.0,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
}
OURS = {
    "logger",
    "callbacks",
    "default_root_dir",
    "check_val_every_n_epoch",
    "enable_checkpointing",
    "use_distributed_sampler",
    "plugins",
    "enable_progress_bar",
}


def trainer() -> Callable[..., Any]:
    """Lightning's trainer, whose options are ``trainer.*``."""
    import pytorch_lightning as pl  # takes two seconds to import

    return pl.Trainer


def fixed_sections() -> dict[str, Callable[..., Any]]:
    """The sections that have one class, not a choice of several."""
    return {
        "data": open_data,
        "optimizer": Optimizer,
        "loader": Loader,
        "stopping": Stopping,
        "evaluation": Evaluation,
        "trainer": trainer(),
    }


def compose(overrides: Iterable[str], *, strict: bool = True) -> Plan:
    """The complete plan of an experiment. ``strict``: what the user said must say something to it (see ``idle``).

    Raises: ValueError for an unknown name, a wrong type or value, each with the nearest and the legal choices.
    """
    user, then = divided(chosen(overrides))
    if "model" not in user:
        known = (*KINDS, "base", *OPTIONAL, "data", *PLAIN)
        if strange := next((key for key in user if "." not in key and key not in known), None):
            raise ValueError(unknown("option", strange, known))
        raise ValueError(f"no model was named; say model=NAME, one of {', '.join(components.names('model'))}")
    model = components.find("model", user["model"])
    recipe = recipe_of(model, general_options(user)["recipe"], user)
    plan = _plan(model, recipe, user, user if strict else {})
    refuse_single(then, plan.start)
    _refuse_start(plan, model)
    if plan.start not in (SELF, BASE):
        return plan
    alone = replace(plan, start="none", refit=False)
    first = alone if plan.start == SELF else compose(before(user, {**DEFAULTS, **still_meant(recipe, user), **user}), strict=False)
    if then:
        try:
            plan = _plan(model, recipe, of_second(user, then, recipe), then if strict else {})
        except ValueError as error:
            raise ValueError(f"in the second stage: {error}") from error
    return replace(plan, before=first)


def _refuse_start(plan: Plan, model: Any) -> None:
    """Raises: ValueError where a plan starts from what there cannot be, or keeps as it is what nothing was learned in."""
    if plan.start != "none" and components.trains_itself(model):
        raise ValueError(f"start={plan.start}: model={plan.model.name} only counts and starts from nothing; leave start out")
    if plan.start == BASE and plan.base is None:
        raise ValueError(
            f"start={BASE} trains what a model wraps, and model={plan.model.name} wraps nothing; say none, {SELF}, or a run's folder"
        )
    if plan.start in ("none", SELF) and plan.model.options.get("base_lr") == 0:
        later = f", or then.model.base_lr=0 beside start={SELF}" if plan.start == SELF else ""
        raise ValueError(
            f"model.base_lr=0 keeps a base as it is, and with start={plan.start} it has learned nothing yet; say start={BASE}, or a run's "
            f"folder{later}"
        )


def _plan(model: Any, recipe: dict[str, Any], user: dict[str, Any], meant: dict[str, Any]) -> Plan:
    """The plan of one stage. What is ``meant`` must say something to it."""
    pairs = {**DEFAULTS, **still_meant(recipe, user), **user}
    general = general_options(pairs)
    kinds = (*KINDS, *(["base"] if wraps(model) else []), *(["table"] if "table" in pairs else []))
    found = {kind: components.find(kind, pairs[kind]) for kind in kinds}
    sections = {**found, **fixed_sections()}
    _check_keys(pairs, sections)
    for why in idle(meant, pairs).values():
        raise ValueError(why)
    content = _composed(sections, {key: value for key, value in pairs.items() if key not in (*kinds, "data", *PLAIN)})
    for name, component in sections.items():
        components.check(component, content[name], name)
    refuse_nothing(content["trainer"])
    _unify(content["trainer"])
    for name in content["evaluation"]["beyond"]:
        components.find("beyond", name)
    parts = {kind: Part(pairs[kind], content[kind]) for kind in kinds}
    return Plan(**{**general, **content, **parts, "data": DataPart(pairs.get("data"), content["data"])})


def heeded(overrides: Iterable[str], own: Iterable[str]) -> list[str]:
    """The overrides that apply to the model they name. A suite gives common options to all its models; one that a model cannot use is
    dropped here, not refused. The model's ``own`` always stay; if composing fails, all do, so that ``compose`` reports the error."""
    overrides = list(overrides)
    user = chosen(overrides)
    try:
        recipe = recipe_of(components.find("model", user["model"]), general_options(user)["recipe"], user)
        nothing = idle(user.keys() - chosen(own).keys(), {**DEFAULTS, **still_meant(recipe, user), **user})
        if nothing:
            compose(overrides, strict=False)
    except (KeyError, ValueError):
        return overrides  # composing them again will say what is wrong
    return [override for override in overrides if override.partition("=")[0].strip() not in nothing]


def before(user: dict[str, Any], pairs: dict[str, Any]) -> list[str]:
    """The overrides of the run that trains the base alone: what the user said of both, and the loss and tables of what follows.

    Examples are the base's own, unless the user named some: they may teach it more at a time than a model that reads one place.
    """
    theirs = {key: value for key, value in pairs.items() if key.partition(".")[0] in ("objective", "loss", "sampler", "evaluation")}
    left = ("model", "base", "start", "refit", *([] if "examples" in user else ["examples"]))
    said = {key: value for key, value in user.items() if key.partition(".")[0] not in left}
    shape = {key.replace("base", "model", 1): value for key, value in user.items() if key.startswith("base.")}
    return [f"{key}={value}" for key, value in {"model": pairs.get("base"), **theirs, **said, **shape}.items()]


def options(name: str, component: Callable[..., Any]) -> dict[str, Any]:
    """The options of a section and their defaults."""
    parameters = components.options_of(component)
    if name == "trainer":
        import inspect

        every = inspect.signature(component).parameters.values()
        parameters = {p.name: p for p in every if p.name not in OURS}
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    return {**defaults, **(TRAINER if name == "trainer" else {})}


def _unify(trainer: dict[str, Any]) -> None:
    """5 and 5.0 are one limit, and one digest. Of limits of batches they are not: 1 is a batch, and 1.0 all of them."""
    trainer |= {key: float(value) for key, value in trainer.items() if key == "gradient_clip_val" and isinstance(value, int)}


def _check_keys(pairs: dict[str, Any], sections: dict[str, Callable[..., Any]]) -> None:
    for key in pairs:
        section, dot, option = key.partition(".")
        if section not in sections and section not in PLAIN:
            meant = [f"{name}.{key}" for name, component in sections.items() if key in options(name, component)]
            if meant:
                raise ValueError(f"unknown option {key!r}; did you mean {' or '.join(meant)}?")
            raise ValueError(unknown("option", key, [*sections, *PLAIN]))
        if not dot and section in sections and section not in (*KINDS, "base", "table", "data"):
            raise ValueError(
                f"{key} has options of its own; say one of {', '.join(f'{key}.{o}' for o in options(section, sections[section]))}"
            )
        if dot and (section in PLAIN or option not in (known := options(section, sections[section]))):
            raise ValueError(unknown(f"option of {section}", option, known if section in sections else []))


def _composed(sections: dict[str, Callable[..., Any]], pairs: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(_content(tuple(sections.items()), tuple((key, str(value)) for key, value in pairs.items())))


@lru_cache(maxsize=256)
def _content(sections: tuple[tuple[str, Callable[..., Any]], ...], pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Seeds and folders are none of it, so that a suite composes each of its experiments once."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from hydra_zen import make_config
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    nodes = {name: components.schema(component) for name, component in sections}
    ConfigStore.instance().store("recpref_experiment", make_config(**nodes))
    free = {f"{name}.{option}" for name, component in sections if name != "trainer" for option in components.texts(component)}
    said = [f"{key}={_quoted(value) if key in free else value}" for key, value in pairs]
    preset = [f"trainer.{key}={value}" for key, value in TRAINER.items()]
    with _own_hydra(), initialize_config_module("recpref", version_base="1.3"):
        try:
            config = hydra_compose("recpref_experiment", [*preset, *said])
        except (HydraException, OmegaConfBaseException) as error:
            raise ValueError(_one_line(error, dict(pairs))) from error
    content = OmegaConf.to_container(config, resolve=False)
    for name, component in sections:
        content[name] = {key: content[name][key] for key in options(name, component) if key in content[name]}
    return content


def _quoted(text: str) -> str:
    """A text that means itself in Hydra's grammar, whatever is in it: names of columns and separators are the user's. ``null`` is none."""
    from hydra.core.override_parser.types import Quote, QuotedString

    text = str(text)
    if text == "null" or (len(text) > 1 and text[0] == text[-1] and text[0] in "'\""):
        return text
    return str(QuotedString(text, Quote.single).with_quotes())


@contextmanager
def _own_hydra() -> Any:
    """Hydra keeps one global; a program that is itself a Hydra application gets its own back."""
    from hydra.core.global_hydra import GlobalHydra

    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs


def _one_line(error: Exception, pairs: dict[str, Any]) -> str:
    text = " ".join(str(error.__cause__ or error).split())
    key = next((key for key in pairs if f"full_key: {key}" in text or f"'{key}=" in text), None)
    reason = text.partition(" full_key:")[0]
    return f"{key}={pairs[key]}: {reason}" if key else reason
