"""A model's recipe: the overrides below the user's, and what of them is left where the user put another component in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recpref import components
from recpref.overrides import chosen

KINDS = ("split", "model", "examples", "objective", "loss", "sampler")
DEFAULTS = {"split": "leave_one_out", "examples": "next_item", "objective": "score", "loss": "cross_entropy", "sampler": "catalogue"}


def wraps(model: Callable[..., Any]) -> bool:
    """Whether a model is built around another one, which ``base=NAME`` chooses."""
    return "base" in components.facts_of(model)


def recipe_of(model: Callable[..., Any], variant: str, user: dict[str, Any]) -> dict[str, Any]:
    """The overrides of a model's recipe. That of a base's shape belongs to them.

    Raises: ValueError for a base that is none.
    """
    recipe = getattr(model, "recipe", None)
    if recipe is None or not wraps(model):
        return chosen(recipe(variant) if recipe else [])
    name = base_name(model, user)
    base = components.find("base", name)
    if wraps(base) or not hasattr(base, "reads"):
        lacking = ", ".join(part for part in ("reads", "embed", "encode") if not hasattr(base, part))
        why = "wraps a base itself" if wraps(base) else f"lacks {lacking} (see recpref.types.Reader)"
        raise ValueError(f"base={name} cannot be wrapped, because it {why}; say one of {', '.join(_bases())}")
    shape = {key: value for key, value in recipe_of(base, variant, {}).items() if key.startswith("model.")}
    return {key.replace("model", "base", 1): value for key, value in shape.items()} | chosen(recipe(variant, base))


def base_name(model: Any, user: dict[str, Any]) -> str:
    """The base that the user chose, or else the recipe."""
    return str(user.get("base") or chosen(model.recipe()).get("base"))


def _bases() -> list[str]:
    found = {name: components.find("base", name) for name in components.names("base")}
    return [name for name, model in found.items() if hasattr(model, "reads") and not wraps(model)]


def still_meant(recipe: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """The recipe without options of a component in whose place the user put another."""
    replaced = {kind for kind in KINDS if kind in user and user[kind] != recipe.get(kind, DEFAULTS.get(kind))} - {"model"}
    return {key: value for key, value in recipe.items() if key.partition(".")[0] not in replaced}
