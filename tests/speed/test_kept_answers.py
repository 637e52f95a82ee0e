"""What a comparison of speeds keeps of an interrupted run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "speed" / "kept_answers.py"
Answers = runpy.run_path(str(FILE))["Answers"]
SCRIPT = """
import json, pathlib, sys
asked = json.loads(pathlib.Path(sys.argv[1]).read_text())
times = pathlib.Path(asked["data"]).with_name("times")
times.write_text(times.read_text() + "x" if times.is_file() else "x")
if asked["batch"] < 0:
    sys.exit("no such batch")
print("a word before")
print(json.dumps({"seconds": asked["batch"] / 2}))
"""


@pytest.fixture
def there(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("a = 1")
    (tmp_path / "peer.py").write_text(SCRIPT)
    return {"script": tmp_path / "peer.py", "data": tmp_path / "rows.csv"}


def answers(there: dict[str, Any], machine: str = "here") -> Any:
    folder = there["data"].parent
    return Answers(folder / "out" / "answers.json", machine=machine, sources=(folder / "code",))


def ask(asked: Any, there: dict[str, Any], batch: int = 8, turn: int = 0) -> float:
    return float(asked.ask(sys.executable, there["script"], {"batch": batch}, data=there["data"], turn=turn)["seconds"])


def asked_times(there: dict[str, Any]) -> int:
    return len(there["data"].with_name("times").read_text())


def test_a_second_run_asks_only_for_what_is_not_there(there: dict[str, Any]) -> None:
    first = answers(there)
    assert [ask(first, there), ask(first, there, turn=1), ask(first, there, batch=4)] == [4.0, 4.0, 2.0]
    assert (first.said, asked_times(there)) == (0, 3)
    again = answers(there)
    assert [ask(again, there), ask(again, there, turn=1), ask(again, there, batch=4), ask(again, there, turn=2)] == [4.0, 4.0, 2.0, 4.0]
    assert (again.said, asked_times(there)) == (3, 4)


def test_answers_of_other_code_or_another_machine_are_not_taken(there: dict[str, Any]) -> None:
    ask(answers(there), there)
    ask(answers(there, machine="there"), there)
    (there["data"].parent / "code" / "a.py").write_text("a = 2")
    ask(answers(there), there)
    assert asked_times(there) == 3


def test_a_run_killed_while_it_writes_leaves_what_was_there(there: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = answers(there)
    ask(first, there)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ask(first, there, turn=1)
    again = answers(there)
    assert [ask(again, there), ask(again, there, turn=1)] == [4.0, 4.0]
    assert (again.said, asked_times(there)) == (1, 3)


def test_a_script_that_fails_is_named_with_its_complaint_and_leaves_nothing(there: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"peer\.py .*-1.* failed:\nno such batch"):
        ask(answers(there), there, batch=-1)
    assert not (there["data"].parent / "out").exists()
