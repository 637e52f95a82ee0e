"""The README's own-data section works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recpref

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def clicks(tmp_path, monkeypatch):
    """A stranger's file: other column names, string ids, ISO dates."""
    rng = np.random.default_rng(0)
    rows = [
        (f"user-{u}", f"item-{(u + i) % 15:02d}", f"2026-01-{1 + i:02d}T0{u % 9}:00:00")
        for u in range(40)
        for i in range(rng.integers(4, 12))
    ]
    pd.DataFrame(rows, columns=["who", "what", "when"]).to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_two_commands_open_the_readme():
    assert re.findall(r"^make \w+", blocks("bash")[0], re.MULTILINE) == ["make train", "make test"]
    makefile = (README.parent / "Makefile").read_text()
    assert re.search(r"^train:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)


def test_the_python_block_runs(clicks, capsys):
    (code,) = blocks("python")
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert list(names["recommendations"].columns) == ["user", "item", "rank", "score"]
    assert names["recommendations"]["user"].nunique() == 40
    assert "40 users, 15 items" in capsys.readouterr().out


OWN = README.parent / "docs" / "own_parts.md"


def test_own_parts_run_as_they_are_written(clicks, monkeypatch, capsys):
    """The model and the loss are saved under the name that the page gives, and its command and its Python block run."""
    from recpref.train import train

    frame = pd.read_csv("clicks.csv")
    frame.assign(when=1_767_225_600 + frame.groupby("who").cumcount() // 3).to_csv(
        "clicks.csv", index=False
    )  # three rows of a user share one
    text = OWN.read_text()
    (module,) = re.findall(r"```python mine\.py\n(.*?)```", text, re.DOTALL)
    (clicks / "mine.py").write_text(module)
    monkeypatch.syspath_prepend(str(clicks))
    (command,) = re.findall(r"```bash\npython -m recpref\.train (.*?)\n```", text)
    train([*shlex.split(command), "trainer.max_epochs=2"])
    path = re.search(r"saved in (\S+Mean\S+)", capsys.readouterr().out).group(1)
    assert recpref.load(path, trust="mine:Mean").metrics["train/epochs"] == 2
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(compile(code, OWN.name, "exec"), names)
    assert names["report"].means["ndcg@10"] == pytest.approx(names["run"].metrics["test/ndcg@10"])
    assert names["report"].means["ndcg@10"] > 0


def test_the_command_for_own_data_runs(clicks, capsys):
    from recpref.recommend import recommend
    from recpref.train import train

    (line,) = [line for block in blocks("bash") for line in block.splitlines() if "data=clicks.csv" in line]
    train([*shlex.split(line)[3:], "trainer.max_epochs=2"])
    printed = capsys.readouterr().out
    assert "popular" in printed
    run = re.search(r"saved in (\S+sasrec\S+)", printed).group(1)
    recommend([f"run={run}", "out=recs.parquet", "k=3"])
    assert len(pd.read_parquet("recs.parquet")) == 120


def test_every_verb_the_readme_names_exists():
    verbs = set(re.findall(r"python -m recpref\.([a-z]\w*)", README.read_text()))
    assert verbs >= {"train", "recommend", "doctor"}
    assert all((README.parent / "recpref" / f"{verb}.py").is_file() for verb in verbs)


def test_every_file_in_the_tree_exists():
    (tree,) = [block for block in README.read_text().split("```")[1::2] if block.startswith("\nrecpref/")]
    for name in re.findall(r"\b(\w+\.py)\b", tree):
        assert (README.parent / "recpref" / name).is_file(), name
