"""Overrides by hand, and what is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recpref.overrides import chosen


def test_overrides_by_hand() -> None:
    """The last of one key wins; a value may hold an equals sign; what it means is not looked at."""
    assert chosen(["model=sasrec", "model.d_model=64", "model.d_model=128", "data=a=b.csv"]) == {
        "model": "sasrec",
        "model.d_model": "128",
        "data": "a=b.csv",
    }
    assert chosen([]) == {}


@pytest.mark.parametrize("text", ["verbose", "=3", "+model=x", "~model=x", ""])
def test_what_is_no_override(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form key=value"):
        chosen([text])


def test_the_home_folder_is_known_to_every_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves ``out=~/recs.csv`` as it is; a lone ~ separates columns, and one inside a name is a character."""
    monkeypatch.setenv("HOME", "/home/ada")
    said = ["data=~/clicks.csv", "out=~/a=b~/c", "data.separator=~", "run=runs/~/x", "data.user=~who", "start=~nobody-is-called-so/x"]
    assert chosen(said) == {
        "data": "/home/ada/clicks.csv",
        "out": "/home/ada/a=b~/c",
        "data.separator": "~",
        "run": "runs/~/x",
        "data.user": "~who",
        "start": "~nobody-is-called-so/x",
    }


def test_nothing_is_interpolated() -> None:
    with pytest.raises(ValueError, match="values are not interpolated"):
        chosen(["out=${oc.env:HOME}"])


@pytest.mark.parametrize("key", ["out", "data", "resume"])
def test_what_is_not_utf8_is_refused_before_any_work(key: str) -> None:
    """A file's name of another encoding: what is written of a run could not say it."""
    path = b"runs/caf\xe9".decode(errors="surrogateescape")  # as Python hands over what stands on the command line
    with pytest.raises(ValueError, match=rf"'{key}=runs/caf\\udce9' is not UTF-8; rename"):
        chosen([f"{key}={path}"])
    assert chosen([f"{key}=runs/caf\xe9"]) == {key: "runs/caf\xe9"}


def test_nothing_heavy_is_imported_for_them() -> None:
    """Nor for a suite, until its first run has begun."""
    code = "import sys, recpref.leaderboard.pool, recpref.benchmark; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
