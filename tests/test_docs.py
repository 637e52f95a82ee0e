"""Every training command of the README and the documents runs as it is written, on a small file and for one epoch; links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.composition.compose import compose
from recpref.train import train

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^python -m recpref\.train (.*)$", re.MULTILINE)
ELSEWHERE = (
    "--help",
    "resume=",
    "mine:",
    "model=recbole",
    "trainer.devices",
    "store/",
    "\\",
)  # need what is not here; have tests of their own
COUNTS = ("model=ease", "model=nbpo_mf")  # no epochs of Lightning's


def commands() -> list[str]:
    found = [line for page in PAGES for line in COMMAND.findall(page.read_text())]
    return list(dict.fromkeys(line for line in found if not any(word in line for word in ELSEWHERE)))


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty users who walk through 120 items, with times, ratings, and somebody's split."""
    rng = np.random.default_rng(0)
    rows = [(user, (7 * user + 3 * t + rng.integers(3)) % 120, 1_700_000_000 + 1000 * t + user) for user in range(60) for t in range(12)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    frame["rating"] = 4 + frame.index % 2
    frame["split"] = np.where(frame.index % 12 < 10, "train", np.where(frame.index % 12 < 11, "valid", "test"))
    path = tmp_path_factory.mktemp("data") / "clicks.csv"
    frame.to_csv(path, index=False)
    return path


def test_there_are_commands() -> None:
    """The search finds them: so many, of each page that has some."""
    assert len(commands()) >= 15


@pytest.mark.parametrize("command", commands())
def test_a_training_command_runs(
    command: str, clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its own options, but for the data, the length of training, and filters that so small a file does not survive."""
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(command, comments=True) if not word.startswith(("data=", "data.", "split.valid_users"))]
    if "--cfg" not in words and not any(word in COUNTS for word in words):
        words.append("trainer.max_epochs=1")
    train([*words, f"data={clicks}"])
    printed = capsys.readouterr().out
    assert ("model:" if "--cfg" in words else "saved in runs/") in printed


def test_ada_retrieval_and_its_control_start_from_the_same_run() -> None:
    """As the page says of the two lines."""
    section = (ROOT / "docs" / "rounds.md").read_text().partition("## The control")[2]
    ada, control = (compose(shlex.split(line, comments=True)) for line in COMMAND.findall(section))
    assert (ada.model.name, control.model.name) == ("ada_retrieval", "sasrec")
    assert ada.before is not None
    assert control.before is not None
    assert ada.before.content == control.before.content
    assert ada.stopping["k"] == control.stopping["k"] > ada.model.options["per_round"]


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file that is there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
