"""python -m recpref.prepare: a store in one command, or one line and nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recpref.data import cards
from recpref.data.cards import open_data
from recpref.prepare import prepare


@pytest.fixture
def csv(tmp_path: Path) -> str:
    (tmp_path / "my.csv").write_text("who;what;when\na;x;3\na;y;\nb;x;1\n")
    return str(tmp_path / "my.csv")


def test_a_store_in_one_command(csv: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["data.user=who", "data.item=what", "data.time=when", "data.missing_time=drop", "data.separator=semicolon"]
    prepare([f"data={csv}", f"out={tmp_path}/store", *how])
    printed = capsys.readouterr().out
    assert "missing_time=drop: 1 of 3 rows have no time and were dropped" in printed
    assert f"2 interactions of 2 users and 1 items in {tmp_path}/store" in printed
    data = open_data(f"{tmp_path}/store")
    assert data.users.ids.tolist() == ["a", "b"]
    assert data.time.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "data= is missing; say python -m recpref.prepare data=big.parquet out=store/"),
        (["data=a.csv"], "out= is missing"),
        (["data=a.csv", "out=s", "dat.user=x"], "unknown option 'dat.user'"),
        (["data=a.csv", "out=s", "data.k_core=5"], "data.k_core is said where the store is used: .*data=s data.k_core="),
        (["data=a.csv", "out=s", "data.missing_time=keep"], "unknown data.missing_time 'keep'"),
        (["data=a.csv", "out=s", "--fast"], "unknown switch --fast"),
    ],
)
def test_what_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(arguments)


@pytest.mark.parametrize("data", ["nowhere.csv", "ml_100k"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(data: str, read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the data are read, and so before it is seen that there are none."""
    monkeypatch.setattr(cards, "open_data", lambda *_, **__: pytest.fail("the data were read"))
    for out in (read_only / "store", read_only / "new" / "store"):
        with pytest.raises(PermissionError, match=f"{out.parent} cannot be written to; say out=FOLDER"):
            prepare([f"data={data}", f"out={out}"])


@pytest.mark.parametrize("data", ["nowhere.csv", "ml_100k"])
def test_what_stands_there_is_seen_before_the_work(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, under which or in whose place a folder is to be made."""
    monkeypatch.setattr(cards, "open_data", lambda *_, **__: pytest.fail("the data were read"))
    (tmp_path / "file").write_text("content")
    for out, error, message in (("file", ValueError, "exists and is no store"), ("file/store", PermissionError, "say out=FOLDER")):
        with pytest.raises(error, match=message):
            prepare([f"data={data}", f"out={tmp_path}/{out}"])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    prepare(["--help"])
    printed = capsys.readouterr().out
    for word in ("python -m recpref.prepare", "data.user=", "missing_time=", "out=", "Spark"):
        assert word in printed


def test_an_error_is_one_line(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "recpref.prepare", f"data={tmp_path}/none.parquet", f"out={tmp_path}/store"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: no such file or folder: {tmp_path}/none.parquet\n"
