"""Which trials of a study count: those that ended, and those that a worker that lives has in hand."""

from __future__ import annotations

from typing import Any

ENDED = ("COMPLETE", "PRUNED")  # the trials that count
SURPLUS = "surplus"  # marks a trial that was one too many, begun by two workers at once, and given up before it trained anything


class Surplus(Exception):
    """A trial more than was asked for."""


def finished(study: Any) -> int:
    """How many trials count: those that ended, or were pruned. Who was killed or refused does not."""
    return sum(trial.state.name in ENDED for trial in study.get_trials(deepcopy=False))


def taken(study: Any) -> int:
    """How many trials are finished, or in the hand of a worker that says that it lives. Where none says so (a proxy), only the former."""
    return len(counting(study))


def counting(study: Any) -> list[Any]:
    """The trials of ``taken``, by one look at the study: one that ends meanwhile is not overlooked."""
    states = (*ENDED, "RUNNING") if alive_is_known(study) else ENDED
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def best_of(study: Any, n_trials: int) -> Any:
    """The best of the first ``n_trials`` that count: what a search of so many found, though the study may hold more.

    Raises: ValueError where none of them was trained to its end.
    """
    first = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ENDED][:n_trials]
    ended = [trial for trial in first if trial.state.name == "COMPLETE"]
    if not ended:
        raise ValueError(f"none of the first {n_trials} trials of its study was trained to its end; say a larger n_trials")
    return max(ended, key=lambda trial: trial.value)


def in_hand(study: Any) -> set[int]:
    """The numbers of the trials that somebody has in hand."""
    return {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"}


def alive_is_known(study: Any) -> bool:
    """Whether workers say that they live, so that a trial that is open is one that somebody works at."""
    return hasattr(study._storage, "get_heartbeat_interval")
