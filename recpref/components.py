"""Components: kind and name to a class, and a class to typed configuration.

The file system is the registry: ``model=bert4rec`` is ``recpref/models/bert4rec.py``, whose ``__all__`` names one class;
``model=their.package:Thing`` is anything else that the caller names. The constructor's keyword-only parameters are the
options; its positional ones are facts about the data, supplied by name. Nothing is instantiated from configuration text.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from recpref.plan import Plan
from recpref.suggest import unknown

PACKAGES = {
    "model": "recpref.models",
    "base": "recpref.models",
    "examples": "recpref.data.examples",
    "objective": "recpref.objectives",
    "loss": "recpref.losses",
    "sampler": "recpref.samplers",
    "table": "recpref.tables",
    "split": "recpref.data.splits",
    "metric": "recpref.metrics",
    "beyond": "recpref.beyond",
}
BUILT = ("model", "base", "table")  # what the model of a run is built of


def names(kind: str) -> list[str]:
    """The names of our own components of a kind, without importing one."""
    package = importlib.import_module(PACKAGES[kind])
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def refuse_unknown(kind: str, name: str) -> None:
    """Imports nothing. Raises: ValueError for a name that is neither ours nor of the form ``package:Thing``, with the nearest and all
    legal names."""
    if ":" not in name and name not in names(kind):
        raise ValueError(unknown(kind, name, names(kind), hint="or your.package:Thing"))


def find(kind: str, name: str) -> Any:
    """The class (for metrics, the function) of that name.

    Raises: ValueError with the nearest and all legal names.
    """
    refuse_unknown(kind, name)
    if ":" in name:
        return _elsewhere(kind, name)
    module = importlib.import_module(f"{PACKAGES[kind]}.{name}")
    (only,) = module.__all__
    return getattr(module, only)


def _elsewhere(kind: str, name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{kind}={name} cannot be imported: {error}") from error
    if not callable(found):
        raise ValueError(f"{kind}={name} is {found!r}, and no class or function")
    return found


def foreign(plan: Plan) -> dict[str, str]:
    """The parts of a plan that are not ours (``their.package:Thing``) as they are said: by kind, and ``evaluation.beyond``."""
    parts = {kind: part.name for kind in PACKAGES if (part := getattr(plan, kind, None)) is not None and ":" in part.name}
    beyond = ",".join(map(str, plan.evaluation.get("beyond") or ()))
    return parts | ({"evaluation.beyond": f"[{beyond}]"} if ":" in beyond else {})


def trains_itself(model: Any) -> bool:
    """Whether a model, or its class, has a ``fit`` of its own: it counts or solves, and nothing trains it step by step."""
    return hasattr(model, "fit")


def options_of(component: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters: what a user may set."""
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def facts_of(component: Callable[..., Any]) -> list[str]:
    """The positional parameters: what the experiment supplies."""
    parameters = inspect.signature(component).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and p.default is p.empty]


def schema(component: Callable[..., Any]) -> Any:
    """The options with their defaults as a structured configuration node: a value of the wrong type cannot be assigned.

    Literals and most unions come out untyped; ``check`` covers them.
    """
    from hydra_zen import builds  # takes 0.4 s to import

    return builds(component, populate_full_signature=True, zen_partial=True)


def hints_of(component: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters."""
    return get_type_hints(inspect.unwrap(component) if inspect.isfunction(component) else component.__init__)


def texts(component: Callable[..., Any]) -> list[str]:
    """The options that may be any text."""
    hints = hints_of(component)
    return [name for name in options_of(component) if hints.get(name) in (str, str | None)]


def check(component: Callable[..., Any], options: dict[str, Any], where: str) -> None:
    """What typed configuration lets through: literals and unions. Raises: ValueError with the legal choices."""
    hints = hints_of(component)
    for name, value in options.items():
        hint = hints.get(name, Any)
        if not _fits(value, hint):
            raise ValueError(_wrong(f"{where}.{name}", value, hint))


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, get_args(hint)[1]) for v in value.values())
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _wrong(key: str, value: Any, hint: Any) -> str:
    literals = [choice for part in (hint, *get_args(hint)) if get_origin(part) is Literal for choice in get_args(part)]
    if literals:
        truths = ["true", "false"] if bool in get_args(hint) else []
        return unknown(key, str(value), [*truths, *map(str, literals)])
    expected = hint.__name__ if isinstance(hint, type) and not get_args(hint) else hint
    return f"{key}={value!r} is a {type(value).__name__}; it must be {expected}"


def build(component: Callable[..., Any], options: dict[str, Any], facts: dict[str, Any]) -> Any:
    """The component, from its options and those of ``facts`` that it names.

    Raises: ValueError for a fact that nobody knows, or with the component's own complaint about its options.
    """
    missing = [name for name in facts_of(component) if name not in facts]
    if missing:
        raise ValueError(unknown(f"fact that {component.__name__} needs", missing[0], facts))
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}  # YAML knows lists only
    try:
        return component(*(facts[name] for name in facts_of(component)), **options)
    except ValueError as error:
        raise ValueError(str(error)) from error


def model_of(plan: Plan, facts: dict[str, Any]) -> Any:
    """The model of a plan, around its base where it has one, with the table of items that was chosen. Raises: as ``build``, and
    ValueError for a model that keeps its items otherwise."""
    if plan.base is not None:
        facts = facts | {"base": build(find("base", plan.base.name), plan.base.options, facts)}
    model = build(find("model", plan.model.name), plan.model.options, facts)
    part = plan.table
    if part is None:
        return model
    from recpref.layers.item_table import with_tables  # torch takes seconds to import

    def made(old: Any) -> Any:
        shape = {"n_items": old.num_embeddings - 1, "d_model": old.embedding_dim, "bias": old.bias is not None, "whole": old}
        table = build(find("table", part.name), part.options, shape)
        if "train" in facts and hasattr(table, "describe"):  # a run that is loaded brings what was described
            table.describe(facts["train"].items.ids, facts["train"].items.features)
        return table

    if not (hasattr(model, "modules") and with_tables(model, made)):
        raise ValueError(
            f"table={part.name}: model={plan.model.name} has no ItemTable, in whose place it could stand; sasrec, for one, has"
        )
    return model
