"""Vocabulary: original ids and numbers, there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.vocabulary import Vocabulary


def ints(*ids: int) -> Vocabulary:
    """A vocabulary of integers."""
    return Vocabulary(np.array(ids, dtype=np.int64))


def texts(*ids: str) -> Vocabulary:
    """A vocabulary of strings."""
    return Vocabulary(np.array(ids, dtype=object))


def test_numbers_by_hand() -> None:
    """10, 20, 30 are 1, 2, 3; 25 is unknown and so 0; a repeated id has the same number twice."""
    assert ints(10, 20, 30).numbers(np.array([30, 25, 10, 30]), "item").tolist() == [3, 0, 1, 3]
    assert texts("a", "b").numbers(np.array(["b", "c"]), "item").tolist() == [2, 0]


@pytest.mark.parametrize("ids", [pd.Series(["b", "a"]), pd.Series(["b", "a"], dtype="category"), np.array(["b", "a"], dtype=object)])
def test_strings_of_every_container(ids: pd.Series | np.ndarray) -> None:
    """A pandas string, a category and an object array hold the same ids."""
    assert texts("a", "b").numbers(ids, "item").tolist() == [2, 1]


def test_no_ids_have_no_numbers() -> None:
    """An empty array is of no kind, so it is refused by neither."""
    assert ints(1).numbers(np.array([], dtype=object), "item").tolist() == []
    assert texts("a").numbers(np.array([], dtype=np.int64), "item").tolist() == []


def test_the_other_kind_is_refused_with_examples_of_both() -> None:
    """Text ids would all be unknown to integers, and the other way round."""
    with pytest.raises(ValueError, match=r"item ids are str \(such as .*'7'.*\) but were int \(such as .*7.*\) in training"):
        ints(7).numbers(np.array(["7"]), "item")
    with pytest.raises(ValueError, match=r"user ids are int \(such as .*7.*\) but were str \(such as .*'a'.*\) in training"):
        texts("a").numbers(np.array([7]), "user")


@pytest.mark.parametrize("kind", [object, str])
def test_integers_among_other_texts_are_known(kind: type) -> None:
    """One id of another shop made texts of a whole column; 007 is not 7, and a column without a known one is refused."""
    assert ints(-3, 7, 10).numbers(np.array(["10", "SKU-9", "7", "007", "8", "-3", "9.0"], dtype=kind), "item").tolist() == [
        3,
        0,
        2,
        0,
        0,
        1,
        0,
    ]
    large = ["1780000000000000001", "SKU-9", "9300000000000000000"]
    assert ints(1780000000000000001).numbers(np.array(large, dtype=kind), "item").tolist() == [1, 0, 0]
    for strange in (["SKU-9", "8"], ["SKU-9", "007"], ["SKU-9"], ["7", "10"]):
        with pytest.raises(ValueError, match=rf"item ids are str \(such as '{strange[0]}'\) but were int \(such as 7\) in training"):
            ints(7, 10).numbers(np.array(strange, dtype=kind), "item")


def test_float_ids_are_refused_by_integers() -> None:
    """A pandas column of integers with a gap becomes floats."""
    with pytest.raises(ValueError, match="item ids are"):
        ints(1, 2).numbers(np.array([1.0, np.nan]), "item")


@pytest.mark.parametrize("ids", [np.array([1.5, 2.5]), np.array([1, 2], dtype=object)], ids=["floats", "boxed integers"])
def test_numbers_are_refused_by_strings_whatever_holds_them(ids: np.ndarray) -> None:
    """Floats and boxed integers are no strings either."""
    with pytest.raises(ValueError, match="item ids are"):
        texts("1", "2").numbers(ids, "item")


def test_boxed_integers_are_integers() -> None:
    """An object column of integers names the same items as an integer column."""
    assert ints(1, 2).numbers(np.array([2, 1], dtype=object), "item").tolist() == [2, 1]


@pytest.mark.parametrize(("vocabulary", "kind"), [(ints(1), "int"), (texts("a"), "str")])
def test_kind(vocabulary: Vocabulary, kind: str) -> None:
    """``int`` or ``str``."""
    assert vocabulary.kind == kind


@given(st.sets(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.lists(st.integers(0, 99), max_size=20))
@settings(max_examples=50, deadline=None)
def test_there_and_back(ids: set[int], places: list[int]) -> None:
    """Every id has one number in 1..n, and that number gives the id back."""
    vocabulary = ints(*sorted(ids))
    some = np.array([sorted(ids)[place % len(ids)] for place in places], dtype=np.int64)
    assert vocabulary.originals(vocabulary.numbers(some, "item")).tolist() == some.tolist()
    assert vocabulary.numbers(vocabulary.ids, "item").tolist() == list(range(1, len(ids) + 1))


def test_keep_renumbers_the_ids_and_their_features_together() -> None:
    """Places 0 and 2 of three."""
    vocabulary = Vocabulary(np.array([5, 6, 7]), pd.DataFrame({"title": ["five", "six", "seven"]}))
    kept = vocabulary.keep(np.array([0, 2]))
    assert kept.ids.tolist() == [5, 7]
    assert kept.features is not None
    assert kept.features["title"].tolist() == ["five", "seven"]
    assert kept.features.index.tolist() == [0, 1]
    assert kept.numbers(np.array([7, 6]), "item").tolist() == [2, 0]
    assert ints(5, 6).keep(np.array([1])).features is None
    assert len(kept) == 2


@pytest.mark.parametrize("features", [None, pd.DataFrame({"id": ["b", "a"], "title": ["B", None]})])
def test_written_and_read_again(tmp_path: Path, features: pd.DataFrame | None) -> None:
    """Ids in their order, and features beside them; a feature that is called id is the id."""
    written = Vocabulary(np.array(["b", "a"], dtype=object), features)
    written.write(tmp_path / "items.parquet")
    read = Vocabulary.read(tmp_path / "items.parquet")
    assert read.ids.tolist() == ["b", "a"]
    assert (read.features is None) == (features is None)
    if read.features is not None and features is not None:
        pd.testing.assert_frame_equal(read.features, features.drop(columns="id"))


def test_integers_stay_integers(tmp_path: Path) -> None:
    """Numbers written are numbers read."""
    ints(7, 5).write(tmp_path / "users.parquet")
    assert Vocabulary.read(tmp_path / "users.parquet").ids.dtype == np.int64
