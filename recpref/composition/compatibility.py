"""Whether a model can learn from the examples that a plan names: what it may see of a row, and where it is read."""

from __future__ import annotations

from typing import Any

from recpref.data.batches import Examples
from recpref.plan import Plan


def refuse_mismatch(plan: Plan, examples: Examples, model: Any) -> None:
    """Raises: ValueError with the examples that are right for the model; where it does not say what it sees; for weights of one place."""
    wanted, name = plan.examples.name, plan.model.name
    if getattr(examples, "one_place", False) and plan.objective.options.get("recency", 1.0) < 1:
        raise ValueError(f"objective.recency weighs the places of a row, and examples={wanted} asks for one place of each; leave it out")
    if not hasattr(model, "causal"):
        raise ValueError(f"model={name} does not say causal: True where a place of a history sees none after it, as in SASRec, else False")
    masked = hasattr(model, "mask_id")
    right = "next_item" if model.causal else "cloze" if masked else "prefix"
    if getattr(model, "one_place", False) and not getattr(examples, "one_place", False):
        right = "cloze examples.last_ratio=1" if masked else "prefix"
        raise ValueError(f"examples={wanted} asks for several items of a row, and model={name} is read at one place; use examples={right}")
    if examples.causal and not model.causal:
        raise ValueError(f"examples={wanted} would show model={name} what it must predict, because it looks ahead; use examples={right}")
    if examples.causal is False and model.causal:
        raise ValueError(f"examples={wanted} needs a model that looks ahead, and model={name} does not; use examples={right}")
    if examples.causal is False and not masked:
        raise ValueError(f"examples={wanted} hides items behind a [MASK], and model={name} has none; use examples={right}")
    if examples.causal is None and masked:
        raise ValueError(f"examples={wanted} reads a model at its newest item, and model={name} is read at a [MASK]; use examples={right}")
