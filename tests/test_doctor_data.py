"""python -m recpref.doctor data=...: a file checked without training, and bad ones refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recpref import console
from recpref.doctor import doctor


def test_a_file_is_checked_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.csv"
    path.write_text("who,asin,date\n007,a,2020-01-01\n007,b,2020-01-02\n8,a,2020-01-01\n")
    doctor([f"data={path}", "data.user=who"])
    text = capsys.readouterr().out
    assert "my: 3 rows read\ncolumns: user=who, item=asin (guessed), time=date (guessed)\n" in text
    for part in ("users", "tied neighbours", "too short for leave-one-out", "2020-01-01 to 2020-01-02", "beware: "):
        assert part in text
    assert list(tmp_path.iterdir()) == [path]


def test_a_split_that_is_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.csv").write_text("user,item,ts,split\n1,a,1,train\n1,b,2,train\n1,c,3,test\n")
    doctor([f"data={tmp_path}/my.csv"])
    assert "beware: the data has a column 'split' (train, test) that split=leave_one_out does not use; split=given does" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("a,b\n1,2\n", [], "no column looks like the user; it has 'a', 'b'; say data.user=NAME"),
        ("user,item\n1,2\n", ["data.item=what"], "has no column 'what'"),
        ("user,item\n1,2\n", ["data.duplicates=some"], "data.duplicates"),
        ("user,item\n1,2\n", ["data.ties=some"], "data.ties"),
        ("user,item\n1,2\n", ["model=sasrec"], "model: the doctor takes data=... and data.OPTION=..., or nothing"),
        ("user,item,ts\n1,2,-4\n", [], "time column 'ts', row 0: -4 is negative"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, options: list[str], says: str
) -> None:
    (tmp_path / "a.csv").write_text(content)
    monkeypatch.setattr(sys, "argv", ["doctor", f"data={tmp_path / 'a.csv'}", *options])
    with pytest.raises(SystemExit) as caught:
        console.main(doctor)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
