"""Numbering ids: by flags or by hash, the same numbers; texts stay as they are written."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.ids import as_written, numbered


def of(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(-5, 5), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_numbers_are_those_of_numpys_unique(values: list[int]) -> None:
    ids, number = numbered(of(values), "u")
    expected, inverse = np.unique(values, return_inverse=True)
    assert ids.tolist() == expected.tolist()
    assert number.tolist() == (inverse + 1).tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_the_ends_of_a_type(dtype: str) -> None:
    ends = [np.iinfo(dtype).min, np.iinfo(dtype).max if dtype != "uint64" else 2**63 - 1]
    ids, number = numbered(of(np.array(ends, dtype=dtype)), "u")
    assert (ids.tolist(), number.tolist()) == (ends, [1, 2])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "20", "-3", "0"], [1, 20, -3, 0]),
        (["1", "007"], ["1", "007"]),
        (["1", "+2"], ["1", "+2"]),
        (["1", "-0"], ["1", "-0"]),
        (["1", " 2"], ["1", " 2"]),
        (["1", "1e3"], ["1", "1e3"]),
        (["1", "12345678901234567890"], ["1", "12345678901234567890"]),
        (["1", ""], [1, None]),
        (["1780000000000000001", "-9223372036854775808"], [1780000000000000001, -(2**63)]),
        ([str(2**63 - 1), str(10**18), "9199999999999999999"], [2**63 - 1, 10**18, 9199999999999999999]),
        (["1", str(2**63)], ["1", str(2**63)]),
        (["1", "9300000000000000000"], ["1", "9300000000000000000"]),
        (["1", str(-(2**63) - 1)], ["1", str(-(2**63) - 1)]),
    ],
)
def test_integers_only_where_each_is_written_as_one(texts: list[str], expected: list[object]) -> None:
    assert as_written(of(texts)).to_pylist() == expected


@given(st.integers(-(2**63) - 100, -(2**63) + 100) | st.integers(2**63 - 100, 2**63 + 100) | st.integers(-(10**20), 10**20))
@settings(max_examples=60, deadline=None)
def test_integers_of_64_bits_are_integers(value: int) -> None:
    """However many digits they have, as in a frame."""
    fits = -(2**63) <= value < 2**63
    assert as_written(of([str(value)])).to_pylist() == [value if fits else str(value)]


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_negative_ids_of_narrow_integers(kind: type[np.integer]) -> None:
    """The difference of the largest and the smallest int8 is none."""
    values = np.array([-100, 100, 0, -100, 100], kind)
    ids, number = numbered(pa.chunked_array([pa.array(values)]), "user")
    assert ids.tolist() == [-100, 0, 100]
    assert number.tolist() == [1, 3, 2, 1, 3]
