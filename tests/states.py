"""Training continued from any state that it saved, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import recpref
from recpref.training import callbacks
from recpref.workplace import STATE, place_of


@contextmanager
def kept(folder: Path, of: str = "") -> Iterator[list[Path]]:
    """A copy in ``folder`` of every state that is saved meanwhile, of the runs in whose path ``of`` stands."""
    states: list[Path] = []
    save = callbacks.SaveState.save

    def save_and_keep(self: callbacks.SaveState, trainer: object) -> None:
        save(self, trainer)
        if of in str(self.path):
            states.append(Path(shutil.copy(self.path, folder / f"{len(states)}.ckpt")))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.SaveState, "save", save_and_keep)
        yield states


def continued(whole: recpref.Run, states: Sequence[Path], data: recpref.Interactions) -> Iterator[tuple[Path, recpref.Run]]:
    """Each state, and the run that a training killed there ends in when it is continued. It takes the place of ``whole``."""
    description = (whole.path / "experiment.yaml").read_text()
    for state in states:
        shutil.rmtree(whole.path)
        place_of(whole.path).mkdir()
        shutil.copy(state, place_of(whole.path) / STATE)
        (place_of(whole.path) / "experiment.yaml").write_text(description)
        yield state, recpref.fit(data=data, resume=whole.path)
