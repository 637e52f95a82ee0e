"""Where and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from recpref.runs import environment as module
from recpref.runs.environment import PACKAGES, commit, environment, version


def test_it_tells_the_truth_about_this_machine() -> None:
    """Against the standard library and torch."""
    found = environment()
    assert found["python"] == platform.python_version()
    assert (found["cores"], found["threads"]) == (os.cpu_count(), torch.get_num_threads())
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert set(found["packages"]) == set(PACKAGES)
    assert datetime.now(UTC) - datetime.fromisoformat(found["when"]) < timedelta(minutes=1)
    assert 50 < found["peak_memory_mib"] < 1e6  # torch alone takes more than 50 MiB
    assert len(found["load"]) == 3
    assert found["device"]


def test_a_gpu_is_named_by_what_trained_on_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there and was not asked is none of a run's; lists are made on the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some GPU")
    processor = platform.processor() or platform.machine()
    assert {name: environment(name)["device"] for name in ("cpu", "auto", "gpu", "cuda", None)} == {
        "cpu": processor, "auto": "some GPU", "gpu": "some GPU", "cuda": "some GPU", None: "some GPU"
    }  # fmt: skip
    assert environment("gpu")["recommended_on"] == environment()["device"] == processor


def test_it_is_json() -> None:
    """What is written is what was found."""
    found = environment()
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_there_has_no_version() -> None:
    """None instead of an error."""
    assert version("no-such-package-of-anybody") is None
    assert version("numpy") == importlib.metadata.version("numpy")


def test_a_commit_is_forty_digits_or_none() -> None:
    """With a plus where the checkout has been changed."""
    found = commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{40}\+?", found)


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an installed package there is no .git; a repository further up is none of ours."""
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "recpref" / "runs" / "environment.py"))
    (tmp_path / ".git").mkdir()
    assert commit() is None


def git(folder: Path, *arguments: str) -> str:
    """Runs git in a repository of our own making."""
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_changed_checkout_has_a_plus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit as git says it, then with a plus."""
    (tmp_path / "recpref").mkdir()
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "recpref" / "runs" / "environment.py"))
    assert commit() == git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "new").write_text("x")
    assert commit() == git(tmp_path, "rev-parse", "HEAD") + "+"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program, and a folder that only looks like a repository."""
    (tmp_path / "recpref").mkdir()
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "recpref" / "runs" / "environment.py"))

    def nowhere(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", nowhere)
    assert commit() is None
