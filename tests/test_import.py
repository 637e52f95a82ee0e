"""Importing recpref costs nothing, touches nothing, and needs no optional package."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import recpref

ROOT = Path(recpref.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
HEAVY = {"torch", "pandas", "numpy", "pytorch_lightning", "lightning", "hydra", "hydra_zen", "omegaconf", "pyarrow", "matplotlib", "rich"}
OPTIONAL = {"transformers", "peft", "sentence_transformers", "faiss", "fastapi", "openai", "recbole", "optuna", "datasets"}
ALONE = "recbole_child.py"
PROBE = """
import sys, time
events = []
def hook(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system")):
        events.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+") and "__pycache__" not in str(arguments[0]):
        events.append(str(arguments[0]))
sys.addaudithook(hook)
start = time.perf_counter()
import recpref
seconds = time.perf_counter() - start
print(seconds, sorted(sys.modules), events, sep="\\n")
"""


def probe(code: str) -> list[str]:
    """The lines a fresh interpreter prints for ``code``."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_importing_recpref_is_free() -> None:
    """Under 0.3 s, no heavy package, no network, no process, no file written."""
    seconds, modules, events = probe(PROBE)
    assert float(seconds) < 0.3
    assert not set(ast.literal_eval(modules)) & (HEAVY | OPTIONAL)
    assert events == "[]"


def test_the_public_names_are_listed_before_they_are_loaded() -> None:
    """dir() and __all__ agree, and every name leads somewhere."""
    assert set(recpref.__all__) <= set(dir(recpref))
    for name in recpref.__all__:
        assert callable(getattr(recpref, name))
    assert recpref.__version__.count(".") == 2


def test_a_name_that_recpref_does_not_have() -> None:
    """The error lists those that it has."""
    with pytest.raises(AttributeError, match=r"recpref has no 'fitt'; it has Interactions, Run, .*fit, load"):
        _ = recpref.fitt


def imported(node: ast.AST) -> list[str]:
    """The top-level packages that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [node.module.partition(".")[0]] if isinstance(node, ast.ImportFrom) and node.module else []


def at_import(tree: ast.Module) -> list[ast.AST]:
    """The nodes that run when a module is imported: everything outside of functions."""
    found, waiting = [], list(tree.body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_optional_packages_are_imported_where_they_are_needed(source: Path) -> None:
    """Inside functions only; RecBole never, not even there, but in the script that runs in a process of its own."""
    tree = ast.parse(source.read_text())
    assert not {name for node in at_import(tree) for name in imported(node)} & OPTIONAL
    everywhere = {name for node in ast.walk(tree) for name in imported(node)}
    assert "recbole" not in everywhere or source.name == ALONE


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_script_of_another_process_is_not_imported(source: Path) -> None:
    """Its name stands in recpref as a file's only."""
    names = {node.module for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name and ALONE.removesuffix(".py") in name}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_happens_on_import_but_definitions(source: Path) -> None:
    """At the top level: a docstring, imports, assignments, definitions, and the two usual ifs."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.parse(source.read_text()).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        usual_if = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        assert docstring or usual_if or isinstance(node, allowed), f"{source}:{node.lineno}"
