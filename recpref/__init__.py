"""recpref: sequential recommenders and their baselines, trained, evaluated and compared alike; preference-aware models are planned.

>>> import recpref
>>> run = recpref.fit("model=bert4rec", data="ml_100k")          # doctest: +SKIP
>>> run.metrics["test/ndcg@10"]                                  # doctest: +SKIP
>>> run.recommend(histories, k=10)                               # doctest: +SKIP

Importing recpref imports nothing heavy; names are loaded when they are used.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recpref.data.interactions import Interactions
    from recpref.evaluation.external import evaluate
    from recpref.experiment import fit
    from recpref.runs.run import Run

__version__ = "0.1.0"
__all__ = ["Interactions", "Run", "evaluate", "fit", "load"]

_HOMES = {
    "Interactions": "recpref.data.interactions",
    "Run": "recpref.runs.run",
    "evaluate": "recpref.evaluation.external",
    "fit": "recpref.experiment",
}


def load(path: str | Path, *, trust: str | tuple[str, ...] | None = None) -> Run:
    """A saved run. ``trust`` names the model, base and table that are not recpref's and may be imported: ``their.package:Thing``.

    Raises: FileNotFoundError where there is no run; ValueError where it is incomplete, of another format, or not trusted.
    """
    from recpref.runs.run import Run

    return Run.load(path, trust=trust)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"recpref has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
