"""What the user said about a file: what its columns are called, how it is written, and what of it is wanted."""

from __future__ import annotations

from typing import Literal, NamedTuple

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}

READING = (
    "user",
    "item",
    "time",
    "rating",
    "min_rating",
    "duplicates",
    "ties",
    "missing_time",
    "separator",
    "encoding",
)  # data.*, of histories


class Asked(NamedTuple):
    """Names of columns are guessed where they are None; ``time="none"`` says that there is no time.

    ``separator`` is one, or one of ``comma``, ``semicolon``, ``tab``, ``pipe``, ``space``; it is sniffed where it is None.
    Without ``extra`` only the named columns are read, and those in ``also``, where they exist; with ``rated`` those that may hold
    ratings, too. With ``may_lack_time`` the rows of a file without the named time are in order.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    extra: bool = True
    also: tuple[str, ...] = ()
    missing_time: Literal["refuse", "drop"] = "refuse"
    rated: bool = False
    may_lack_time: bool = False

    @property
    def divider(self) -> str | None:
        """The separator itself."""
        return SEPARATORS.get(self.separator, self.separator) if self.separator else None
