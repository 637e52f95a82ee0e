"""Progress: how long is left, by what runs of the same kind took, and one line a run where there is no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.leaderboard.jobs import Job
from recpref.leaderboard.progress import Clock, Teller, teller, words
from recpref.leaderboard.suite import Experiment


def job(model: str, data: str = "ml", seed: int = 1, state: str = "finished", error: str = "") -> Job:
    return Job(Experiment(model, data, "", seed, ()), state=state, path=Path("x"), error=error)


def test_the_time_left_by_hand() -> None:
    """SASRec took 10 and 20 on ml: 15 for the next there, 15 on other data; what is unknown takes the mean of all, 12."""
    clock = Clock()
    assert clock.left([job("sasrec")], 1) is None
    for model, seconds in (("sasrec", 10.0), ("sasrec", 20.0), ("popular", 6.0)):
        clock.add(job(model), seconds)
    clock.add(job("broken", state="failed", error="x"), 0.1)
    assert clock.expected(job("sasrec")) == clock.expected(job("sasrec", "other")) == 15
    assert clock.expected(job("popular")) == 6
    assert clock.expected(job("ease")) == 12
    assert clock.left([job("sasrec"), job("popular"), job("ease")], 2) == 16.5
    assert clock.left([], 1) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "time left not known yet"), (12.4, "about 12 s left"), (600, "about 10 min left"), (9000, "about 2.5 h left")],
)
def test_in_words(seconds: float | None, text: str) -> None:
    assert words(seconds) == text


def test_a_line_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    todo = [job("popular", state="new"), job("sasrec", state="new"), job("odd", state="new")]
    with teller(todo, 1) as tell:
        tell.tell(job("popular"), 4.0, "ndcg@10 0.1")
        tell.tell(job("odd", state="failed", error="it broke"), 0.2, "failed")
        tell.tell(job("sasrec"), 60.0, "ndcg@10 0.2")
    assert capsys.readouterr().out.splitlines() == [
        "[1/3] ml popular seed 1: ndcg@10 0.1, 4 s; about 8 s left",
        "[2/3] ml odd seed 1: it broke, 0 s; about 4 s left",
        "[3/3] ml sasrec seed 1: ndcg@10 0.2, 60 s; done",
    ]


def test_experiments_of_one_name_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Data called "a b", and data "a" in a grid "b"."""
    todo = [Job(Experiment("ease", "a b", "", 1, ()), "finished"), Job(Experiment("ease", "a", "b", 1, ()), "finished")]
    assert todo[0].name == todo[1].name
    with teller(todo, 1) as tell:
        tell.tell(todo[0], 1.0, "x")
    assert capsys.readouterr().out == "[1/2] a b ease seed 1: x, 1 s; about 1 s left\n"


def test_a_bar_on_a_terminal() -> None:
    """Names are text there, too; the bar ends full."""
    import io

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    out = io.StringIO()
    todo = [job("[red]popular"), job("sasrec")]
    with Progress(BarColumn(), TextColumn("{task.description}", markup=False), console=Console(file=out, width=160)) as bar:
        tell = Teller(todo, 1, bar)
        for one in todo:
            tell.tell(one, 2.0, "done")
        assert bar.tasks[0].finished
    assert "[1/2] ml [red]popular seed 1: done, 2 s; about 2 s left" in out.getvalue()
