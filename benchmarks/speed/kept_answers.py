"""What the toolkits' scripts answered, kept in a file, so that a comparison that was interrupted asks only for what is not there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def code(folders: tuple[Path, ...]) -> str:
    """A digest of all Python files in ``folders``."""
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:12]


class Answers:
    """Asks scripts, each in its own Python, and keeps what they say: in ``file``, which is whole at any time.

    ``machine`` and the ``sources`` of what is measured say where and by which code: an answer of other code is not taken for one of
    this. ``said`` counts the answers that were there already.
    """

    def __init__(self, file: Path, *, machine: str, sources: tuple[Path, ...]) -> None:
        self.file = file
        self.here = {"machine": machine, "code": code(sources)}
        self.kept: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []
        self.said = 0

    def ask(self, python: str, script: Path, asked: dict[str, Any], *, data: Path, turn: int = 0) -> dict[str, Any]:
        """What ``script`` says of ``asked`` and the rows in ``data``, the ``turn``-th time. Exits with its complaint where it fails."""
        of = {**self.here, "script": script.name, **asked, "turn": turn}
        for kept in self.kept:
            if kept["of"] == of:
                self.said += 1
                return dict(kept["answer"])
        path = data.parent / "asked.json"
        path.write_text(json.dumps({**asked, "data": str(data)}))
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        done = subprocess.run([python, str(script), str(path)], capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(f"{python} {script} {json.dumps(asked)} failed:\n{done.stderr[-2000:]}")
        answer = dict(json.loads(done.stdout.splitlines()[-1]))
        self.kept.append({"of": of, "answer": answer})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        written = self.file.with_suffix(".partial")
        written.write_text(json.dumps(self.kept, indent=1))
        written.replace(self.file)
        return answer
