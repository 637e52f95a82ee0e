"""Options that would change nothing in an experiment: a loss beside an objective that has its own, training beside a model that counts,
rows to be updated beside a sampler that reads all of them, and what a component says itself of its options (``unused``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from recpref import components

TRAINING = ("examples", "objective", "loss", "sampler", "optimizer", "loader", "stopping", "trainer")
TAKEN = ("loss", "sampler")  # what an objective may take, and names among its facts where it does

SPARSE = "optimizer.sparse"


def idle(keys: Iterable[str], pairs: dict[str, Any]) -> dict[str, str]:
    """Those of some options that would change nothing in the experiment of ``pairs``, each with a line that says why.

    Raises: ValueError for a model or an objective that is none.
    """
    model = components.find("model", pairs["model"])
    if components.trains_itself(model):
        why = f"model={pairs['model']} is not trained step by step"
        found = {key: _line(key, pairs[key], why) for key in keys if key.partition(".")[0] in TRAINING}
        return found | _said_by_components(keys, pairs, ("model",))
    takes = components.facts_of(components.find("objective", pairs["objective"]))
    why = f"objective={pairs['objective']} takes no "
    found = _said_by_components(keys, pairs)
    found |= {key: _line(key, pairs[key], why + kind) for key in keys if (kind := key.partition(".")[0]) in TAKEN and kind not in takes}
    if SPARSE in keys and str(pairs[SPARSE]).lower() == "true" and "sampler" in takes and pairs.get("sampler") == "catalogue":
        found[SPARSE] = _line(SPARSE, pairs[SPARSE], "sampler=catalogue scores every item, so that every row of the table has a gradient")
    return found


def _said_by_components(keys: Iterable[str], pairs: dict[str, Any], kinds: tuple[str, ...] = ("model", "objective")) -> dict[str, str]:
    """What the components of an experiment say of their own options. Where a value cannot be read, nothing: composing will say what is
    wrong with it."""
    found: dict[str, str] = {}
    for kind in kinds:
        component = components.find(kind, pairs[kind])
        if not hasattr(component, "unused"):
            continue
        given = {key.partition(".")[2]: value for key, value in pairs.items() if key.startswith(f"{kind}.")}
        usual = {name: parameter.default for name, parameter in components.options_of(component).items()}
        try:
            said = component.unused(**(usual | {name: yaml.safe_load(str(value)) for name, value in given.items()}))
        except (yaml.YAMLError, TypeError):
            continue
        found |= {key: _line(key, pairs[key], why) for name, why in said.items() if (key := f"{kind}.{name}") in keys}
    return found


def _line(key: str, value: Any, why: str) -> str:
    return f"{key}={value} would change nothing: {why}; leave it out"
