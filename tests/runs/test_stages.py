"""The first stage of a plan: made once, gone on with where it was cut short, and waited for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import recpref
from recpref.runs.run import Run
from recpref.runs.stages import brought_to_end, in_turn, shared
from recpref.workplace import OWNER, STATE, place_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, of which copies are made where a first stage belongs."""
    rows = [(user, (user + place) % 5, place) for user in range(6) for place in range(4)]
    data = recpref.Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t", name="toy")
    return recpref.fit("model=popular", "evaluation.ks=[2]", f"out={tmp_path_factory.mktemp('made')}", data=data)


class Making:
    """Stands in for training: puts a finished run in its place, or a state that says it was stopped."""

    def __init__(self, made: Run, path: Path, *, stopped: bool = False):
        self.made, self.path, self.stopped = made, path, stopped
        self.resumed: list[Path | None] = []

    def __call__(self, resume: Path | None) -> None:
        self.resumed.append(resume)
        if not self.stopped:
            shutil.copytree(self.made.path, self.path)


def test_what_is_finished_is_left_alone(made: Run) -> None:
    train = Making(made, made.path)
    assert brought_to_end(made.path, train)
    assert train.resumed == []


@pytest.mark.parametrize("saved", [False, True])
def test_it_goes_on_from_a_saved_state_and_else_begins(made: Run, tmp_path: Path, saved: bool) -> None:
    path = tmp_path / made.path.name
    if saved:
        place_of(path).mkdir()
        (place_of(path) / STATE).write_text("hours of work")
    train = Making(made, path)
    assert brought_to_end(path, train)
    assert train.resumed == [path if saved else None]


def test_one_that_is_stopped_is_not_at_its_end(made: Run, tmp_path: Path) -> None:
    """Where it is shared, whoever asked for it is to stop, too."""
    path = tmp_path / made.path.name
    assert not brought_to_end(path, Making(made, path, stopped=True))
    with pytest.raises(KeyboardInterrupt):
        shared(path, Making(made, path, stopped=True))
    shared(path, Making(made, path))
    shared(path, Making(made, path, stopped=True))  # which is not asked, as it is finished


# ------------------------------------------------------------------------------------------------- waiting


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that lives."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def taken_by(other: subprocess.Popen[bytes], path: Path) -> None:
    """The run is in the making, by another process."""
    place_of(path).mkdir()
    (place_of(path) / OWNER).write_text(str(other.pid))


def soon(what: object) -> threading.Timer:
    timer = threading.Timer(0.5, what)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_what_another_process_makes_is_waited_for(
    made: Run, other: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is said once, with the number of the process."""
    path = tmp_path / made.path.name
    taken_by(other, path)

    def end() -> None:
        shutil.copytree(made.path, path)
        shutil.rmtree(place_of(path))

    timer, train = soon(end), Making(made, path)
    assert brought_to_end(path, train)
    timer.join()
    assert train.resumed == []
    assert capsys.readouterr().err == f"waiting for the first stage, which process {other.pid} is making: {path}\n"


def test_who_is_killed_leaves_it_to_who_waits(made: Run, other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """With the state that was saved."""
    path = tmp_path / made.path.name
    taken_by(other, path)
    (place_of(path) / STATE).write_text("hours of work")

    def end() -> None:
        other.kill()
        other.wait()

    timer, train = soon(end), Making(made, path)
    assert brought_to_end(path, train)
    timer.join()
    assert train.resumed == [path]


def test_patience_ends(made: Run, other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """What is being made is then asked for all the same, and training says by whom it is made."""
    path = tmp_path / made.path.name
    taken_by(other, path)
    train = Making(made, path, stopped=True)
    assert not brought_to_end(path, train, patience=0.2)
    assert train.resumed == [None]


def test_those_who_come_at_once_make_it_once(made: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One makes it, and the others say that they wait."""
    path, calls = tmp_path / made.path.name, list[int]()
    barrier = threading.Barrier(4)

    def train(resume: Path | None) -> None:
        calls.append(1)
        time.sleep(0.5)
        shutil.copytree(made.path, path)

    def worker() -> None:
        barrier.wait()
        shared(path, train)

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len(calls) == 1
    assert capsys.readouterr().err.count(f"waiting for the first stage, which another worker is making: {path}\n") == 3


@pytest.mark.parametrize("locked", [False, True])
def test_ctrl_c_ends_the_waiting(made: Run, other: subprocess.Popen[bytes], tmp_path: Path, locked: bool) -> None:
    """For the place of another process, and for one's turn."""
    path = tmp_path / made.path.name
    free, begun = threading.Event(), threading.Event()

    def hold() -> None:
        with in_turn(path):
            begun.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    if locked:
        holder.start()
        begun.wait(60)
    else:
        taken_by(other, path)
    timer, since = soon(lambda: os.kill(os.getpid(), signal.SIGINT)), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        shared(path, Making(made, path))
    assert time.monotonic() - since < 30
    timer.join()
    free.set()
    if locked:
        holder.join()
