"""The house rules that a machine can hold: sizes, import direction, what is never called, and a test file for every file."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import recpref

ROOT = Path(recpref.__file__).parent
TESTS = Path(__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
TREES = {source: ast.parse(source.read_text()) for source in SOURCES}
LINES = {source: len(source.read_text().splitlines()) for source in SOURCES}
LAYERS = [
    {"types", "suggest", "processes", "workplace", "plan", "overrides"},
    {"data", "losses", "samplers", "negatives", "metrics", "layers", "consumed", "facts", "beyond", "text"},
    {"bridges", "label_noise"},
    {"models", "tables", "indexing", "objectives", "alignment", "retrieval", "item_shards", "significance"},
    {"components", "preferences", "llm"},
    {"evaluation"},
    {"training"},
    {"composition"},
    {"runs"},
    {"experiment"},
    {"leaderboard"},
    {"tuning"},
    {"train", "recommend", "prepare", "doctor", "console", "tune", "benchmark"},
]
SPLITS = ("given", "global_temporal", "leave_last_n", "none", "random")
OPTIONS = ("open_data", "evaluate", "fit")  # their keyword-only parameters are options of the command line and of a protocol
NEVER = {
    "eval",
    "exec",
    "compile",
    "pickle.load",
    "pickle.loads",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.save",
    "marshal.loads",
}


def name_of(source: Path) -> str:
    """recpref/data/batches.py -> data."""
    return source.relative_to(ROOT).with_suffix("").parts[0]


def place(source: Path, node: ast.AST) -> str:
    """data/batches.py:17."""
    return f"{source.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of a kind in every source."""
    return ((source, node) for source, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kind))


def percentile(values: list[int], share: float) -> int:
    """The smallest value that at least this share does not exceed."""
    return sorted(values)[max(0, -(-int(len(values) * share * 100) // 100) - 1)]


def functions() -> dict[str, int]:
    """The length of every function, decorators left out."""
    found = nodes((ast.FunctionDef, ast.AsyncFunctionDef))
    return {f"{place(source, node)} {node.name}": node.end_lineno - node.lineno + 1 for source, node in found}


def test_files_are_short() -> None:
    """Median at most 110 lines, nine in ten at most 200, none above 300."""
    counts = [count for count in LINES.values() if count > 1]
    assert {str(source): count for source, count in LINES.items() if count > 300} == {}
    assert statistics.median(counts) <= 110
    assert percentile(counts, 0.9) <= 200


def test_functions_are_short() -> None:
    """Median at most 10 lines, nine in ten at most 30, none above 50."""
    lengths = functions()
    assert {where: length for where, length in lengths.items() if length > 50} == {}
    assert statistics.median(lengths.values()) <= 10
    assert percentile(list(lengths.values()), 0.9) <= 30


def test_functions_have_few_parameters() -> None:
    """At most eight; a constructor's keyword-only options do not count."""
    many = {}
    for source, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef)):
        options = [] if node.name == "__init__" else node.args.kwonlyargs
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *options)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > 8:
            many[f"{place(source, node)} {node.name}"] = count
    assert {where: count for where, count in many.items() if where.split()[-1] not in OPTIONS} == {}


def test_inheritance_is_one_deep() -> None:
    """A class of ours may build on another of ours only if that one builds on none of ours."""
    parents = {node.name: [ast.unparse(base).rpartition(".")[2] for base in node.bases] for _, node in nodes(ast.ClassDef)}
    ours = {name: [base for base in bases if base in parents] for name, bases in parents.items()}
    assert {name for name, bases in ours.items() if any(ours[base] for base in bases)} == set()


def string_keys() -> list[str]:
    """Where a text stands between the brackets of a subscript that is no Literal."""
    found = nodes(ast.Subscript)
    return [
        place(source, node)
        for source, node in found
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) and ast.unparse(node.value) != "Literal"
    ]


def test_string_keys_are_rare() -> None:
    """Fewer than five ``x["key"]`` in a thousand lines."""
    per_thousand = 1000 * len(string_keys()) / sum(LINES.values())
    assert per_thousand < 5, f"{per_thousand:.1f} string keys in 1000 lines: {string_keys()}"


def imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every module of ours that is imported anywhere, inside functions and for types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names if alias.name.startswith("recpref."))
        elif isinstance(node, ast.ImportFrom) and node.module == "recpref":
            yield from ((node, f"recpref.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recpref."):
            yield node, str(node.module)


def test_every_module_has_a_layer() -> None:
    """A new module says where it stands."""
    known = {"__init__", "cards", *(name for layer in LAYERS for name in layer)}
    assert {name_of(source) for source in SOURCES} - known == set()


def test_imports_point_downwards() -> None:
    """A module knows those of its own layer and of lower ones; packages of one layer do not know each other."""
    height = {name: level for level, layer in enumerate(LAYERS) for name in layer}
    packages = {path.name for path in ROOT.iterdir() if path.is_dir()}
    wrong = []
    for source, tree in TREES.items():
        here = name_of(source)
        for node, module in imports(tree) if here != "__init__" else ():
            there = module.split(".")[1]
            beside = there != here and {here, there} <= packages and height[there] == height[here]
            if there in height and (height[there] > height[here] or beside):
                wrong.append(f"{place(source, node)} {here} -> {there}")
    assert wrong == []


def test_nothing_is_unpickled_or_evaluated() -> None:
    """No eval, no exec, no pickle; torch.load of weights only; YAML by the safe loader."""
    wrong = []
    for source, node in nodes(ast.Call):
        called = ast.unparse(node.func)
        safe = any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords)
        if called in NEVER or (called == "torch.load" and not safe):
            wrong.append(f"{place(source, node)} {called}")
    assert wrong == []


def test_nothing_is_seeded_but_where_training_begins() -> None:
    """Generators are passed; the global one is set by the experiment and by each step of training."""
    seeded = {
        name_of(source)
        for source, node in nodes(ast.Call)
        if ast.unparse(node.func) in ("torch.manual_seed", "np.random.seed", "random.seed")
    }
    assert seeded <= {"experiment", "training"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_docstring(source: Path) -> None:
    """One idea a file, and the docstring says it; an empty __init__ has none to say."""
    assert ast.get_docstring(TREES[source]) or not source.read_text().strip()


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.stem != "__init__"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_file_has_its_test_file(source: Path) -> None:
    """recpref/data/batches.py is tested by some test_batches.py, or by the file named here."""
    shared = {"asked": "guess", "downloads": "cards", "heldout": "leave_one_out"} | dict.fromkeys(SPLITS, "splits")
    assert list(TESTS.rglob(f"test_{shared.get(source.stem, source.stem)}.py"))
