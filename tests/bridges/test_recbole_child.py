"""RecBole's side of the bridge: an old Python can read it, it mends numpy, and it finds RecBole and not our bridge."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from recpref.bridges.recbole import CHILD

SOURCE = CHILD.read_text()


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *code.split("\0")], capture_output=True, text=True, env={**os.environ, **environment})


def test_python_3_8_can_read_it() -> None:
    """RecBole is at home there: no newer syntax, and annotations stay texts."""
    tree = ast.parse(SOURCE, feature_version=(3, 8))
    assert "from __future__ import annotations" in SOURCE
    words = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert "strict" not in words  # of zip, from 3.10 on


def test_it_needs_nothing_of_recpref_and_nothing_but_the_standard_library_at_first() -> None:
    tree = ast.parse(SOURCE)
    everywhere = {name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in [(node.module or "").split(".")[0]]}
    everywhere |= {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert everywhere <= {*sys.stdlib_module_names, "numpy", "pandas", "scipy", "torch", "yaml", "recbole"}
    first = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert first <= sys.stdlib_module_names


def test_it_gives_numpy_the_names_that_recbole_uses() -> None:
    code = (
        f"import runpy; runpy.run_path({str(CHILD)!r})['mend_numpy'](); import numpy as np; "
        "assert np.float_ is np.float64 and np.complex_ is np.complex128 and np.unicode_ is np.str_ and np.float is float"
    )
    done = run(f"-c\0{code}")
    assert done.returncode == 0, done.stderr


def test_it_lists_the_models_of_a_recbole_that_it_finds(tmp_path: Path) -> None:
    """A package of that name with a model of each family; classes that are only imported there are none of its models."""
    files = {
        "__init__.py": "",
        "model/__init__.py": "",
        "model/abstract_recommender.py": "class AbstractRecommender: pass\n",
        "model/general_recommender/pop.py": "from recbole.model.abstract_recommender import AbstractRecommender as A\nclass Pop(A): pass\n",
        "model/general_recommender/__init__.py": "from recbole.model.general_recommender.pop import Pop, A\n",
        "model/sequential_recommender/__init__.py": "from recbole.model.sequential_recommender.gru4rec import GRU4Rec\n",
        "model/sequential_recommender/gru4rec.py": (
            "from recbole.model.abstract_recommender import AbstractRecommender as A\nclass GRU4Rec(A): pass\nclass Part(A): pass\n"
        ),
    }
    for name, content in files.items():
        path = tmp_path / "recbole" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    done = run(f"{CHILD}\0models", PYTHONPATH=str(tmp_path))
    assert done.stdout.strip() == '{"Pop": "general", "GRU4Rec": "sequential"}', done.stderr


def test_it_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    """Its RecBole takes a minute to import; the standard input that the bridge holds open ends before."""
    (tmp_path / "recbole").mkdir()
    (tmp_path / "recbole" / "__init__.py").write_text("import sys, time; print('imported', file=sys.stderr, flush=True); time.sleep(60)")
    command, environment = [sys.executable, str(CHILD), "train", str(tmp_path)], {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"imported\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=20) == 1
