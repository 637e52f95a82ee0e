"""Options that would change nothing in an experiment: a loss beside an objective that has its own, training beside a model that counts,
rows to be updated beside a sampler that reads all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
        return {key: _line(key, pairs[key], why) for key in keys if key.partition(".")[0] in TRAINING}
    takes = components.facts_of(components.find("objective", pairs["objective"]))
    why = f"objective={pairs['objective']} takes no "
    found = {key: _line(key, pairs[key], why + kind) for key in keys if (kind := key.partition(".")[0]) in TAKEN and kind not in takes}
    if SPARSE in keys and str(pairs[SPARSE]).lower() == "true" and "sampler" in takes and pairs.get("sampler") == "catalogue":
        found[SPARSE] = _line(SPARSE, pairs[SPARSE], "sampler=catalogue scores every item, so that every row of the table has a gradient")
    return found


def _line(key: str, value: Any, why: str) -> str:
    return f"{key}={value} would change nothing: {why}; leave it out"
