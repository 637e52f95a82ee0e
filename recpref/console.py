"""What the verbs share: arguments, tables, and errors in one line with exit code 2."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from recpref.overrides import chosen
from recpref.processes import first, rank

OURS = Path(__file__).parent


def main(verb: Callable[[list[str]], None]) -> None:
    """Runs a verb on the command line's arguments. What recpref itself refuses is one line; a bug is a traceback."""
    try:
        verb(sys.argv[1:])
    except BrokenPipeError:  # who read us, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, OSError, FloatingPointError) as error:
        if not _refused_by_us(error) and not _disk_is_full(error):
            raise
        print(f"{'' if first() else f'process {rank()}: '}error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)


def _refused_by_us(error: BaseException) -> bool:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return OURS in Path(frame.filename).parents and (frame.line or "").startswith("raise")


def _disk_is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Prints a table: the first column left-aligned, the others right."""
    drawn = Table(title=escape(title), title_justify="left")
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(escape, row))
    console = Console(width=None if sys.stdout.isatty() else 160)
    needed = Measurement.get(console, console.options.update(width=1000), drawn).maximum
    console.width = max(console.width, needed)  # where a terminal is narrower it breaks lines, and no number is cut
    console.print(drawn)


def pairs(arguments: list[str], about: str | None) -> dict[str, str] | None:
    """The options of a verb whose only switch is help; None after it printed ``about``. Raises: as ``switches`` and ``chosen``."""
    given, overrides = switches(arguments, set())
    if given:
        print(about)
        return None
    return chosen(overrides)


def whole_number(key: str, text: str, *, least: int = 1) -> int:
    """The number that an option of a verb says. Raises: ValueError where it says none, or one below ``least``."""
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{key}={text} must be a whole number of at least {least}")
    return int(text)


def switches(arguments: list[str], known: set[str]) -> tuple[set[str], list[str]]:
    """``--help`` and its like, apart from the overrides. Raises: ValueError for a switch that is not ``known``."""
    given = {argument for argument in arguments if argument.startswith("-")}
    known = known | {"--help", "-h"}
    if given - known:
        raise ValueError(f"unknown switch {sorted(given - known)[0]}; known: {', '.join(sorted(known))}; options are written key=value")
    return given, [argument for argument in arguments if argument not in given]
