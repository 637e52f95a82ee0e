"""Which plans several processes may train, and what a restart goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref import processes, together
from recpref.composition import compose
from recpref.plan import FILE
from recpref.together import by_all_or_one, made_before, refuse_processes, to_continue
from recpref.workplace import STATE, place_of

TWO = ("trainer.devices=2", "trainer.accelerator=cpu")


def test_plans_of_one_and_of_two_processes() -> None:
    """And those that cannot be divided, with what to change."""
    assert not refuse_processes(compose(["model=sasrec"]))
    assert refuse_processes(compose(["model=sasrec", *TWO]))
    with pytest.raises(ValueError, match=r"trainer\.devices=2 would change nothing: model=ease is not trained step by step"):
        refuse_processes(compose(["model=ease", *TWO]))
    with pytest.raises(ValueError, match=r"loader\.batch_size=1 is shared by 2 processes, and each needs a row; raise it"):
        refuse_processes(compose(["model=sasrec", "loader.batch_size=1", *TWO]))


@pytest.mark.parametrize(
    ("first", "connected", "several", "worked"),
    [
        (True, False, False, True),
        (True, True, False, True),
        (False, True, False, False),
        (False, False, False, False),
        (False, True, True, True),
    ],
)
def test_who_works(first: bool, connected: bool, several: bool, worked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody at what is made together, and else the first process; it works as if it were the only one."""
    (tmp_path / FILE).write_text("")
    done: list[bool] = []
    monkeypatch.setattr(processes, "first", lambda: first)
    monkeypatch.setattr(processes, "connected", lambda: connected and not processes._alone.get())
    monkeypatch.setattr(processes, "wait", lambda: None)
    by_all_or_one(lambda: done.append(processes._alone.get()), tmp_path, several=several)
    assert done == ([connected and not several] if worked else [])


@pytest.mark.parametrize("restarted", [True, False])
def test_only_who_was_started_anew_goes_on_unasked(restarted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a saved state, or with a run that was finished by then; whoever starts a command again is asked what is meant."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1" if restarted else "0")
    monkeypatch.setattr(together, "finished", Path.exists)
    path = tmp_path / "run"
    assert to_continue(path) is None
    place_of(path).mkdir()
    (place_of(path) / STATE).write_text("")
    assert to_continue(path) == (path if restarted else None)
    path.mkdir()
    assert not made_before(path)
    (place_of(path) / STATE).unlink()
    place_of(path).rmdir()
    assert made_before(path) is restarted
