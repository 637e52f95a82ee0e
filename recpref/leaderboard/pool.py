"""Runs of a suite, each in a process of its own, some at a time.

A process is forked from one that has imported everything, which takes hundredths of a second where a fresh interpreter takes
seconds. What goes wrong in one, be it killed, ends that run alone. Ctrl-C reaches none of them: they end with the suite, however
the suite ends, and what a training had saved by then is continued by the next call.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from recpref.leaderboard.jobs import Job, looked_at, state_at
from recpref.plan import Plan
from recpref.workplace import owner_of, place_of, state_of

PRELOADED = (
    *("recpref.experiment", "hydra_zen", "hydra.core.config_store"),
    *("pytorch_lightning.loggers", "torch.utils.tensorboard", "matplotlib.figure"),
)
PATIENCE = 30.0  # seconds that another process may still be at work on the same run: one whose suite was killed ends at once
WORDS = 400  # of an error, at most


class Outcome(NamedTuple):
    """What became of a job: its state now, and how long it took."""

    job: Job
    seconds: float


class Started(NamedTuple):
    """A job at work."""

    job: Job
    process: Any
    answer: Connection
    since: float


def starts() -> Any:
    """How processes are started here. Those that are forked from one with everything imported begin at once."""
    if sys.platform == "win32" or sys.platform == "darwin":  # forking after imports is not safe on macOS
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def warm() -> None:
    """Begins, beside whatever this process does next, the imports that all runs share."""
    if starts().get_start_method() == "forkserver":
        forkserver.ensure_running()


def asked(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a process of its own, so that this one need not import what it imports.

    Raises: ValueError as the function does, or where its process was killed; RuntimeError for what else went wrong in it.
    """
    context = starts()
    answer, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answered, args=(function, arguments, sender))
    process.start()
    sender.close()
    try:
        value, mistake, bug = answer.recv()
    except EOFError as error:
        process.join()
        raise ValueError(f"{function.__name__} was not finished: {_died(process.exitcode)}") from error
    finally:
        process.kill()
        process.join()
    if mistake is not None:
        raise ValueError(mistake)
    if bug is not None:
        raise RuntimeError(bug)
    return value


def _answered(function: Callable[..., Any], arguments: tuple[Any, ...], sender: Connection) -> None:
    _live_with_the_suite()
    try:
        sender.send((function(*arguments), None, None))
    except ValueError as error:
        sender.send((None, str(error), None))
    except BaseException:
        sender.send((None, None, traceback.format_exc()))


class Pool:
    """Runs jobs, ``workers`` at a time. The first begin on entering, and whatever runs is ended on leaving. Iterating says what became
    of each job as soon as it ended. What a run prints goes to a file in ``logs``.

    Raises: ValueError for workers below 1.
    """

    def __init__(self, jobs: Iterable[Job], logs: Path, *, workers: int = 1):
        if workers < 1:
            raise ValueError(f"workers={workers} must be at least 1")
        self.logs, self.workers, self.context = logs, workers, starts()
        self.waiting, self.running = deque(jobs), list[Started]()

    def __enter__(self) -> Pool:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._fill()
        return self

    def __exit__(self, *error: object) -> None:
        for started in self.running:
            started.process.kill()
        for started in self.running:
            started.process.join()

    def __iter__(self) -> Iterator[Outcome]:
        while self.running:
            wait([started.process.sentinel for started in self.running])
            ended = [started for started in self.running if not started.process.is_alive()]
            self.running = [started for started in self.running if started not in ended]
            self._fill()  # the next has begun already, and does not wait for what is made of these
            for started in ended:
                yield Outcome(_ended(started), time.perf_counter() - started.since)

    def _fill(self) -> None:
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        while len(self.running) < self.workers and (job := self._next()) is not None:
            self.waiting.remove(job)
            self.running.append(_start(self.context, job, self.logs, threads))

    def _next(self) -> Job | None:
        """The first that makes no run which one at work is making: several may start from the same base."""
        busy = {path for started in self.running for path in made_by(started.job)}
        return next((job for job in self.waiting if not busy & made_by(job)), None)


def made_by(job: Job) -> set[Path]:
    """The folders that the job fills: its own, and that of the run it starts from where that is not there yet."""
    assert job.path is not None
    assert job.plan is not None
    own, start = job.path.absolute(), Path(job.plan.start)
    return {own} if job.plan.start == "none" or state_at(start)[0] == "finished" else {own, start.absolute()}


def log_of(job: Job, logs: Path) -> Path:
    """Where the run prints to: one file a run, whatever it is called."""
    assert job.path is not None
    return logs / f"{job.path.parent.parent.name}-{job.path.parent.name}-{job.path.name}.log".replace(":", "_")


def _start(context: Any, job: Job, logs: Path, threads: int) -> Started:
    answer, sender = context.Pipe(duplex=False)
    process = context.Process(target=_made, args=(job.plan, job.path, log_of(job, logs), threads, sender))
    process.start()
    sender.close()
    return Started(job, process, answer, time.perf_counter())


def _ended(started: Started) -> Job:
    """The job as its folder shows it, or with what went wrong."""
    started.process.join()
    with suppress(EOFError, OSError):
        if started.answer.poll():
            return started.job.failed(started.answer.recv())
    code = started.process.exitcode
    if code:
        return started.job.failed(_died(code))
    job = looked_at(started.job)
    return job if job.state in ("finished", "failed") else job.failed("training was stopped before its end; the next call goes on with it")


def _died(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _made(plan: Plan, path: Path, log: Path, threads: int, answer: Connection) -> None:
    """The whole life of a process: makes one run, or answers with one line on why not."""
    _live_with_the_suite()
    _print_to(log)
    try:
        _train(plan, path, threads)
    except BaseException as error:  # whatever it is, it is the run's and not the suite's
        traceback.print_exc()
        text = " ".join(str(error).split())
        answer.send(text[:WORDS] if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"[:WORDS])
        raise SystemExit(1) from None


def _live_with_the_suite() -> None:
    """This process ends when the suite's does; the terminal's Ctrl-C is for the suite, which then ends this one."""
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_end_with_the_suite, daemon=True).start()


def _end_with_the_suite() -> None:
    """Waits for the end of the process that the suite runs in, and ends this one: nobody would be told of its run."""
    suite = multiprocessing.parent_process()
    assert suite is not None
    suite.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _print_to(log: Path) -> None:
    """Everything that this process prints, native code included, goes to a file from now on."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)


def _train(plan: Plan, path: Path, threads: int) -> None:
    import torch

    from recpref.experiment import located, run_of
    from recpref.runs.source import opened
    from recpref.runs.stages import brought_to_end

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)
    deadline = time.monotonic() + PATIENCE
    while owner_of(place_of(path)) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    if state_at(path)[0] == "finished":  # another suite may have made it meanwhile
        return
    data = opened(plan.data)
    if plan.before is not None:  # goes on with it, if it was stopped; run_of trains it, if it is not there at all
        first, start = located(plan.before.on(plan.data.name), data)
        if state_of(start) is not None:
            brought_to_end(start, lambda resume: run_of(first, data, resume=resume), patience=PATIENCE)
    run_of(plan, data, resume=path if state_of(path) is not None else None)
