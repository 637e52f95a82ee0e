"""The first stage of a plan: the run that has to be there before another one starts from it, gone on with where it was cut short, and
waited for where another process is making it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from recpref.runs.start import finished
from recpref.workplace import owner_of, place_of, state_of


def brought_to_end(path: Path, train: Callable[[Path | None], object], *, patience: float = math.inf) -> bool:
    """Makes the run ``path``, unless it is finished: ``train`` is told what to resume where a state of it had been saved. For so many
    seconds it waits while another process that lives is making it, and says so.

    Returns: whether it is finished now; False where its training was stopped by a signal.
    """
    until = time.monotonic() + patience
    if (owner := owner_of(place_of(path))) is not None:
        print(f"waiting for the first stage, which process {owner} is making: {path}", file=sys.stderr)
    while owner_of(place_of(path)) is not None and time.monotonic() < until:
        time.sleep(0.1)
    if finished(path):
        return True
    train(path if state_of(path) is not None else None)
    return finished(path)


def shared(path: Path, train: Callable[[Path | None], object]) -> None:
    """The same for several workers at once, of whom one makes it and the others wait.

    Raises: KeyboardInterrupt where its training, or the waiting, was stopped by a signal: whoever asked for it is to stop, too.
    """
    if finished(path):
        return
    with in_turn(path):
        done = brought_to_end(path, train)
    if not done:
        raise KeyboardInterrupt


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Of several workers that want the run ``path`` at the same moment, one at a time. One that is killed makes room for the next, and
    Ctrl-C ends the waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        _lock(file, path)
        yield


def _lock(file: IO[str], path: Path) -> None:
    """Until the file is closed, which the end of a process does, too."""
    if sys.platform == "win32":
        return
    import fcntl

    # A shared file system may have no locks: the owner of the place is seen there, but not who comes at the same moment.
    with suppress(OSError):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for the first stage, which another worker is making: {path}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
