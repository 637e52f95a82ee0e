"""A process that plays RecBole, and small data for it. ``real_python`` is a Python that has RecBole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.bridges.recbole import PYTHON, models
from recpref.data.interactions import Interactions

PLAYS_RECBOLE = """#!{python}
import json, sys
from collections import Counter
from pathlib import Path
import numpy as np
verb = sys.argv[2]
print("Epoch 1 of 1", file=sys.stderr)
if {broken!r} == verb:
    print("Traceback: the loss is a cow", file=sys.stderr)
    sys.exit(3)
if verb == "models":
    print(json.dumps({{"Pop": "general", "SASRec": "sequential"}}))
elif verb == "options":
    print(json.dumps(["x", "hidden_size"]))
else:
    folder = Path(sys.argv[3])
    request = json.loads((folder / "request.json").read_text())
    counts = Counter()
    for part in ("train", "valid", "test"):
        for line in (folder / "data" / f"data.{{part}}.inter").read_text().splitlines()[1:]:
            counts[int(line.split("\\t")[1])] += part == "train"
    best = np.array([item for item, _ in counts.most_common(request["n_best"])], dtype=np.int32)
    asked, answers = np.load(folder / "asked.npz"), {{}}
    for part in ("valid", "test"):
        n = len(asked[part + "_user"])
        answers[part + "_item"] = np.tile(best, (n, 1))
        answers[part + "_score"] = np.tile(np.array([counts[item] for item in best.tolist()], dtype=np.float32), (n, 1))
    np.savez(folder / "answers.npz", **answers)
    own = {{"best_epoch": 1, "parameters": 7, "valid": {{"ndcg@10": 0.25}}, "test": {{"ndcg@10": 0.5}}}}
    own |= {{"version": "1.2.1", "device": "cpu"}}
    (folder / "report.json").write_text(json.dumps({{"seconds": 0.0, "epochs": request["epochs"], "asked": request, **own}}))
"""


def small() -> Interactions:
    """u1 has a b c d, u2 has b a c; numbers 1 to 4 stand for a to d."""
    rows = [("u1", "a", 1), ("u1", "b", 2), ("u1", "c", 3), ("u1", "d", 4), ("u2", "b", 1), ("u2", "a", 2), ("u2", "c", 3)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def cyclic(n_users: int = 60, n_items: int = 12) -> Interactions:
    """Item i is followed by item i + 1; the first items are more popular than the last."""
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, n_items // 2, n_users), rng.integers(4, 8, n_users)
    rows = [(u, 1 + (starts[u] + n) % n_items, n) for u in range(n_users) for n in range(lengths[u])]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def player(tmp_path: Path, broken: str = "") -> Path:
    """A Python that plays RecBole, whatever script it is given: it recommends what is popular."""
    path = tmp_path / "python"
    path.write_text(PLAYS_RECBOLE.format(python=sys.executable, broken=broken))
    path.chmod(0o755)
    return path


def real_python() -> str:
    """Skips the test where there is none."""
    python = os.environ.get(PYTHON, sys.executable)
    try:
        models(python)
    except ValueError as error:
        pytest.skip(f"RecBole cannot be imported by {python} ({PYTHON} names another): {str(error).splitlines()[-1]}")
    return python
