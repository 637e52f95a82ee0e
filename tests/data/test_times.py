"""Times: units by size, orders, and what is refused with its column, row and value. More in test_columns.py."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from recpref.data.times import absent, moments

T = 1_577_836_800  # 2020-01-01T00:00:00Z


def of(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


@pytest.mark.parametrize(("scale", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")])
def test_units_are_told_by_size(scale: int, unit: str) -> None:
    found = moments(of([T * scale, (T + 60) * scale]), "t")
    assert (found.seconds.tolist(), found.clock, found.unit, found.fine) == ([T, T + 60], "seconds", f"{unit} since 1970", None)


def test_below_a_second_there_is_an_order() -> None:
    found = moments(of([T * 1000 + 9, T * 1000 + 2]), "t")
    assert found.seconds.tolist() == [T, T]
    assert found.fine is not None
    assert found.fine.argsort().tolist() == [1, 0]


@pytest.mark.parametrize("values", [[0, 3, 99_999_999], np.array([2, 1], dtype=np.uint8), [1.0, 2.0]])
def test_small_numbers_are_an_order(values: object) -> None:
    found = moments(of(values), "t")
    assert (found.seconds.tolist(), found.clock) == (list(values), "order")  # type: ignore[call-overload]


def test_a_column_called_order_is_one_whatever_it_holds() -> None:
    for name in ("order", "Order"):
        assert moments(of([T, T + 1]), name).clock == "order"


NOW = int(time.time())
BAD = {
    "negative": ([5, -3, 2], "time column 't', row 1: -3 is negative"),
    "negative float": ([5.0, 2.0, -0.5], "row 2: -0.5 is negative"),
    "future seconds": ([T, NOW + 90_000], f"row 1: {NOW + 90_000} lies in the future"),
    "future milliseconds": ([T * 1000, (NOW + 90_000) * 1000], "row 1: .* lies in the future"),
    "future date": (["2020-01-01", "2999-01-01"], "row 1: 2999-01-01T00:00:00 lies in the future; correct it, or say data.time=none"),
    "the first day there is, and a future one": (["1970-01-01", "2999-01-01"], "row 1: 2999-01-01T00:00:00 lies in the future"),
    "a date before 1970": (["1900-01-01", "2020-01-01"], "row 0: 1900-01-01T00:00:00 lies before 1970"),
    "seconds and milliseconds": ([T * 1000, T], f"mixes units: row 1 holds {T} and row 0 holds {T * 1000} .milliseconds since 1970"),
    "an order and seconds": ([7, T], "mixes units: row 0 holds 7 and row 1 holds"),
    "too large": ([10**21 * 1.0], "row 0: 1e.21 is too large for nanoseconds"),
    "infinite": ([1.0, np.inf], "row 1: inf is no time; use ISO 8601"),
    "text": (["2020-01-01", "soon"], "row 1: 'soon' is no time; use ISO 8601"),
    "missing": ([1, None], "missing values, the first in row 1 .1 in all.; data.missing_time=drop"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_refused(kind: str) -> None:
    values, says = BAD[kind]
    with pytest.raises(ValueError, match=says):
        moments(of(values), "t")


def test_a_day_ahead_is_a_clock_that_goes_wrong() -> None:
    assert moments(of([NOW + 3600]), "t").clock == "seconds"


def test_absent() -> None:
    assert absent(of([1, 2])) is None
    for values in ([None, 1], [np.nan, 1.0], ["", "2020"], ["  ", "2020"]):
        found = absent(of(values))
        assert found is not None
        assert found.tolist() == [True, False]


@pytest.mark.parametrize("texts", [[str(T), str(T + 60)], [f" {T}.0", str(T + 60)], [str(T * 1000), str((T + 60) * 1000)]])
def test_numbers_that_are_written_as_texts_are_numbers(texts: list[str]) -> None:
    """As JSON and Parquet may hold them; the unit is told by their size."""
    found = moments(of(texts), "t")
    assert (found.seconds.tolist(), found.clock) == ([T, T + 60], "seconds")


def test_an_order_that_is_written_as_texts() -> None:
    found = moments(of(["1", "10", "2"]), "t")
    assert (found.seconds.tolist(), found.clock) == ([1, 10, 2], "order")


def test_years_as_texts_are_dates() -> None:
    assert moments(of(["2020", "2021"]), "t").unit == "dates"


@pytest.mark.parametrize(
    ("values", "billionths"),
    [
        ([T * 10**3, T * 10**3 + 7], 7 * 10**6),
        ([T * 10**6, T * 10**6 + 7], 7 * 10**3),
        ([T * 10**9, T * 10**9 + 7], 7),
        ([float(T), T + 0.25], 250_000_000),
        ([1.0, 1.5], 500_000_000),
        (np.array([T * 10**9, T * 10**9 + 7], "datetime64[ns]"), 7),
        (["2020-01-01T00:00:00", "2020-01-01T00:00:00.000007"], 7 * 10**3),
    ],
    ids=["milliseconds", "microseconds", "nanoseconds", "fractions", "an order", "dates", "texts"],
)
def test_the_fraction_is_in_billionths(values: object, billionths: int) -> None:
    """Of the first row none, whatever the unit."""
    found = moments(of(values), "t")
    assert found.fraction is not None
    assert (found.fraction.dtype, found.fraction.tolist()) == (np.int64, [0, billionths])
    assert (found.key[0] < found.key[1], len(set(found.seconds.tolist()))) == (True, 1)


def test_whole_seconds_of_a_fine_unit_have_no_fraction_and_order_in_that_unit() -> None:
    found = moments(of([T * 1000, (T + 60) * 1000]), "t")
    assert (found.fraction, found.key.tolist()) == (None, [T * 1000, (T + 60) * 1000])
