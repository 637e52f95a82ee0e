"""Opening: the report says what was read, guessed, dropped and by which rule; bad files are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recpref.data.cards import open_data

T = 1_600_000_000
CSV = f"user,item,ts,rating\n1,a,{T},5\n1,b,{T + 1},2\n1,a,{T + 2},1\n2,a,{T},4\n2,b,,4\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "my.csv").write_text(CSV)
    return str(tmp_path / "my.csv")


def test_the_report_tells_every_rule(path: str) -> None:
    data = open_data(path, missing_time="drop", duplicates="last", min_rating=2)
    assert data.report == (
        "my: 5 rows read",
        "columns: user=user (guessed), item=item (guessed), time=ts (guessed); kept beside them: rating",
        "missing_time=drop: 1 of 5 rows have no time and were dropped",
        "times: seconds since 1970",
        "duplicates=last: 1 of 4 rows dropped, 0 users and 0 items with them",
        "columns: rating=rating (guessed)",
        "min_rating=2: 1 of 3 rows dropped, 0 users and 0 items with them",
    )
    assert data.items.originals(data.item).tolist() == ["b", "a"]


def test_a_missing_time_names_the_ways_out(path: str) -> None:
    with pytest.raises(ValueError, match=r"'ts' has missing values, the first in row 4 .*data\.missing_time=drop .*data\.time=none"):
        open_data(path)
    assert open_data(path, time="none").clock == "none"


def test_no_time_at_all_is_not_dropped_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,ts\n1,2,\n")
    with pytest.raises(ValueError, match="no row has a time in column 'ts'"):
        open_data(str(tmp_path / "a.csv"), missing_time="drop")


def test_half_a_parquet_file(tmp_path: Path) -> None:
    pd.DataFrame({"user": range(1000), "item": range(1000)}).to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for n in (len(content) // 2, len(content) - 5, 3):
        (tmp_path / "a.parquet").write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"a\.parquet cannot be read"):
            open_data(str(tmp_path / "a.parquet"))


def test_text_ids_of_parquet_stay_texts(tmp_path: Path) -> None:
    pd.DataFrame({"user": ["1", "2"], "item": ["10", "9"]}).to_parquet(tmp_path / "a.parquet")
    assert open_data(str(tmp_path / "a.parquet")).items.ids.tolist() == ["10", "9"]


def test_a_strangers_file(tmp_path: Path) -> None:
    """Other names of columns, ISO dates, semicolons."""
    (tmp_path / "s.csv").write_text(
        "player;game;played on;words\nzoe;Half-Life;2021-03-01;great\nzoe;Portal;2020-03-01T10:00:00+02:00;ok\n"
    )
    data = open_data(str(tmp_path / "s.csv"), user="player", item="game", time="played on")
    assert data.items.originals(data.item).tolist() == ["Portal", "Half-Life"]
    assert data.clock == "seconds"
