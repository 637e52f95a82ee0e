"""RecBole's atomic files: what is written is read back with the same digest, and RecBole's own example is read."""

from __future__ import annotations

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
        assert back.items.features["tags"].tolist() == ["a_b c", "d", ""]
        assert back.items.features["year"].tolist() == [1999, 2000, 2001]


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


@pytest.mark.parametrize("header", ["user_id\titem_id", "user_id:token\titem_id:text"])
def test_a_header_without_types(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.inter").write_text(f"{header}\n1\t2\n")
    with pytest.raises(ValueError, match=r"in the header is not of the form name:type; types are token, token_seq, float, float_seq"):
        read_atomic_file(tmp_path / "a.inter", Asked())


def test_other_names_of_columns(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\tartist_id:token\tweight:float\n1\t007\t2\n")
    data = open_data(str(tmp_path / "a.inter"))
    assert (data.items.ids.tolist(), data.clock) == (["007"], "none")
