"""Readers: damaged, empty and unknown files are refused by name; the folder form joins its parts and features."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest

from recpref.data.asked import Asked
from recpref.data.cards import open_data
from recpref.data.interactions import Interactions
from recpref.data.opening import read_folder
from recpref.data.preparing import prepare
from recpref.data.readers import read_file
from recpref.data.separated import read_separated

HEAD = "user_id,item_id,timestamp\n"
COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
U_DATA = "1\t7\t5\t100\n1\t9\t3\t90\n2\t7\t4\t100\n"


def put(path: Path, content: str | bytes) -> Path:
    """The file of that content; a name that ends in .gz is compressed where the content is text."""
    if isinstance(content, str):
        content = gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode()
    path.write_bytes(content)
    return path


def folder(path: Path, **files: str) -> Path:
    """A folder of files whose names have __ for the dot."""
    for name, content in files.items():
        put(path / name.replace("__", "."), content)
    return path


def test_an_unknown_suffix_lists_those_known(tmp_path: Path) -> None:
    """A spreadsheet is not read as text."""
    with pytest.raises(ValueError, match=r"a\.xlsx: cannot read \.xlsx; known: \.csv, \.tsv, .*\.parquet, .*\.gz of the texts"):
        read_file(put(tmp_path / "a.xlsx", b"PK"))


def twice(path: Path, column: str) -> Path:
    """A file of one row with two columns of that name."""
    names, row = ["user_id", "item_id", "rating", column, "timestamp"], [1, 2, 3, 4, 5]
    table = pa.Table.from_arrays([pa.array([value]) for value in row], names=names)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif path.suffix in (".json", ".jsonl"):
        line = "{" + ", ".join(f'"{name}": {value}' for name, value in zip(names, row, strict=True)) + "}"
        path.write_text(f"[{line}]" if path.suffix == ".json" else line)
    else:
        typed = [f"{name}:float" for name in names] if path.suffix == ".inter" else names
        comma = "," if path.suffix == ".csv" else "\t"
        path.write_text(comma.join(typed) + "\n" + comma.join(map(str, row)) + "\n")
    return path


@pytest.mark.parametrize("column", ["item_id", "rating"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.arrow", "a.json", "a.jsonl", "a.inter"])
def test_two_columns_of_one_name_are_refused_wherever_a_table_is_read(tmp_path: Path, name: str, column: str) -> None:
    """One line that names the file and the column, also where only ids and times are read, and no store."""
    path = twice(tmp_path / name, column)
    said = rf"{re.escape(str(path))}.*{column}.* (specified twice|which is meant cannot be known: rename one)"
    for read in (read_file, open_data, lambda path: prepare(path, tmp_path / "store", Asked(extra=False))):
        with pytest.raises(ValueError, match=said):
            read(str(path))
    assert not (tmp_path / "store").exists()


def arrow_file(path: Path, frame: pd.DataFrame, how: str) -> Path:
    """The frame as an ``.arrow`` file, as one of several tools writes it."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if how == "polars":
        pl.from_pandas(frame).write_ipc(path)
    elif how.startswith("feather"):
        pyarrow.feather.write_feather(table, path, compression=how.partition(" ")[2])
    elif how == "to_feather":
        frame.to_feather(path)
    else:
        with pa.OSFile(str(path), "wb") as file, (pa.ipc.new_file if how == "file" else pa.ipc.new_stream)(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


@pytest.mark.parametrize("how", ["stream", "file", "to_feather", "feather lz4", "feather zstd", "feather uncompressed", "polars"])
def test_arrow_files_of_both_forms(tmp_path: Path, how: str) -> None:
    """With ids that are texts, alone and beside a part that is a CSV, and as a store."""
    frame = pd.DataFrame({"user_id": ["a", "b", "a"], "item_id": [7, 8, 9], "timestamp": [3, 2, 1], "split": ["x", "y", None]})
    frame.to_csv(tmp_path / "whole.csv", index=False)
    data, plain = open_data(str(arrow_file(tmp_path / "whole.arrow", frame, how))), open_data(str(tmp_path / "whole.csv"))
    assert data.digest == plain.digest
    assert data.extra is not None
    assert data.extra["split"].fillna("none").tolist() == ["none", "x", "y"]
    parts = tmp_path / "parts"
    parts.mkdir()
    arrow_file(parts / "test.arrow", frame[["user_id", "item_id", "timestamp"]], how)
    frame[["user_id", "item_id", "timestamp"]].to_csv(parts / "train.csv", index=False)
    assert len(open_data(str(parts))) == 6
    assert prepare(tmp_path / "whole.arrow", tmp_path / "store").digest == plain.digest


def test_a_damaged_arrow_file_and_one_of_two_columns_of_one_name(tmp_path: Path) -> None:
    whole = arrow_file(tmp_path / "a.arrow", pd.DataFrame({"user_id": [1], "item_id": [2]}), "file").read_bytes()
    for damaged in (whole[:-20], whole[:6], whole[:3]):
        with pytest.raises(ValueError, match=r"b\.arrow cannot be read"):
            read_file(put(tmp_path / "b.arrow", damaged))
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["item_id", "item_id"])
    with pa.OSFile(str(tmp_path / "c.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match=r"c\.arrow: two columns are called 'item_id'"):
        read_file(tmp_path / "c.arrow")


def test_two_features_of_one_name_are_refused(tmp_path: Path) -> None:
    """Not the first, and not the last."""
    folder(tmp_path, interactions__csv=HEAD + "1,7,5\n", items__csv="item_id,title,title\n7,one,two\n")
    with pytest.raises(ValueError, match=r"items\.csv: two columns are called 'title'"):
        read_folder(tmp_path)


@pytest.mark.parametrize("name", ["plain", "plain.gz"])
def test_a_file_without_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """What it holds is not guessed."""
    with pytest.raises(ValueError, match="cannot read a file without suffix; known: .csv"):  # noqa: RUF043
        read_file(put(tmp_path / name, HEAD))


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "nowhere/none.csv.gz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """The whole path, as it was looked for."""
    with pytest.raises(FileNotFoundError, match=re.escape(f"no such file: {tmp_path / name}")):
        read_file(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder named like a file is not read as one."""
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileNotFoundError, match=r"a\.csv"):
        read_file(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet"])
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    """Zero bytes are no table."""
    with pytest.raises(ValueError, match=f"{re.escape(name)} is empty"):
        read_file(put(tmp_path / name, b""))


def test_a_file_of_a_header_has_no_rows(tmp_path: Path) -> None:
    """It can be read, but there is nothing in it."""
    with pytest.raises(ValueError, match=r"only\.csv has no rows"):
        Interactions.from_file(put(tmp_path / "only.csv", HEAD), user="user_id", item="item_id", time="timestamp")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_a_truncated_gz_is_damaged(tmp_path: Path, share: float) -> None:
    """A download cut short must never read as a shorter data set."""
    whole = gzip.compress((HEAD + "".join(f"{n % 97},{n * 7919 % 1009},{n}\n" for n in range(5000))).encode())
    with pytest.raises(ValueError, match=r"cut\.csv\.gz cannot be read"):
        read_file(put(tmp_path / "cut.csv.gz", whole[: int(share * len(whole))]))


def test_a_gz_with_a_flipped_byte_is_damaged(tmp_path: Path) -> None:
    """The checksum inside the archive catches it."""
    whole = bytearray(gzip.compress((HEAD + "".join(f"{n % 97},{n},{n}\n" for n in range(2000))).encode()))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(ValueError, match=r"flip\.csv\.gz cannot be read"):
        read_file(put(tmp_path / "flip.csv.gz", bytes(whole)))


def test_text_that_is_called_gz_is_refused(tmp_path: Path) -> None:
    """A file renamed by hand."""
    with pytest.raises(ValueError, match=r"a\.csv\.gz cannot be read"):
        read_file(put(tmp_path / "a.csv.gz", b"user_id,item_id\n1,2\n"))


def test_half_a_parquet_file_is_refused(tmp_path: Path) -> None:
    """Its footer is missing."""
    pd.DataFrame({"a": range(1000)}).to_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(ValueError, match=r"half\.parquet cannot be read"):
        read_file(put(tmp_path / "half.parquet", whole[: len(whole) // 2]))


def test_a_row_of_too_few_fields_is_shown(tmp_path: Path) -> None:
    """The path, what was expected and what was found."""
    with pytest.raises(ValueError, match=r"a\.csv cannot be read: .*Expected 3 columns, got 2"):
        read_file(put(tmp_path / "a.csv", HEAD + "1,2\n"))


def test_quotes_commas_line_breaks_and_bom(tmp_path: Path) -> None:
    """A review may hold commas and line breaks; the file of a spreadsheet begins with a byte-order mark."""
    text = '\ufeffuser_id,item_id,review\r\n1,2,"good, but\nlong"\r\n2,3,\r\n'
    table = read_file(put(tmp_path / "a.csv", text))
    assert table.column_names == ["user_id", "item_id", "review"]
    assert table["review"].to_pylist()[0] == "good, but\nlong"
    assert table["user_id"].to_pylist() == [1, 2]


@pytest.mark.parametrize("value", ["", '""'])
def test_an_empty_text_id_in_a_file_is_missing(tmp_path: Path, value: str) -> None:
    """A frame with None is refused; the file that to_csv makes of it must be, too."""
    path = put(tmp_path / "a.csv", f"user_id,item_id\nal,1\n{value},2\n")
    with pytest.raises(ValueError, match="column 'user_id' has 1 missing ids, the first in row 1"):
        Interactions.from_file(path, user="user_id", item="item_id")


def test_an_empty_integer_id_in_a_file_is_missing(tmp_path: Path) -> None:
    """The integer column has a gap in row 1."""
    path = put(tmp_path / "a.csv", "user_id,item_id\n5,1\n,2\n")
    with pytest.raises(ValueError, match="column 'user_id' has 1 missing ids, the first in row 1"):
        Interactions.from_file(path, user="user_id", item="item_id")


def test_ids_that_turn_into_texts_late_in_a_long_file_are_all_texts(tmp_path: Path) -> None:
    """Past the first megabyte there comes an id with a letter, so 17 was the text 17 all along."""
    rows = "".join(f"1,{n}\n" for n in range(200_000)) + "1,B000X\n"
    data = Interactions.from_file(put(tmp_path / "a.csv", "user_id,item_id\n" + rows), user="user_id", item="item_id")
    assert data.items.kind == "str"
    assert data.items.numbers(pd.Series(["17", "B000X"]), "item").min() > 0


def test_a_folder_joins_its_parts_and_its_features(tmp_path: Path) -> None:
    """Ties keep the order of the parts; an item without a row in items.csv stays, with nothing known of it."""
    data = read_folder(
        folder(
            tmp_path,
            interactions__part1__csv__gz=HEAD + "al,30,1600000005\nbo,10,1600000005\n",
            interactions__part2__csv=HEAD + "al,20,1600000005\nbo,20,1600000001\n",
            items__csv="item_id,title\n99,unseen\n30,thirty\n10,ten\n",
            users__csv__gz="user_id,age\nbo,40\nal,30\n",
        )
    )
    assert data.items.originals(data.item).tolist() == [30, 20, 20, 10]
    assert data.items.features is not None
    assert data.items.features["title"].fillna("?").tolist() == ["ten", "?", "thirty"]
    assert data.users.features is not None
    assert data.users.features["age"].tolist() == [30, 40]
    assert (data.name, data.clock, data.n_items) == (tmp_path.name, "seconds", 3)


def test_ids_and_features_that_are_texts(tmp_path: Path) -> None:
    """String ids find their features."""
    data = read_folder(folder(tmp_path, interactions__csv="user_id,item_id\na,B2\na,B1\n", items__csv="item_id,title\nB1,one\nB2,two\n"))
    assert data.items.features is not None
    assert data.items.features["title"].tolist() == ["one", "two"]


def test_features_follow_the_items_through_compact(tmp_path: Path) -> None:
    """Dropping item 10 drops its title and no other."""
    data = read_folder(folder(tmp_path, interactions__csv="user_id,item_id\n1,10\n1,20\n", items__csv="item_id,title\n10,ten\n20,twenty\n"))
    small = data.where(data.item == 2).compact()
    assert small.items.features is not None
    assert small.items.features["title"].tolist() == ["twenty"]


@pytest.mark.parametrize(("column", "clock"), [("timestamp", "seconds"), ("order", "order"), ("rating", "none")])
def test_the_clock_of_a_folder_follows_its_columns(tmp_path: Path, column: str, clock: str) -> None:
    """``timestamp`` is a clock, ``order`` is none, and without either the rows are in order."""
    data = read_folder(folder(tmp_path, interactions__csv=f"user_id,item_id,{column}\n1,10,1600000002\n1,20,1600000001\n"))
    assert (data.clock, data.item.tolist()) == (clock, [1, 2] if clock == "none" else [2, 1])


def test_a_folder_of_parquet(tmp_path: Path) -> None:
    """The parts may be Parquet files."""
    pd.DataFrame({"user_id": [1], "item_id": [2]}).to_parquet(tmp_path / "interactions.parquet")
    assert len(read_folder(tmp_path)) == 1


def test_a_folder_without_interactions_is_refused(tmp_path: Path) -> None:
    """Features alone are no data; the error says what is looked for."""
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path} has no interactions*.csv, .csv.gz or .parquet")):
        read_folder(folder(tmp_path, items__csv="item_id,title\n1,a\n", interactions__doc="nothing"))


def test_a_folder_whose_interactions_lack_a_column_is_refused(tmp_path: Path) -> None:
    """The folder's name and the columns that were found."""
    with pytest.raises(ValueError, match=r"no column looks like the item; it has 'user_id', 'film'; say data\.item=NAME"):
        read_folder(folder(tmp_path, interactions__csv="user_id,film\n1,2\n"))


@pytest.mark.parametrize("what", ["item", "user"])
def test_an_id_described_twice_is_refused(tmp_path: Path, what: str) -> None:
    """Which description holds cannot be known; the file and the id are named."""
    files = {"interactions__csv": "user_id,item_id\n7,7\n", f"{what}s__csv": f"{what}_id,title\n7,a\n8,b\n7,c\n"}
    with pytest.raises(ValueError, match=rf"{what}s\.csv: {what}_id .*7.* stands in more than one row"):
        read_folder(folder(tmp_path, **files))


def test_a_feature_file_without_ids_is_refused(tmp_path: Path) -> None:
    """The file, the column that is missing and those that are there."""
    with pytest.raises(ValueError, match=r"items\.csv has no column 'item_id'.*'id', 'title'"):
        read_folder(folder(tmp_path, interactions__csv="user_id,item_id\n7,7\n", items__csv="id,title\n7,a\n"))


def test_features_are_found_though_the_feature_file_has_ids_of_the_other_kind(tmp_path: Path) -> None:
    """All items of the interactions are digits, while items.csv also describes B000X: the ids there are texts."""
    data = read_folder(folder(tmp_path, interactions__csv="user_id,item_id\n1,7\n", items__csv="item_id,title\n7,seven\nB000X,other\n"))
    assert data.items.features is not None
    assert data.items.features["title"].tolist() == ["seven"]


def test_parts_whose_ids_are_of_different_kinds_read_like_one_file(tmp_path: Path) -> None:
    """Where the cut between the parts falls must not matter: one file of these rows has text ids."""
    whole = folder(tmp_path, interactions__csv="user_id,item_id\n1,7\n1,B000X\n")
    (tmp_path / "parts").mkdir()
    first, second = "user_id,item_id\n1,7\n", "user_id,item_id\n1,B000X\n"
    parts = folder(tmp_path / "parts", interactions__part1__csv=first, interactions__part2__csv=second)
    assert read_folder(parts).digest == read_folder(whole).digest


def test_nine_parts_keep_their_order(tmp_path: Path) -> None:
    """All at one time, so that only the order of the parts orders them."""
    files = {f"interactions__part{n}__csv": f"{HEAD}1,{n},5\n" for n in range(1, 10)}
    assert read_folder(folder(tmp_path, **files)).item.tolist() == list(range(1, 10))


def test_ten_parts_keep_their_order(tmp_path: Path) -> None:
    """Part 10 comes after part 9."""
    files = {f"interactions__part{n}__csv": f"{HEAD}1,{n},5\n" for n in range(1, 11)}
    assert read_folder(folder(tmp_path, **files)).item.tolist() == list(range(1, 11))


@pytest.mark.parametrize("separator", ["\t", "::", "|", ", "])
def test_separated_fields(tmp_path: Path, separator: str) -> None:
    """Separators of one and of several characters."""
    table = read_separated(put(tmp_path / "r.dat", U_DATA.replace("\t", separator)), COLUMNS, separator)
    assert table.to_pydict() == {"user_id": [1, 1, 2], "item_id": [7, 9, 7], "rating": [5, 3, 4], "timestamp": [100, 90, 100]}


def test_separated_with_a_header_skips_it(tmp_path: Path) -> None:
    """The header's names are replaced by the card's."""
    path = put(tmp_path / "r.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + U_DATA)
    assert read_separated(path, COLUMNS, "\t", header=True).num_rows == 3


def zipped(path: Path, rows: int = 3) -> Path:
    """An archive of rows of u.data."""
    text = U_DATA if rows == 3 else "".join(f"{n}\t{n * 7919 % 1009}\t3\t{n * 31}\n" for n in range(rows))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml/u.data", text)
    return path


def test_separated_inside_an_archive(tmp_path: Path) -> None:
    """The member is read without unpacking the archive."""
    assert read_separated(zipped(tmp_path / "a.zip"), COLUMNS, "\t", member="ml/u.data").num_rows == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_an_archive_without_the_member_is_refused(tmp_path: Path) -> None:
    """The archive and the member are named."""
    with pytest.raises(ValueError, match=r"a\.zip cannot be read: .*u\.item"):
        read_separated(zipped(tmp_path / "a.zip"), COLUMNS, "\t", member="ml/u.item")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    """The directory at its end is missing."""
    whole = zipped(tmp_path / "a.zip", 500).read_bytes()
    with pytest.raises(ValueError, match=r"cut\.zip cannot be read"):
        read_separated(put(tmp_path / "cut.zip", whole[: int(share * len(whole))]), COLUMNS, "\t", member="ml/u.data")


def test_an_archive_with_damaged_contents_is_refused(tmp_path: Path) -> None:
    """Its directory is whole, its compressed text is not."""
    whole = bytearray(zipped(tmp_path / "a.zip", 500).read_bytes())
    whole[200:260] = b"\xff" * 60
    with pytest.raises(ValueError, match=r"bad\.zip cannot be read"):
        read_separated(put(tmp_path / "bad.zip", bytes(whole)), COLUMNS, "\t", member="ml/u.data")


def test_separated_rows_of_too_few_fields_name_the_file(tmp_path: Path) -> None:
    """The same words as for a CSV file."""
    with pytest.raises(ValueError, match=r"r\.dat cannot be read: .*Expected 4 columns, got 2"):
        read_separated(put(tmp_path / "r.dat", "1\t2\n"), COLUMNS, "\t")
