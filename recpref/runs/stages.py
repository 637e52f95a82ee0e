"""The first stage of a plan: the run that has to be there before another one starts from it, gone on with where it was cut short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recpref.runs.start import finished
from recpref.workplace import state_of


def brought_to_end(path: Path, train: Callable[[Path | None], object]) -> bool:
    """Makes the run ``path``, unless it is finished: ``train`` is told what to resume where a state of it had been saved.

    Returns: whether it is finished now; False where its training was stopped by a signal.
    """
    if finished(path):
        return True
    train(path if state_of(path) is not None else None)
    return finished(path)
