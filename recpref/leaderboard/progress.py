"""How far a suite is, and how long it will still take: a bar on a terminal, a line a run elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from recpref.leaderboard.jobs import Job


class Clock:
    """How long runs took, by the model and data of a suite, and what those to come will take."""

    def __init__(self) -> None:
        self.took: dict[tuple[str, str], list[float]] = {}

    def add(self, job: Job, seconds: float) -> None:
        """A run has ended; one that failed at once says nothing of the others."""
        if job.state == "finished":
            self.took.setdefault((job.experiment.model, job.experiment.data), []).append(seconds)

    def expected(self, job: Job) -> float | None:
        """The mean of the same model on the same data, else of the same model, else of all; None before anything has ended."""
        model, data = job.experiment.model, job.experiment.data
        known = [seconds for (m, d), found in self.took.items() for seconds in found if (m, d) == (model, data)]
        known = known or [seconds for (m, _), found in self.took.items() for seconds in found if m == model]
        known = known or [seconds for found in self.took.values() for seconds in found]
        return sum(known) / len(known) if known else None

    def left(self, waiting: Sequence[Job], workers: int) -> float | None:
        """Seconds until all of ``waiting`` have ended."""
        expected = [self.expected(job) for job in waiting]
        return None if None in expected else sum(seconds for seconds in expected if seconds is not None) / workers


def words(seconds: float | None) -> str:
    """``about 12 min left``."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


class Teller:
    """Says after each run what became of it and how much is left."""

    def __init__(self, jobs: Sequence[Job], workers: int, bar: Any = None):
        self.waiting, self.workers, self.bar, self.clock = list(jobs), workers, bar, Clock()
        self.total = len(self.waiting)
        self.task = None if bar is None else bar.add_task("starting", total=self.total)

    def tell(self, job: Job, seconds: float, result: str) -> None:
        """``job`` has ended as its state says; ``result`` is what to show of it."""
        self.clock.add(job, seconds)
        self.waiting = [other for other in self.waiting if other.experiment != job.experiment]
        left = words(self.clock.left(self.waiting, self.workers)) if self.waiting else "done"
        line = f"[{self.total - len(self.waiting)}/{self.total}] {job.name}: {job.error or result}, {seconds:.0f} s; {left}"
        if self.bar is None:
            print(line, flush=True)
            return
        from rich.markup import escape

        self.bar.console.print(escape(line))
        self.bar.update(self.task, advance=1, description=left)


@contextmanager
def teller(jobs: Sequence[Job], workers: int) -> Iterator[Teller]:
    """Tells on a terminal by a bar, elsewhere by lines."""
    if not sys.stderr.isatty():
        yield Teller(jobs, workers)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Teller(jobs, workers, bar)
