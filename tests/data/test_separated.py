"""Texts of separated fields: separators, headers, encodings, and ids as they are written. More in test_readers.py."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from recpref.data.asked import Asked
from recpref.data.cards import open_data
from recpref.data.opening import open_file
from recpref.data.readers import read_file
from recpref.data.separated import sniffed

HEAD = ["user_id", "item_id", "timestamp", "review"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::"])
def test_separators_are_sniffed(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(separator.join(row) for row in (HEAD, ["1", "2", "3", "good"], ["2", "3", "4", "bad"])) + "\n")
    assert read_file(path).to_pydict() == {"user_id": [1, 2], "item_id": [2, 3], "timestamp": [3, 4], "review": ["good", "bad"]}


def test_commas_in_reviews_do_not_confuse() -> None:
    assert sniffed(["user,item,review", '1,2,"a; b, c"', "1,3,x"]) == ","
    assert sniffed(["user;item;price", "1;2;3,5", "1;3;4,5"]) == ";"
    assert sniffed(["user_id"]) == ","


@pytest.mark.parametrize("separator", ["semicolon", ";"])
def test_a_separator_may_be_named(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,x;item,x\n1;2\n")
    assert read_file(path, Asked(separator=separator)).column_names == ["user,x", "item,x"]


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,what,n\n007,1,01\n7,2,02\n")
    data = open_data(str(path), item="what", time="none")
    assert (data.users.ids.tolist(), data.items.ids.tolist()) == (["007", "7"], [1, 2])


@pytest.mark.parametrize("name", ["ratings.dat", "u.data", "ratings_Beauty.csv", "ratings.csv.gz"])
def test_movielens_and_amazon_without_a_header(tmp_path: Path, name: str) -> None:
    separator = {"ratings.dat": "::", "u.data": "\t"}.get(name, ",")
    text = "".join(separator.join(row) + "\n" for row in (["A3", "020", "5.0", "978300760"], ["A4", "021", "3.0", "978300761"]))
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    data = open_data(str(tmp_path / name))
    assert data.items.ids.tolist() == ["020", "021"]
    assert data.time is not None
    assert data.time.tolist() == [978300760, 978300761]
    assert data.extra is not None
    assert data.extra["rating"].tolist() == [5, 3]


def test_numbers_for_a_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=r"a\.csv: the first line \(1, 2, 3\) is no header; write one, such as user_id,item_id,timestamp"):
        read_file(path)


LATIN = "user_id,item_id,review\n1,été,très bon\n".encode("latin-1")


@pytest.mark.parametrize("content", [LATIN, b"user_id,item_id,review\n" + b"1,2,good\n" * 20_000 + "1,2,été\n".encode("latin-1")])
def test_another_encoding_names_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv is not written in utf-8; say data\.encoding=latin-1"):
        open_data(str(path))
    data = open_data(str(path), encoding="latin-1")
    assert "été" in data.items.ids.tolist() or "été" in data.extra["review"].tolist()  # type: ignore[index]


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\n1,2\n")
    with pytest.raises(ValueError, match=r"data\.encoding=klingon is unknown; utf-8, latin-1 and cp1252"):
        open_data(str(tmp_path / "a.csv"), encoding="klingon")


def test_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\n1,é\n", encoding="utf-16")
    assert open_data(str(tmp_path / "a.csv"), encoding="utf-16").items.ids.tolist() == ["é"]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item")
    with pytest.raises(ValueError, match=r"a\.csv has no rows"):
        open_file(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_extra_only_what_is_needed_is_read(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a.csv").write_text("user_id,what,timestamp,rating,review\n1,2,3,4,good\n1,3,4,5,bad\n")
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        read_file(tmp_path / "a.csv").to_pandas().to_parquet(path)
    assert open_data(str(path), item="what", extra=False).extra is None
    data = open_data(str(path), item="what", extra=False, min_rating=5)
    assert data.extra is not None
    assert data.extra.to_dict("list") == {"rating": [5]}
    for rating, other in ((None, "overall"), ("r", "r")):
        renamed = read_file(path).rename_columns(["user_id", "what", "timestamp", other, "review"]).to_pandas()
        renamed.to_csv(tmp_path / "b.csv", index=False) if suffix == "csv" else renamed.to_parquet(tmp_path / "b.parquet")
        data = open_data(str(tmp_path / f"b.{suffix}"), item="what", extra=False, min_rating=5, rating=rating)
        assert data.extra is not None
        assert data.extra.to_dict("list") == {other: [5]}
    assert list(open_data(str(path), item="what").extra) == ["rating", "review"]  # type: ignore[call-overload]


def test_a_header_may_be_quoted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('user_id,item_id,"title, long",timestamp\n1,2,"a, b",3\n2,3,c,4\n')
    assert read_file(path).to_pydict() == {"user_id": [1, 2], "item_id": [2, 3], "title, long": ["a, b", "c"], "timestamp": [3, 4]}


@pytest.mark.parametrize(("header", "names"), [("user_id,item_id,2020", {}), ("who,what,2020", {"user": "who", "item": "what"})])
def test_a_column_may_be_called_like_a_number(tmp_path: Path, header: str, names: dict[str, str]) -> None:
    """Where names of a user and an item stand beside it, known ones or those that were said."""
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n1,2,3\n2,3,4\n")
    assert list(read_file(path, Asked(**names)).to_pydict()) == header.split(",")


@pytest.mark.parametrize("name", ["a.CSV", "a.Csv.GZ", "a.TSV"])
def test_suffixes_in_capitals(tmp_path: Path, name: str) -> None:
    content = "user_id,item_id\n1,2\n".replace(",", "\t" if "TSV" in name else ",").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("GZ") else content)
    assert len(open_file(tmp_path / name)) == 1
