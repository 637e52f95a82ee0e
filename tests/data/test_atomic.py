"""RecBole's atomic files: what is written is read back with the same digest, and RecBole's own example is read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.asked import Asked
from recpref.data.atomic import read_atomic_file, write_atomic
from recpref.data.cards import open_data
from recpref.data.interactions import Interactions
from recpref.data.opening import read_folder

T = 1_600_000_000


def toy(time: str | None = "timestamp") -> Interactions:
    frame = pd.DataFrame(
        {
            "user_id": ["bo", "al", "bo", "al"],
            "item_id": [30, 10, 20, 10],
            "timestamp": [T + 5, T + 9, T + 5, T + 1],
            "rating": [3.5, 5.0, float("nan"), 1.0],
            "review": ['"good"\tand\nlong', None, "fine", ""],
        }
    )
    data = Interactions.from_dataframe(frame if time else frame.drop(columns="timestamp"), user="user_id", item="item_id", time=time)
    features = pd.DataFrame({"title": ["Ten", "Twenty", None], "tags": [["a b", "c"], ["d"], []], "year": [1999, 2000, 2001]})
    return replace(data, items=replace(data.items, features=features))


@pytest.mark.parametrize("time", ["timestamp", None])
def test_there_and_back(tmp_path: Path, time: str | None) -> None:
    data = toy(time)
    paths = write_atomic(data, tmp_path / "toy", "toy")
    assert [path.name for path in paths] == ["toy.inter", "toy.item"]
    for back in (read_folder(tmp_path / "toy"), open_data(str(paths[0]))):
        assert back.digest == data.digest
        assert back.clock == data.clock
        assert back.extra is not None
        assert back.extra["rating"].fillna(-1).tolist() == data.extra["rating"].fillna(-1).tolist()  # type: ignore[index]
        assert "'good' and long" in back.extra["review"].tolist()
        assert back.items.features is not None
        assert back.items.features["tags"].fillna("missing").tolist() == ["a_b c", "d", "missing"]  # a list of nothing is a missing one
        assert back.items.features["title"].fillna("missing").tolist() == ["Ten", "Twenty", "missing"]
        assert back.items.features["year"].tolist() == [1999, 2000, 2001]


@pytest.mark.parametrize("times", [[1_700_000_000_123, 1_700_000_000_456, 1_700_000_000_456], [0.25, 0.5, 0.5]])
def test_times_finer_than_a_second_come_back(tmp_path: Path, times: list[float]) -> None:
    frame = pd.DataFrame({"user": ["a"] * 3, "item": ["x", "y", "z"], "t": times})
    data = Interactions.from_dataframe(frame, user="user", item="item", time="t")
    (path,) = write_atomic(data, tmp_path, "fine")
    assert open_data(str(path)).digest == data.digest
    assert open_data(str(path)).tied().tolist() == [False, True]


def test_the_header_is_recboles(tmp_path: Path) -> None:
    write_atomic(toy(), tmp_path, "toy")
    assert (tmp_path / "toy.inter").read_text().split("\n")[
        0
    ] == "user_id:token\titem_id:token\ttimestamp:float\trating:float\treview:token"
    assert (tmp_path / "toy.item").read_text().split("\n")[0] == "item_id:token\ttitle:token\ttags:token_seq\tyear:float"


@given(st.lists(st.tuples(st.sampled_from(["007", "a", "é b"]), st.integers(-3, 3), st.integers(0, 9)), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_any_data_have_the_same_digest(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]]) -> None:
    frame = pd.DataFrame([("x", 0, 0), *rows], columns=["u", "i", "order"])
    data = Interactions.from_dataframe(frame, user="u", item="i", time="order")
    folder = tmp_path_factory.mktemp("atomic")
    write_atomic(data, folder, "any")
    assert read_folder(folder).digest == data.digest


def test_an_id_that_cannot_be_written(tmp_path: Path) -> None:
    data = Interactions.from_dataframe(pd.DataFrame({"u": ["a\tb"], "i": [1]}), user="u", item="i")
    with pytest.raises(ValueError, match=r"user id 'a\\tb' holds a tab"):
        write_atomic(data, tmp_path, "bad")
    assert list(tmp_path.iterdir()) == []


MISSING = {
    "text": ["good", None, "nan", float("nan"), ""],
    "string": pd.array(["good", pd.NA, "null", pd.NA, ""], dtype="string"),
    "tags": [["a", "b"], None, ["None"], float("nan"), []],
    "number": [1.5, None, -2.0, float("nan"), 0.0],
    "whole": pd.array([7, pd.NA, 0, pd.NA, 3], dtype="Int64"),
    "day": pd.to_datetime(["2020-01-02", None, "2021-01-02", None, "2022-01-02"]),
    "true": [True, None, False, None, True],
    "nothing": [None] * 5,
}


KEPT = {"text": ["good", "nan"], "string": ["good", "null"], "tags": ["a b", "None"], "number": [1.5, -2.0], "whole": [7, 0]}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_stays_missing(tmp_path: Path, name: str) -> None:
    """Rows 1 and 3, of rows and of features; words such as "nan" are words, and 0 is a number. A text of nothing is a missing one, too."""
    frame = pd.DataFrame({"u": range(5), "i": range(5), "about": MISSING[name]})
    plain = Interactions.from_dataframe(frame[["u", "i"]], user="u", item="i")
    data = replace(plain, extra=frame[["about"]], items=replace(plain.items, features=frame[["about"]]))
    write_atomic(data, tmp_path, "a")
    back = read_folder(tmp_path)
    expected = [False, True, False, True, name in ("text", "string", "tags")]
    for part in (back.extra, back.items.features):
        assert part is not None
        assert part["about"].isna().tolist() == ([True] * 5 if name == "nothing" else expected)
        if name in KEPT:
            assert part["about"].tolist()[0:3:2] == KEPT[name]


@pytest.mark.parametrize("member", [None, float("nan"), "", " "])
def test_a_list_with_a_missing_member_cannot_be_written(tmp_path: Path, member: object) -> None:
    """It would come back as a shorter one."""
    data = Interactions.from_dataframe(pd.DataFrame({"u": [1], "i": [1]}), user="u", item="i")
    data = replace(data, extra=pd.DataFrame({"tags": [["a", member, "b"]]}))
    with pytest.raises(ValueError, match=r"column 'tags' holds \['a', .*, 'b'\]: .* member of a list is missing or empty"):
        write_atomic(data, tmp_path, "bad")
    assert list(tmp_path.iterdir()) == []


def beside(clock: str, **kept: object) -> Interactions:
    """Two rows with these columns beside user, item and time."""
    times = {"seconds": [T, T + 1], "order": [1, 2], "none": [0, 0]}[clock]
    frame = pd.DataFrame({"who": ["a", "b"], "what": [1, 2], "when": times}).assign(**kept)
    frame = frame.drop(columns="when") if clock == "none" else frame
    return Interactions.from_dataframe(frame, user="who", item="what", time=None if clock == "none" else "when")


@pytest.mark.parametrize(
    ("clock", "name", "message"),
    [
        ("seconds", "user_id", "column 'user_id' has the name of the users in an atomic file; rename it"),
        ("none", "item_id", "column 'item_id' has the name of the items"),
        ("seconds", "timestamp", "column 'timestamp' has the name of the times"),
        ("order", "order", "column 'order' has the name of the times"),
        ("order", "timestamp", "column 'timestamp' would be read back as the times, and it only stands beside them"),
        ("none", "date", "column 'date' would be read back as the times"),
        ("seconds", "", "column '': a name in an atomic file is not empty"),
        ("seconds", "a\tb", r"column 'a\\tb': a name in an atomic file .* holds no tab"),
        ("seconds", "a\nb", r"column 'a\\nb': .* line break"),
        ("seconds", "a\u2028", r"column 'a\\u2028': .* line break"),
        ("seconds", "a:b", "column 'a:b': .* colon"),
        ("seconds", 'a"b', "column 'a\"b': .* quotation mark"),
    ],
)
def test_a_column_that_could_not_be_read_back_is_refused(tmp_path: Path, clock: str, name: str, message: str) -> None:
    """In one line that names it, and nothing is written."""
    with pytest.raises(ValueError, match=message) as error:
        write_atomic(beside(clock, **{name: ["x", "y"]}), tmp_path / "new", "bad")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("clock", "name"), [("seconds", "order"), ("seconds", "date"), ("order", "user"), ("none", "a b")])
def test_a_column_that_can_be_read_back_is_written(tmp_path: Path, clock: str, name: str) -> None:
    """A time of a later tier is none beside ``timestamp``; where two could be the user, the reader asks which."""
    data = beside(clock, **{name: ["x", "y"]})
    (path,) = write_atomic(data, tmp_path, "good")
    back = open_data(str(path), user="user_id")
    assert back.digest == data.digest
    assert back.extra is not None
    assert back.extra[name].tolist() == ["x", "y"]


@pytest.mark.parametrize("name", ["item_id", "", "a\tb"])
def test_a_feature_that_could_not_be_read_back_is_refused(tmp_path: Path, name: str) -> None:
    data = toy()
    data = replace(data, items=replace(data.items, features=pd.DataFrame({"year": [1, 2, 3], name: [1, 2, 3]})))
    with pytest.raises(ValueError, match=re.escape(f"column {name!r}")):
        write_atomic(data, tmp_path / "new", "bad")
    assert not (tmp_path / "new").exists()
    named_alike = replace(toy().items, features=pd.DataFrame({"user_id": [1, 2, 3], "timestamp": [4, 5, 6]}))
    write_atomic(replace(toy(), items=named_alike), tmp_path / "new", "good")
    assert read_folder(tmp_path / "new").digest == data.digest


def test_an_empty_id_cannot_be_written(tmp_path: Path) -> None:
    """It would be refused, as a missing one, by who reads it."""
    data = Interactions.from_dataframe(pd.DataFrame({"u": ["", "b"], "i": [1, 2]}), user="u", item="i")
    with pytest.raises(ValueError, match="user id '' is a missing one in an atomic file"):
        write_atomic(data, tmp_path, "bad")


@pytest.mark.parametrize("header", ["user_id\titem_id", "user_id:token\titem_id:text"])
def test_a_header_without_types(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.inter").write_text(f"{header}\n1\t2\n")
    with pytest.raises(ValueError, match=r"in the header is not of the form name:type; types are token, token_seq, float, float_seq"):
        read_atomic_file(tmp_path / "a.inter", Asked())


def test_other_names_of_columns(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\tartist_id:token\tweight:float\n1\t007\t2\n")
    data = open_data(str(tmp_path / "a.inter"))
    assert (data.items.ids.tolist(), data.clock) == (["007"], "none")
