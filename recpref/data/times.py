"""A column of times to whole seconds since 1970 (UTC), or to an order: dates, ISO 8601 texts, and numbers of any unit.

Numbers are told apart by their size: all below 10 ** 8 are an order, not a clock (as seconds they would lie before March
1973); otherwise seconds, milliseconds, microseconds or nanoseconds, and never two of them in one column. Times without a
zone are UTC. What lies before 1970 or more than a day ahead is no time of an interaction but a mistake.
"""

from __future__ import annotations

import time as clock_of_the_machine
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

DAY = 86_400
LEAST = 10**8  # smaller numbers are an order
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
BILLION = 10**9
EPOCH = 1970
NUMBER = r"\s*\d{1,18}(\.\d*)?\s*"  # numbers that somebody wrote as texts
USE = "use ISO 8601 (2026-11-21T09:30:00) or epoch seconds"


class Range(NamedTuple):
    """What numbers are told apart by: the largest, the row of it, and whether any has a fraction."""

    most: float
    row: int
    fractional: bool


class Moments(NamedTuple):
    """``seconds``, or the numbers of an order. ``fine`` (so many to a second) orders within one where the column does.

    ``unit``: in words.
    """

    seconds: Int64[np.ndarray, " n"]
    clock: Literal["seconds", "order"]
    unit: str
    fine: np.ndarray | None = None
    a_second: int = 1

    @property
    def key(self) -> np.ndarray:
        """What orders the rows, in the same unit in every part of a column."""
        return self.seconds * self.a_second if self.fine is None else self.fine

    @property
    def fraction(self) -> Int64[np.ndarray, " n"] | None:
        """Billionths past ``seconds``; None where all are whole."""
        return None if self.fine is None else divided(self.fine, self.a_second)[1]


def divided(key: np.ndarray, a_second: int) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Whole seconds (or steps of an order) and the billionths past them, of so many ``a_second``, or of numbers with a fraction."""
    if key.dtype.kind == "f":
        whole = np.floor(key)
        return whole.astype(np.int64), np.round((key - whole) * BILLION).astype(np.int64)
    whole = key.astype(np.int64, copy=False) // a_second
    return whole, (key - whole * a_second) * (BILLION // a_second)


def absent(column: pa.ChunkedArray) -> Bool[np.ndarray, " n"] | None:
    """Where there is no time: null, NaN, or an empty text. None: nowhere."""
    missing = pc.is_null(column, nan_is_null=True)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        missing = pc.or_(missing, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), False))
    return np.asarray(missing.to_numpy(), dtype=bool) if pc.any(missing).as_py() else None


def refuse_missing(name: str, first: int, n: int) -> None:
    """Raises: ValueError that names the first row without a time."""
    raise ValueError(
        f"time column {name!r} has missing values, the first in row {first} ({n} in all); "
        "data.missing_time=drop leaves such rows out, data.time=none takes the order of the rows"
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of that type holds numbers, whose size says what they mean."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def range_of(values: np.ndarray, name: str, first: int = 0) -> Range:
    """The range of numbers that stand in a column from row ``first``. Raises: ValueError for what is negative or no number."""
    if values.dtype.kind == "f":
        _refuse(~np.isfinite(values), values, name, f"is no time; {USE}", first)
    _refuse(values < 0, values, name, "is negative", first)
    row = int(values.argmax())
    return Range(values[row].item(), first + row, values.dtype.kind == "f" and bool((np.trunc(values) != values).any()))


def moments(column: pa.ChunkedArray, name: str, *, among: Range | None = None, first: int = 0) -> Moments:
    """The moments of a column called ``name``.

    ``first`` is the row at which the column begins, where it is a part of a longer one; ``among`` the range of all of its numbers.

    Raises: ValueError naming the column, the row and the value for what is missing, no time, negative, of mixed units, or
    in the future.
    """
    if (missing := absent(column)) is not None:
        refuse_missing(name, first + int(missing.argmax()), int(missing.sum()))
    if is_number(column.type):
        values = column.to_numpy()
        return _of_numbers(values, name, among or range_of(values, name, first), first)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        ticks = column.cast(pa.timestamp("s")) if pa.types.is_date32(column.type) else column
        ticks = ticks.cast(pa.timestamp("ms")) if pa.types.is_date64(ticks.type) else ticks
        return _of_ticks(ticks.cast(pa.int64()).to_numpy(), TICKS[ticks.type.unit], name, "dates", first)
    return _of_texts(column.to_pandas().astype(str), name, first)


def _of_numbers(values: np.ndarray, name: str, among: Range, first: int) -> Moments:
    most = among.most
    if most < LEAST or name.lower() == "order":
        whole = values.astype(np.int64, copy=False)
        return Moments(whole, "order", "an order, not a clock (numbers below 100,000,000)", values if among.fractional else None)
    unit = next((unit for unit, ticks in UNITS.items() if most < LEAST * ticks * 1000), None)
    if unit is None:
        raise ValueError(f"time column {name!r}, row {among.row}: {most} is too large for nanoseconds since 1970")
    small = values < LEAST * UNITS[unit]
    if small.any():
        raise ValueError(
            f"time column {name!r} mixes units: row {first + small.argmax()} holds {values[small.argmax()]} and row {among.row} holds "
            f"{most} ({unit} since 1970); make them all {unit}"
        )
    if values.dtype.kind == "f":
        scale = 10**6 if unit == "seconds" and among.fractional else 1
        return _of_ticks(np.round(values * scale).astype(np.int64), UNITS[unit] * scale, name, unit, first)
    return _of_ticks(values.astype(np.int64, copy=False), UNITS[unit], name, unit, first)


def _of_ticks(ticks: np.ndarray, a_second: int, name: str, unit: str, first: int) -> Moments:
    seconds = ticks if a_second == 1 else ticks // a_second
    if seconds.min() < 0 or seconds.max() > clock_of_the_machine.time() + DAY:
        early = seconds < 0
        row = int(early.argmax() if early.any() else seconds.argmax())
        what = "lies before 1970" if early.any() else "lies in the future"
        raise ValueError(
            f"time column {name!r}, row {first + row}: {ticks[row] if unit in UNITS else np.datetime64(int(seconds[row]), 's')} {what}; "
            "correct it, or say data.time=none for the order of the rows"
        )
    fine = ticks if a_second > 1 and (seconds * a_second != ticks).any() else None
    return Moments(seconds, "seconds", unit if unit == "dates" else f"{unit} since 1970", fine, a_second)


def _of_texts(texts: pd.Series, name: str, first: int) -> Moments:
    parsed = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if (parsed.isna() | (parsed.dt.year < EPOCH)).any() and texts.str.fullmatch(NUMBER).all():
        values = pd.to_numeric(texts.str.strip()).to_numpy()
        return _of_numbers(values, name, range_of(values, name, first), first)
    _refuse(parsed.isna().to_numpy(), texts.to_numpy(dtype=object), name, f"is no time; {USE}", first)
    ticks = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    return _of_ticks(ticks, TICKS["us"], name, "dates", first)


def _refuse(bad: np.ndarray, values: np.ndarray, name: str, what: str, first: int) -> None:
    if bad.any():
        row = int(bad.argmax())
        value = values[row] if values.dtype == object else values[row].item()
        raise ValueError(f"time column {name!r}, row {first + row}: {value!r} {what}")
