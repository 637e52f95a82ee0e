"""Which plans several processes may train, what is done by one of them for all, and what a restart goes on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recpref import processes
from recpref.data.batches import Loader
from recpref.plan import FILE, Plan
from recpref.start import finished
from recpref.training.trainers import processes_of
from recpref.workplace import place_of, state_of


def refuse_processes(plan: Plan) -> bool:
    """Whether a plan trains in several processes. Raises: ValueError where they would have nothing to do."""
    count, loader = processes_of(plan.trainer), Loader(**plan.loader)
    if count > loader.batch_size:
        raise ValueError(f"loader.batch_size={loader.batch_size} is shared by {count} processes, and each needs a row; raise it")
    return count > 1


def by_all_or_one(work: Callable[[], None], path: Path, *, several: bool) -> None:
    """``several`` processes make the run ``path`` together; else the first one does, as if alone, and the others wait until it has."""
    if several or (processes.first() and not processes.connected()):
        work()
    elif processes.first():
        with processes.alone():
            work()
        processes.wait()
    else:
        processes.wait()
        processes.wait_for(path / FILE)


def made_before(path: Path) -> bool:
    """Whether this was started anew, and the run had been finished by then. Where processes can ask each other, the first one knows: it
    may finish the run before another one looks."""
    made = processes.restarted() and finished(path) and not place_of(path).exists()
    return processes.agreed(processes.first() and made) if processes.connected() else made


def to_continue(path: Path) -> Path | None:
    """The run, where this was started anew and a state of its training has been saved."""
    return path if processes.restarted() and state_of(path) is not None else None
