"""The first stage of a plan: made once, and gone on with where it was cut short."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import recpref
from recpref.runs.run import Run
from recpref.runs.stages import brought_to_end
from recpref.workplace import STATE, place_of


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
    path = tmp_path / made.path.name
    assert not brought_to_end(path, Making(made, path, stopped=True))
