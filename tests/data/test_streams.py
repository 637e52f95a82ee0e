"""Streams: every row once, in order, under one schema."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from recpref.data.asked import Asked
from recpref.data.streams import Stream, can_stream, gathered, names_in


def test_tables_are_gathered() -> None:
    """Parts of 2, 0, 1, 4 and 1 rows, at least 3 at a time: 3, 4 and what is left."""
    parts = [pa.table({"x": list(range(n))}) for n in (2, 0, 1, 4, 1)]
    assert [table.num_rows for table in gathered(iter(parts), 3)] == [3, 4, 1]
    assert list(gathered(iter(parts[1:2]), 3)) == []


def test_shards_agree(tmp_path: Path) -> None:
    """Integers in one shard and texts in the other are texts; integers of two widths are the wider."""
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pa.parquet.write_table(pa.table({"t": pa.array([1, 2], pa.int32()), "user": [1, 2], "other": [1.5, 2.5]}), files[0])
    pa.parquet.write_table(pa.table({"user": ["x"], "t": pa.array([3], pa.int64()), "more": [0]}), files[1])
    assert names_in(files, Asked()) == ["t", "user", "other", "more"]
    stream = Stream.of(files, ["user"], ["t"], Asked(), tmp_path)
    (table,) = stream.tables()
    assert table.to_pydict() == {"user": ["1", "2", "x"], "t": [1, 2, 3]}
    assert [part.num_rows for part in stream.tables(1)] == [1, 1, 1]


def test_views_of_texts_are_texts(tmp_path: Path) -> None:
    """As polars and DuckDB write them: what is done to texts later is not known of views."""
    file = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"user": pa.array(["x", "y", None], pa.string_view()), "t": [1, None, 3]}), file)
    stream = Stream.of([file], ["user"], ["t"], Asked(), tmp_path)
    assert stream.schema.field("user").type != pa.string_view()
    (table,) = stream.tables()
    assert table["user"].type == stream.schema.field("user").type
    assert table.take([1, 0])["user"].to_pylist() == ["y", "x"]


@pytest.mark.parametrize(("times", "kind"), [("1 2 3", "int64"), ("1 2.5 3", "double"), ("2020-01-01 2 x", "string")])
def test_times_of_a_text_are_the_numbers_that_they_may_be(tmp_path: Path, times: str, kind: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text("user,t\n" + "".join(f"0{n},{time}\n" for n, time in enumerate(times.split())))
    stream = Stream.of([file], ["user"], ["t"], Asked(), tmp_path)
    assert str(stream.schema.field("t").type) == kind
    (table,) = stream.tables()
    assert table["user"].to_pylist() == ["00", "01", "02"]


def test_which_files_stream(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,i\n1,2\n")
    (tmp_path / "b.dat").write_text("1::2::3::900000000\n")
    (tmp_path / "c.jsonl").write_text("{}\n")
    assert [can_stream([tmp_path / name], Asked()) for name in ("a.csv", "b.dat", "c.jsonl", "d.parquet")] == [True, False, False, True]


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*a\.parquet"):
        names_in([tmp_path / "a.parquet"], Asked())
    (tmp_path / "a.parquet").write_bytes(b"PAR1 this is not")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read"):
        names_in([tmp_path / "a.parquet"], Asked())
    (tmp_path / "b.csv").write_text("user,t\n1,2\n1\n")
    stream = Stream.of([tmp_path / "b.csv"], ["user"], [], Asked(), tmp_path)
    with pytest.raises(ValueError, match=r"b\.csv cannot be read: .*Expected 2 columns"):
        list(stream.tables())
    (tmp_path / "c.csv").write_bytes("user,t\né,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"c\.csv is not written in utf-8; say data\.encoding=latin-1"):
        list(Stream.of([tmp_path / "c.csv"], ["user"], [], Asked(), tmp_path).tables())
