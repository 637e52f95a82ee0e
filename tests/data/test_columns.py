"""From a frame's columns to Interactions: times of every kind, and bad columns that are named."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.interactions import Interactions

NEW_YEAR = 1_577_836_800  # 2020-01-01T00:00:00Z, by `date -u -d 2020-01-01 +%s`
HOUR, DAY = 3600, 86400


def of(frame: object, time: str | None = "t", name: str = "frame") -> Interactions:
    """Interactions of a frame with columns u, i and t."""
    return Interactions.from_dataframe(frame, user="u", item="i", time=time, name=name)


def seconds(times: object) -> list[int]:
    """The seconds read from a column of times, one user each, so that the rows keep their order."""
    n = len(times)  # type: ignore[arg-type]
    data = of(pa.table({"u": list(range(n)), "i": [1] * n, "t": times if isinstance(times, pa.Array) else pa.array(times)}))
    assert data.clock == "seconds"
    assert data.time is not None
    return data.time.tolist()


BERLIN = timezone(timedelta(hours=1))
TIMES = {
    "epoch integers": ([NEW_YEAR, NEW_YEAR + DAY], [0, DAY]),
    "epoch floats": ([float(NEW_YEAR), NEW_YEAR + 60.0], [0, 60]),
    "ISO dates": (["2020-01-01", "2020-01-02"], [0, DAY]),
    "ISO date and time": (["2020-01-01T00:00:01", "2020-01-01 01:00:00"], [1, HOUR]),
    "ISO with a zone": (["2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00Z"], [0, 0]),
    "dates": ([date(2020, 1, 1), date(2020, 1, 3)], [0, 2 * DAY]),
    "datetimes": ([datetime(2020, 1, 1, 2)], [2 * HOUR]),
    "datetimes in UTC": ([datetime(2020, 1, 1, 2, tzinfo=UTC)], [2 * HOUR]),
    "datetimes in Berlin": ([datetime(2020, 1, 1, 2, tzinfo=BERLIN)], [HOUR]),
    "dictionary of texts": (pa.array(["2020-01-02", "2020-01-01"]).dictionary_encode(), [DAY, 0]),
    "epoch milliseconds": ([NEW_YEAR * 1000 + 999, (NEW_YEAR + DAY) * 1000], [0, DAY]),
    "epoch microseconds": ([NEW_YEAR * 10**6], [0]),
    "epoch nanoseconds": ([(NEW_YEAR + DAY) * 10**9 + 5], [DAY]),
    "float milliseconds": ([NEW_YEAR * 1e3, (NEW_YEAR + DAY) * 1e3], [0, DAY]),
    "date and datetime": (["2020-01-01", "2020-01-02T00:00:01"], [0, DAY + 1]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_are_seconds_since_1970_in_utc(kind: str) -> None:
    """Each expected number is counted from the first second of 2020."""
    times, since_new_year = TIMES[kind]
    assert seconds(times) == [NEW_YEAR + offset for offset in since_new_year]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "offset"), [(None, 0), ("UTC", 0), ("Europe/Berlin", -HOUR)])
def test_pandas_timestamps_of_every_unit_and_zone(unit: str, zone: str | None, offset: int) -> None:
    """Midnight in Berlin is an hour before midnight in UTC."""
    times = pd.Series(pd.to_datetime(["2020-01-01"])).dt.as_unit(unit).dt.tz_localize(zone)  # type: ignore[arg-type]
    data = of(pd.DataFrame({"u": [1], "i": [1], "t": times}))
    assert data.time is not None
    assert data.time.tolist() == [NEW_YEAR + offset]


def test_polars_datetimes_with_a_zone() -> None:
    """Noon in New York is 17 o'clock in UTC, in winter."""
    times = pl.Series([datetime(2020, 1, 1, 12)]).dt.replace_time_zone("America/New_York")
    data = of(pl.DataFrame({"u": ["a"], "i": ["b"], "t": times}))
    assert data.time is not None
    assert data.time.tolist() == [NEW_YEAR + 17 * HOUR]


def test_one_order_whatever_the_zone() -> None:
    """00:30 in Berlin is before 00:00 in UTC, though its text sorts after it."""
    data = of(pd.DataFrame({"u": [1, 1], "i": ["later", "earlier"], "t": ["2020-01-01T00:00:00Z", "2020-01-01T00:30:00+01:00"]}))
    assert data.items.originals(data.item).tolist() == ["earlier", "later"]


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1)), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_texts_and_timestamps_agree_with_python(moments: list[datetime]) -> None:
    """Python's own arithmetic on datetimes is the oracle, for a text and for a timestamp column."""
    moments = [moment.replace(microsecond=0) for moment in moments]
    expected = [int((moment - datetime(1970, 1, 1)).total_seconds()) for moment in moments]
    assert seconds([moment.isoformat() for moment in moments]) == expected
    assert seconds(moments) == expected


FRACTIONS = {
    "float": [NEW_YEAR + 0.9, NEW_YEAR + 0.2],
    "milliseconds": [NEW_YEAR * 1000 + 900, NEW_YEAR * 1000 + 200],
    "an order": [1.9, 1.2],
    "timestamp": pd.to_datetime(["2020-01-01 00:00:00.9", "2020-01-01 00:00:00.2"]),
    "text": ["2020-01-01T00:00:00.900", "2020-01-01T00:00:00.200"],
}


@pytest.mark.parametrize("kind", FRACTIONS)
def test_fractions_of_a_second_still_order_the_rows(kind: str) -> None:
    """The row at .2 comes before the row at .9, though the file has them the other way round."""
    assert of(pd.DataFrame({"u": [1, 1], "i": [9, 2], "t": FRACTIONS[kind]})).item.tolist() == [1, 2]


GOOD = {"u": [1, 2, 3], "i": ["a", "b", "c"], "t": [1, 2, 3]}


def bad(**columns: object) -> pd.DataFrame:
    """The good frame with some columns replaced."""
    return pd.DataFrame({**GOOD, **columns})


@pytest.mark.parametrize("column", ["u", "i", "t"])
def test_a_missing_column_is_named_beside_those_there_are(column: str) -> None:
    """The error says what was looked for, in what, and what could have been meant."""
    rest = [name for name in GOOD if name != column]
    with pytest.raises(ValueError, match=rf"shop has no column '{column}'; it has '{rest[0]}', '{rest[1]}'"):
        of(pd.DataFrame(GOOD)[rest], name="shop")


@pytest.mark.parametrize("frame", [pd.DataFrame(GOOD)[:0], pl.DataFrame(GOOD)[:0], pa.table(GOOD).slice(0, 0)], ids=["pd", "pl", "pa"])
def test_an_empty_frame_is_refused(frame: object) -> None:
    """No rows, no data."""
    with pytest.raises(ValueError, match="shop has no rows"):
        of(frame, name="shop")


def test_a_frame_without_columns_is_refused() -> None:
    """There is nothing to list, and the error says that."""
    with pytest.raises(ValueError, match="no column 'u'; it has none"):
        of(pd.DataFrame())


@pytest.mark.parametrize("frame", [[1, 2], {"u": [1]}, None, "ml_1m"])
def test_what_is_no_frame_is_refused(frame: object) -> None:
    """The error names the type found and the types that would do."""
    with pytest.raises(ValueError, match=f"a {type(frame).__name__} is no data frame; pass a pandas or polars frame or an Arrow table"):
        of(frame)


MISSING = {
    "NaN among integers": bad(u=[1, np.nan, np.nan]),
    "nullable integers": bad(u=pd.array([1, None, None], dtype="Int64")),
    "None among strings": bad(u=["x", None, None]),
    "categories": bad(u=pd.Categorical(["x", None, None])),
    "polars": pl.DataFrame({**GOOD, "u": ["x", None, None]}),
    "polars NaN": pl.DataFrame({**GOOD, "u": [1.0, float("nan"), float("nan")]}),
    "arrow": pa.table({**GOOD, "u": pa.array([1, None, None])}),
    "arrow dictionary": pa.table({**GOOD, "u": pa.array(["x", None, None]).dictionary_encode()}),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_ids_are_counted_and_the_first_is_named(kind: str) -> None:
    """Rows 1 and 2 have no user."""
    with pytest.raises(ValueError, match="column 'u' has 2 missing ids, the first in row 1"):
        of(MISSING[kind])


@pytest.mark.parametrize("column", ["u", "i"])
def test_float_ids_are_refused(column: str) -> None:
    """1.0 is neither the integer 1 nor the text "1"; the error shows an example."""
    with pytest.raises(ValueError, match=rf"column '{column}' holds double \(such as 1.0\); ids must be integers or strings"):
        of(bad(**{column: [1.0, 2.0, 3.0]}))


@pytest.mark.parametrize("ids", [[True, False, True], [date(2020, 1, 1)] * 3, [b"a", b"b", b"c"]], ids=["bool", "date", "bytes"])
def test_ids_of_other_types_are_refused(ids: list[object]) -> None:
    """Only integers and strings name users and items."""
    with pytest.raises(ValueError, match=r"column 'u' holds .*; ids must be integers or strings"):
        of(bad(u=ids))


def test_mixed_ids_name_both_rows() -> None:
    """The first row and the first one that differs from it."""
    text = "column 'u' mixes types: row 0 holds 1 (int) and row 2 holds 'x' (str); make them all integers or all strings"
    with pytest.raises(ValueError, match=re.escape(text)):
        of(bad(u=[1, 2, "x"]))


def test_mixed_ids_after_a_missing_one_name_the_rows_that_differ() -> None:
    """None is missing, not a third type: rows 1 and 2 are those that do not agree."""
    with pytest.raises(ValueError, match=re.escape("row 1 holds 1 (int) and row 2 holds 'x' (str)")):
        of(bad(u=pd.Series([None, 1, "x"], dtype=object)))


def test_a_column_of_one_odd_type_is_not_called_mixed() -> None:
    """Three complex numbers are of one type; the error should name the column and that type."""
    with pytest.raises(ValueError, match="'x'") as caught:
        of(bad(x=pd.Series([1j, 2j, 3j], dtype=object)))
    assert "mixes types" not in str(caught.value)


def test_two_columns_of_one_name_are_refused() -> None:
    """Which of them is meant cannot be known."""
    with pytest.raises(ValueError, match="'t'"):
        of(pd.DataFrame([[1, 2, 3, 4]], columns=["u", "i", "t", "t"]))


def test_ids_too_large_for_int64_are_refused_or_kept() -> None:
    """Hashes of 64 bits are common ids: 2**64 - 1 must not come back as -1."""
    try:
        data = of(bad(u=np.array([1, 2, 2**64 - 1], dtype=np.uint64)))
    except ValueError:
        return
    assert data.users.ids.tolist() == [1, 2, 2**64 - 1]


@pytest.mark.parametrize(
    ("times", "row", "value"),
    [
        (["2020-01-01", "soon", "never"], 1, "'soon'"),
        (["2020-01-01", "2020-01-02", "2020-13-01"], 2, "'2020-13-01'"),
        (["01/02/2020", "2020-01-01", "2020-01-01"], 0, "'01/02/2020'"),
        (["978300019", "soon", "978300021"], 0, "'978300019'"),
        ([True, False, True], 0, "'True'"),
    ],
)
def test_an_unreadable_time_is_named_with_its_row(times: list[object], row: int, value: str) -> None:
    """The first bad row, its text, and what would have been right."""
    with pytest.raises(ValueError, match=f"time column 't', row {row}: {value} is no time; use ISO 8601 .* or epoch seconds"):
        of(bad(t=times))


@pytest.mark.parametrize("times", [[1, 2, None], [1.0, 2.0, np.nan], ["2020-01-01", "2020-01-02", None], [pd.NaT] * 3], ids=str)
def test_missing_times_are_refused_with_their_row(times: list[object]) -> None:
    """A row without a time cannot be placed."""
    row = 0 if times[0] is pd.NaT else 2
    with pytest.raises(ValueError, match=f"time column 't' has missing values, the first in row {row}"):
        of(bad(t=times))


def test_infinite_times_are_refused() -> None:
    """Infinity is no moment."""
    with pytest.raises(ValueError, match="time column 't'"):
        of(bad(t=[1.0, 2.0, np.inf]))


def test_infinite_times_name_their_own_row() -> None:
    """Row 2 holds the infinity, not row 0."""
    with pytest.raises(ValueError, match="row 2"):
        of(bad(t=[1.0, 2.0, np.inf]))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
def test_integers_of_every_width_are_the_same_ids(dtype: str) -> None:
    """The width of an integer is no part of an id."""
    assert of(bad(u=np.array([1, 2, 3], dtype=dtype))).digest == of(pd.DataFrame(GOOD)).digest


def test_texts_in_every_arrow_form_are_the_same_ids() -> None:
    """String, large string, string view and dictionary."""
    forms = [pa.array(GOOD["i"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())]
    forms.append(pa.array(GOOD["i"]).dictionary_encode())
    assert {of(pa.table({**GOOD, "i": form})).digest for form in forms} == {of(pd.DataFrame(GOOD)).digest}


def test_other_columns_are_carried_along_in_the_new_order() -> None:
    """User 3 comes last though its row came first."""
    data = of(pd.DataFrame({"u": [3, 1], "i": [1, 1], "t": [1, 2], "review": ["good", None], "rating": [4, 5]}))
    assert data.extra is not None
    assert data.extra["rating"].tolist() == [5, 4]
    assert data.extra["review"].isna().tolist() == [True, False]


def test_without_other_columns_there_is_no_extra() -> None:
    """Nothing is None, not an empty frame."""
    assert of(pd.DataFrame(GOOD)).extra is None


def test_negative_and_unicode_ids_survive() -> None:
    """Ids are whatever the data calls them."""
    data = of(pd.DataFrame({"u": [-5, 3], "i": ["żółw", "été"], "t": [1, 2]}))
    assert data.users.ids.tolist() == [-5, 3]
    assert sorted(data.items.originals(data.item).tolist()) == sorted(["żółw", "été"])


@pytest.mark.parametrize(
    ("columns", "said"), [(("u", "u", "t"), "'u' is named as user and as item"), (("u", "i", "i"), "'i' is named as item and as time")]
)
def test_one_column_in_two_places_is_refused(columns: tuple[str, str, str], said: str) -> None:
    frame = pd.DataFrame({"u": [1, 2], "i": [3, 4], "t": [5, 6]})
    with pytest.raises(ValueError, match=f"^frame: the column {said}; say a column of its own for each"):
        Interactions.from_dataframe(frame, user=columns[0], item=columns[1], time=columns[2])


def test_columns_that_are_called_by_numbers() -> None:
    """As a frame without a header has them; 0 is a name as any other."""
    data = Interactions.from_dataframe(pd.DataFrame([[7, 3, 20], [7, 4, 10]]), user=0, item=1, time=2)
    assert data.columns == ("0", "1", "2")
    assert data.items.originals(data.item).tolist() == [4, 3]
    with pytest.raises(ValueError, match="frame has no column '5'; it has '0', '1', '2'"):
        Interactions.from_dataframe(pd.DataFrame([[7, 3, 20]]), user=0, item=5)


def test_a_column_without_a_name_is_looked_for_as_any_other() -> None:
    with pytest.raises(ValueError, match="frame has no column ''; it has 'u', 'i'"):
        Interactions.from_dataframe(pd.DataFrame({"u": [1], "i": [2]}), user="", item="i")
