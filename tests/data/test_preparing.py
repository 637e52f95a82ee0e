"""Preparing: whatever the file, the size of what is read at a time and of the buckets, the result is that of reading it whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.data.asked import Asked
from recpref.data.audit import checked
from recpref.data.batches import Batches, Loader
from recpref.data.cards import open_data
from recpref.data.examples.next_item import NextItem
from recpref.data.interactions import Interactions
from recpref.data.preparing import prepare
from recpref.data.splits.leave_one_out import LeaveOneOut

RNG = np.random.default_rng(0)
N = 400
SECONDS = RNG.integers(10**9, 10**9 + 30, N)  # many ties
USERS = {
    "texts": [f"u{n}" for n in RNG.integers(1, 30, N)],
    "numbers as texts": [str(n) for n in RNG.integers(1, 30, N)],
    "integers": RNG.integers(1, 30, N, dtype=np.int32),
    "far apart": RNG.integers(1, 30, N) * 10**15,
}
TIMES = {
    "seconds": SECONDS,
    "milliseconds": SECONDS * 1000 + RNG.integers(0, 2, N),
    "fractions": SECONDS + RNG.integers(0, 4, N) / 4,
    "one fraction": SECONDS + (np.arange(N) == N - 1) / 2,
    "order": np.arange(N)[::-1] // 3,
    "order of fractions": np.arange(N)[::-1] / 3,
    "dates": pd.to_datetime(SECONDS, unit="s"),
    "texts": [str(moment) for moment in pd.to_datetime(SECONDS, unit="s").strftime("%Y-%m-%dT%H:%M:%S")],
}


def frame(users: str = "integers", times: str | None = "seconds") -> pd.DataFrame:
    whole = pd.DataFrame({"user_id": USERS[users], "item_id": RNG.integers(-9, 60, N)})
    return whole if times is None else whole.assign(timestamp=TIMES[times])


def written(data: pd.DataFrame, file: Path) -> Path:
    data.to_parquet(file, row_group_size=64) if file.suffix == ".parquet" else data.to_csv(file, index=False)
    return file


def same(one: Interactions, other: Interactions) -> None:
    assert one.digest == other.digest
    assert Interactions.digest.func(one) == one.digest  # what the store remembers is what its arrays give
    for name in ("user", "item", "time", "fraction", "offsets", "item_counts"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None and theirs is None) or (mine.dtype == theirs.dtype and mine.tolist() == theirs.tolist()), name
    for mine, theirs in ((one.users, other.users), (one.items, other.items)):
        assert mine.ids.dtype == theirs.ids.dtype
        assert mine.ids.tolist() == theirs.ids.tolist()
    assert (one.clock, one.columns, one.name) == (other.clock, other.columns, other.name)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("users", list(USERS))
def test_ids_of_every_kind(tmp_path: Path, suffix: str, users: str) -> None:
    file = written(frame(users), tmp_path / f"a.{suffix}")
    same(prepare(file, tmp_path / "store", rows=50, bucket=30), open_data(str(file)))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("times", [*TIMES, None])
def test_times_of_every_kind(tmp_path: Path, suffix: str, times: str | None) -> None:
    file = written(frame(times=times), tmp_path / f"a.{suffix}")
    same(prepare(file, tmp_path / "store", rows=50, bucket=30), open_data(str(file)))


@pytest.mark.parametrize(("rows", "bucket"), [(1, 1), (7, 100), (10**6, 10**6)])
def test_sizes_do_not_matter(tmp_path: Path, rows: int, bucket: int) -> None:
    file = written(frame("texts"), tmp_path / "a.parquet")
    found = prepare(file, tmp_path / "store", rows=rows, bucket=bucket)
    same(found, Interactions.from_file(file, user="user_id", item="item_id", time="timestamp"))
    assert sorted(file.name for file in (tmp_path / "store").iterdir()) == sorted(
        ["item.npy", "item_counts.npy", "items.parquet", "offsets.npy", "store.json", "time.npy", "user.npy", "users.parquet"]
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_missing_times(tmp_path: Path, suffix: str) -> None:
    """Dropped, or refused with the same words."""
    data = frame()
    data["timestamp"] = data["timestamp"].astype("Int64").mask(np.arange(N) % 7 == 3)
    file = written(data, tmp_path / f"a.{suffix}")
    found = prepare(file, tmp_path / "store", Asked(missing_time="drop"), rows=50, bucket=30)
    same(found, open_data(str(file), missing_time="drop"))
    assert found.report[0] == "a: 400 rows read"
    assert "missing_time=drop: 57 of 400 rows have no time and were dropped" in found.report
    message = r"'timestamp' has missing values, the first in row 3 \(57 in all\)"
    for attempt in (lambda: prepare(file, tmp_path / "no", rows=50), lambda: open_data(str(file))):
        with pytest.raises(ValueError, match=message):
            attempt()
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp": -1}, r"'timestamp', row 333: -1 is negative"),
        ({"timestamp": 10**8 - 1}, r"mixes units: row 333 holds 99999999 and row \d+ holds"),
        ({"timestamp": 10**12}, r"mixes units: row 0 holds .* and row 333 holds 1000000000000 \(milliseconds"),
        ({"timestamp": 10**9 * 9}, r"row 333: 9000000000 lies in the future"),
        ({"user_id": None}, r"column 'user_id' has 1 missing ids, the first in row 333"),
    ],
)
def test_errors_are_those_of_reading_it_whole(tmp_path: Path, change: dict, message: str) -> None:
    data = frame()
    for name, value in change.items():
        data[name] = data[name].astype("Int64")
        data.loc[333, name] = value
    file = written(data, tmp_path / "a.parquet")
    errors = []
    for attempt in (lambda: prepare(file, tmp_path / "store", rows=50), lambda: open_data(str(file))):
        with pytest.raises(ValueError, match=message) as error:
            attempt()
        errors.append(str(error.value))
    assert errors[0] == errors[1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_shards_by_user_as_spark_writes_them(tmp_path: Path) -> None:
    """Each user in one file, rows in any order within it: the same data as one file of all of them, and of the folder read whole."""
    data = frame("texts", "seconds").drop_duplicates(["user_id", "timestamp"])  # ties would be in the order of the files
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    shard = data.user_id.str[1:].astype(int) % 11
    for number, part in data.groupby(shard):
        part.sample(frac=1, random_state=number).to_parquet(folder / f"part-{number:05d}-3f0a.c000.snappy.parquet")
    found = prepare(folder, tmp_path / "store", rows=50, bucket=30)
    same(found, open_data(str(folder)))
    assert found.report[0].endswith("rows read from 11 files")
    assert found.digest == Interactions.from_dataframe(data).digest


def test_what_cannot_be_streamed_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    frame().to_json(file, orient="records", lines=True)
    same(prepare(file, tmp_path / "store"), open_data(str(file)))


def test_features_come_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    written(frame(), tmp_path / "in" / "interactions.parquet")
    pd.DataFrame({"item_id": [1, 2], "title": ["one", "two"]}).to_csv(tmp_path / "in" / "items.csv", index=False)
    found = prepare(tmp_path / "in", tmp_path / "store")
    assert found.items.features["title"].dropna().tolist() == ["one", "two"]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        prepare(tmp_path / "nothing.parquet", tmp_path / "store")
    for name in ("train", "test"):
        written(frame(), tmp_path / f"{name}.csv")
    with pytest.raises(ValueError, match=r"holds several splits \(train, test\)"):
        prepare(tmp_path, tmp_path / "store")


def test_split_audit_and_batches_of_a_store(tmp_path: Path) -> None:
    """What follows does not know that the arrays are mapped: the same training rows, the same audit, the same first batch."""
    file = written(frame("texts"), tmp_path / "a.parquet")
    mapped, read = prepare(file, tmp_path / "store", rows=50, bucket=30), open_data(str(file))
    one, other = LeaveOneOut()(mapped), LeaveOneOut()(read)
    same_items = [split.train.item.tolist() for split in (one, other)]
    assert same_items[0] == same_items[1]
    assert checked(one, mapped) == checked(other, read)
    for train in ((one.train, other.train), (mapped, read)):
        first = [next(iter(Batches(rows, NextItem(5), Loader(batch_size=4), seed=1, place=lambda: (0, 0)))) for rows in train]
        assert first[0].history.items.tolist() == first[1].history.items.tolist()
