"""Vocabularies in parts: the same as those of a whole column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recpref.data import distinct
from recpref.data.distinct import Counted, Distinct
from recpref.data.ids import as_written, numbered


def column(values: list, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def test_by_hand() -> None:
    """b, a | a, c, a: three ids, a thrice; the second part is 1, 3, 1."""
    found = Distinct("item", text=False)
    found.add(column(["b", "a"]))
    found.add(column(["a", "c", "a"]))
    counted = found.finished()
    assert counted.ids.tolist() == ["a", "b", "c"]
    assert counted.counts.tolist() == [3, 1, 1]
    assert counted.numbers(column(["a", "c", "a"]), "item").tolist() == [1, 3, 1]


@given(
    st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
        st.lists(st.integers(-3, 9), min_size=1),
        st.lists(st.text(max_size=3), min_size=1),
    ),
    st.integers(1, 5),
)
def test_parts_are_as_good_as_the_whole(values: list, size: int) -> None:
    ids, number = numbered(column(values), "x")
    found = Distinct("x", text=False)
    parts = [values[first : first + size] for first in range(0, len(values), size)]
    for part in parts:
        found.add(column(part))
    counted = found.finished()
    assert counted.ids.dtype == ids.dtype
    assert counted.ids.tolist() == ids.tolist()
    assert np.concatenate([counted.numbers(column(part), "x") for part in parts]).tolist() == number.tolist()
    assert counted.counts.tolist() == np.bincount(number)[1:].tolist()


@pytest.mark.parametrize("values", [["10", "9", "9"], ["10", "09"], ["a", "9"]])
def test_texts_are_integers_if_all_are(values: list[str]) -> None:
    ids, number = numbered(as_written(column(values)), "x")
    found = Distinct("x", text=True)
    for value in values:
        found.add(column([value]))
    counted = found.finished()
    assert counted.ids.tolist() == ids.tolist()
    assert counted.numbers(column(values), "x").tolist() == number.tolist()


def test_counts_are_added_up_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held stays below twice the vocabulary."""
    monkeypatch.setattr(distinct, "HELD", 4)
    found = Distinct("x", text=False)
    for _ in range(50):
        found.add(column([1, 2, 3]))
        assert sum(part.num_rows for part in found.parts) <= 6
    assert found.finished().counts.tolist() == [50, 50, 50]


def test_what_is_refused() -> None:
    for text, missing in ((False, None), (True, "")):
        found = Distinct("user", text=text)
        found.add(column(["a", "b"]))
        found.add(column(["c", missing, missing]))
        with pytest.raises(ValueError, match="column 'user' has 2 missing ids, the first in row 3"):
            found.finished()
    with pytest.raises(ValueError, match=r"column 'user' holds double \(such as 1\.5\); ids must be integers or strings"):
        Distinct("user", text=False).add(column([1.5]))
    found = Distinct("user", text=False)
    found.add(column([1], pa.uint64()))
    with pytest.raises(ValueError, match=f"row 1: {2**63} is too large for an id"):
        found.add(column([2**63], pa.uint64()))


def test_parts_of_narrow_integers_are_numbered_among_wider_ones() -> None:
    """A shard of int8 beside ids that no int8 holds."""
    counted = Counted(np.array([-300, -100, 0, 100]), np.ones(4, np.int64))
    column = pa.chunked_array([pa.array(np.array([100, -100, 0], np.int8))])
    assert counted.numbers(column, "user").tolist() == [4, 2, 3]
