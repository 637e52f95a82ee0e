"""Folders: train, valid and test files, Hugging Face data sets, MovieLens's own names; and what is incomplete or ambiguous."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest

from recpref import components
from recpref.data.cards import open_data
from recpref.data.forms import form_of

TRAIN, VALID, TEST = "user_id,item_id\n1,a\n1,b\n2,a\n", "user_id,item_id\n1,c\n", "user_id,item_id\n1,d\n2,b\n"


def put(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


@pytest.mark.parametrize("valid", ["valid", "validation", "val", "dev"])
def test_three_files_are_a_given_split(tmp_path: Path, valid: str) -> None:
    data = open_data(str(put(tmp_path / "d", train__csv=TRAIN, **{f"{valid}__csv": VALID}, test__csv=TEST)))
    split = components.find("split", "given")()(data)
    assert [len(rows) for rows in (split.train, split.valid.targets, split.test.targets)] == [3, 1, 2]
    assert data.report[0].endswith("d: 6 rows read from 3 files")


def test_lists_of_items_a_user_are_a_given_split(tmp_path: Path) -> None:
    """As NBPO's: user 1 has nothing to test."""
    folder = put(tmp_path / "d", train_data__json="[[5, 6], [7]]", validation_data__json="[[7], []]", test_data__json="[[8], []]")
    data = open_data(str(folder))
    assert data.users.ids.tolist() == [0, 1]
    assert data.extra is not None
    assert data.extra["split"].tolist() == ["train", "train", "valid", "test", "train"]


def test_recboles_benchmark_files(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\n"
    folder = put(
        tmp_path / "d", d__train__inter=head + "1\ta\n", d__test__inter=head + "1\tb\n", d__item="item_id:token\ttitle:token\na\tA\nb\tB\n"
    )
    data = open_data(str(folder))
    assert data.extra is not None
    assert data.extra["split"].tolist() == ["train", "test"]
    assert data.items.features is not None
    assert data.items.features["title"].tolist() == ["A", "B"]


def shards(folder: Path, split: str, n: int, of: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(n):
        frame = pd.DataFrame({"user_id": ["u"], "item_id": [f"{split}{shard}"], "timestamp": [1_600_000_000_000 + shard]})
        frame.to_parquet(folder / f"{split}-{shard:05}-of-{of:05}.parquet")


@pytest.mark.parametrize("inside", ["", "data"])
def test_parquet_shards(tmp_path: Path, inside: str) -> None:
    shards(tmp_path / inside, "train", 2, 2)
    data = open_data(str(tmp_path))
    assert (len(data), data.extra, data.clock) == (2, None, "seconds")
    shards(tmp_path / inside, "validation", 1, 1)
    data = open_data(str(tmp_path))
    assert data.extra is not None
    assert sorted(data.extra["split"]) == ["train", "train", "valid"]


def test_a_missing_shard_is_counted(tmp_path: Path) -> None:
    shards(tmp_path, "train", 2, 3)
    with pytest.raises(ValueError, match="train has 2 of 3 shards; the download is not complete"):
        open_data(str(tmp_path))


def test_shards_of_any_name(tmp_path: Path) -> None:
    """Spark's, with what it leaves beside them; in the order of their numbers, and not among what describes items."""
    for number in (10, 9):
        frame = pd.DataFrame({"user_id": [number], "item_id": [1]})
        frame.to_parquet(tmp_path / f"part-{number}-9c1e.c000.snappy.parquet")
    (tmp_path / "_SUCCESS").touch()
    pd.DataFrame({"item_id": [1], "title": ["one"]}).to_parquet(tmp_path / "items.parquet")
    form = form_of(tmp_path)
    assert [file.name[:7] for file in form.files] == ["part-9-", "part-10"]
    assert form.items == tmp_path / "items.parquet"


def saved(folder: Path, items: list[str]) -> Path:
    """What ``datasets.Dataset.save_to_disk`` writes."""
    folder.mkdir(parents=True)
    table = pa.table({"user_id": [1] * len(items), "item_id": items})
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return folder


def test_save_to_disk(tmp_path: Path) -> None:
    assert open_data(str(saved(tmp_path / "one", ["a", "b"]))).items.ids.tolist() == ["a", "b"]
    saved(tmp_path / "two" / "train", ["a", "b"])
    saved(tmp_path / "two" / "test", ["c"])
    (tmp_path / "two" / "dataset_dict.json").write_text('{"splits": ["test", "train"]}')
    data = open_data(str(tmp_path / "two"))
    assert data.extra is not None
    assert data.extra["split"].tolist() == ["train", "train", "test"]
    (tmp_path / "two" / "test" / "state.json").unlink()
    with pytest.raises(ValueError, match="test is no complete data set of save_to_disk"):
        open_data(str(tmp_path / "two"))


def test_movielens_as_it_is_unpacked(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "ml", ratings__csv="userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n", movies__csv="movieId,title\n2,Two\n"
    )
    data = open_data(str(folder))
    assert data.items.features is not None
    assert data.items.features["title"].tolist() == ["Two"]


def test_what_is_ambiguous_or_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"valid\.csv, validation\.csv could each be the valid file"):
        form_of(put(tmp_path / "a", train__csv=TRAIN, valid__csv=VALID, validation__csv=VALID, test__csv=TEST))
    with pytest.raises(ValueError, match=r"several \.inter files \(a\.inter, b\.inter\); name one of them"):
        form_of(put(tmp_path / "b", a__inter="", b__inter=""))
    with pytest.raises(FileNotFoundError, match="no interactions"):
        form_of(put(tmp_path / "c", train__csv=TRAIN))
    with pytest.raises(FileNotFoundError, match=r"no train and test files, .*; to read train\.jsonl alone, say data=.*/h/train\.jsonl$"):
        form_of(put(tmp_path / "h", train__jsonl='{"user_id": 1, "item_id": 2}\n', validation__jsonl="", dataset_infos__json="{}"))
    with pytest.raises(ValueError, match="both files of splits and a column 'split'"):
        open_data(str(put(tmp_path / "d", train__csv="user,item,split\n1,2,x\n", test__csv="user,item,split\n1,2,x\n")))


def test_interactions_in_arrows_file_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": [1, 1, 2], "item_id": ["a", "b", "a"]})
    frame.to_feather(put(tmp_path / "d") / "interactions.arrow")
    assert len(open_data(str(tmp_path / "d"))) == 3


def test_partitions_of_spark(tmp_path: Path) -> None:
    """The files of folders ``column=value``, in their order; what is partitioned by something that is needed is refused."""
    for number in (0, 2, 10):
        place = tmp_path / "d" / f"user_bucket={number}"
        place.mkdir(parents=True)
        pd.DataFrame({"user_id": [number], "item_id": [5], "timestamp": [number]}).to_parquet(place / "part-0.parquet")
    data = open_data(str(tmp_path / "d"))
    assert data.users.ids.tolist() == [0, 2, 10]
    assert [file.parent.name for file in form_of(tmp_path / "d").files] == ["user_bucket=0", "user_bucket=2", "user_bucket=10"]
    (tmp_path / "d").rename(tmp_path / "e")
    (tmp_path / "e" / "user_bucket=0").rename(tmp_path / "e" / "user_id=0")
    with pytest.raises(ValueError, match="is partitioned by 'user_id', which is in the names of its folders"):
        form_of(tmp_path / "e")
