"""What we refuse is one line and exit code 2; what is a bug keeps its traceback."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest

from recpref import console
from recpref.training.optimizer import Optimizer


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line of two words."""
    monkeypatch.setattr(sys, "argv", ["verb", "a=1", "--cfg"])
    return ["a=1", "--cfg"]


def test_a_verb_gets_the_arguments(arguments: list[str]) -> None:
    """Without the program's name; a verb that returns ends without an exit code."""
    got: list[list[str]] = []
    console.main(got.append)
    assert got == [arguments]


def test_what_we_refuse_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A ValueError that a file of recpref raises."""
    with pytest.raises(SystemExit) as left:
        console.main(lambda _: Optimizer(lr=-1.0))
    assert left.value.code == 2
    assert capsys.readouterr() == ("", "error: optimizer.lr=-1.0 must be positive\n")


@pytest.mark.parametrize("error", [ValueError("theirs"), OSError("theirs"), KeyError("theirs"), AssertionError("theirs")])
def test_a_bug_keeps_its_traceback(arguments: list[str], error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """An error that somebody else raises is not made to look like a mistake of the user's."""

    def verb(_: list[str]) -> None:
        raise error

    with pytest.raises(type(error), match="theirs"):
        console.main(verb)
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_nobodys_bug(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever in the middle of writing it is met: one line."""

    def verb(_: list[str]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")

    with pytest.raises(SystemExit) as left:
        console.main(verb)
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: [Errno 28] No space left on device: 'model.safetensors'\n"


def test_an_error_inside_a_library_is_a_bug(arguments: list[str]) -> None:
    """int('x') is called by our own code, and raised by nobody of ours."""
    with pytest.raises(ValueError, match="invalid literal"):
        console.main(lambda _: int("x"))


def test_ctrl_c_outside_of_training(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """130, as shells have it."""

    def verb(_: list[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as left:
        console.main(verb)
    assert left.value.code == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_exit_code_of_the_verb_stands(arguments: list[str]) -> None:
    """The doctor exits with 1."""
    verb: Callable[[list[str]], None] = lambda _: sys.exit(1)  # noqa: E731
    with pytest.raises(SystemExit, match="1"):
        console.main(verb)


def test_switches_are_told_apart() -> None:
    """--help and -h are always known; the rest keeps its order."""
    assert console.switches(["b=1", "--cfg", "a=-2", "-h"], {"--cfg"}) == ({"--cfg", "-h"}, ["b=1", "a=-2"])
    assert console.switches([], set()) == (set(), [])


@pytest.mark.parametrize("switch", ["--cgf", "-v", "--"])
def test_an_unknown_switch_lists_the_known(switch: str) -> None:
    """The wording says how options are written."""
    with pytest.raises(ValueError, match=f"unknown switch {switch}; known: --cfg, --help, -h; options are written key=value"):
        console.switches([switch], {"--cfg"})


def test_a_verb_without_switches_has_pairs_or_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """key=value become a dictionary; --help prints what the verb says of itself and there is nothing to do."""
    assert console.pairs(["run=runs/x", "k=10"], "what it does") == {"run": "runs/x", "k": "10"}
    assert console.pairs([], "what it does") == {}
    assert capsys.readouterr().out == ""
    assert console.pairs(["k=10", "--help"], "what it does") is None
    assert capsys.readouterr().out == "what it does\n"


def test_a_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Title, head, rows; square brackets are text, not markup."""
    console.table("test: toy", ["model", "HR@10"], [["sasrec", "0.1234"], ["a[bold]b", "1.0000"]])
    out = capsys.readouterr().out
    for text in ("test: toy", "model", "HR@10", "sasrec", "0.1234", "1.0000"):
        assert text in out


def test_square_brackets_in_a_cell_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A data set or a path may be called a[bold]b."""
    console.table("title", ["model"], [["a[bold]b"]])
    assert "a[bold]b" in capsys.readouterr().out


def test_a_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to show is shown as such."""
    console.table("empty", ["model"], [])
    assert "empty" in capsys.readouterr().out


def test_no_number_is_cut_where_a_terminal_is_narrow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On 40 columns the lines break, and every cell is there whole; on a wide one a table is as wide as it needs to be."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cells = ["sasrec, before the refit", *(f"0.{n:04d}" for n in range(12))]
    for columns in ("40", "400"):
        monkeypatch.setenv("COLUMNS", columns)
        console.table("test", ["model", *(f"NDCG@{n}" for n in range(12))], [cells])
        shown = capsys.readouterr().out
        assert "\u2026" not in shown
        joined = "".join(shown.split("\n"))
        assert all(cell in joined for cell in cells)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As ``| head -1`` is."""
    code = "from recpref import console\nconsole.main(lambda arguments: [print(n, flush=True) for n in range(100_000)])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


@pytest.mark.parametrize(("text", "least"), [("1", 1), ("0", 0), ("50", 1)])
def test_a_whole_number_is_read(text: str, least: int) -> None:
    assert console.whole_number("workers", text, least=least) == int(text)


@pytest.mark.parametrize(("text", "least"), [("0", 1), ("-1", 0), ("many", 1), ("1.5", 1), ("", 1), ("\u00b2", 1)])
def test_what_is_no_whole_number_is_refused(text: str, least: int) -> None:
    """A superscript two is a digit to Python, and no number."""
    with pytest.raises(ValueError, match=f"workers={text} must be a whole number of at least {least}"):
        console.whole_number("workers", text, least=least)
