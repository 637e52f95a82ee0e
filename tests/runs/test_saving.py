"""What a finished run has written: all of it, and readable without its model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from torch import nn

from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.evaluation.protocol import Report
from recpref.plan import FILE, Sizes, Written, write
from recpref.runs.saving import FILES, OBJECTIVE, complete, save, save_objective

DATA = Interactions.from_dataframe(pd.DataFrame({"u": [1, 1, 2], "i": ["a", "b", "a"]}), user="u", item="i")


def saved(place: Path, *, seconds: float | None = 0.5) -> nn.Module:
    """A run of two users, and the model in it."""
    model = nn.Linear(2, 3)
    report = Report(pd.DataFrame({"user": [1, 2], "ndcg@10": [0.0, 1.0]}), seconds=seconds)
    write(place, Written(compose(["model=popular"]), DATA.digest, Sizes(2, 2)))
    save(place, model, DATA, {"test/ndcg@10": 0.5}, report, np.array([0, 2, 1]))
    return model


def test_all_that_is_written(tmp_path: Path) -> None:
    """The files, their numbers, and what it takes to recommend: half a second for two users is 250 for a thousand."""
    model = saved(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(FILES)
    assert complete(tmp_path).plan.model.name == "popular"
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"test/ndcg@10": 0.5}
    assert json.loads((tmp_path / "environment.json").read_text())["seconds_per_1000"] == 250
    counts = pd.read_parquet(tmp_path / "item_counts.parquet")
    assert dict(zip(counts["id"], counts["count"], strict=True)) == {"a": 2, "b": 1}
    state = load_file(tmp_path / "model.safetensors")
    assert all(bool((state[name] == value).all()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", FILES)
def test_a_run_that_lacks_a_file_is_not_complete(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    (tmp_path / name).unlink()
    kind, says = (FileNotFoundError, "is not a run") if name == FILE else (ValueError, f"is not a complete run: it lacks {name}")
    with pytest.raises(kind, match=says):
        complete(tmp_path)


def test_nothing_was_timed_and_nothing_was_learned(tmp_path: Path) -> None:
    """No seconds where nobody was asked; no file of an objective that has no parameters."""
    saved(tmp_path, seconds=None)
    assert json.loads((tmp_path / "environment.json").read_text())["seconds_per_1000"] is None
    save_objective(tmp_path, lambda: None)
    assert not (tmp_path / OBJECTIVE).exists()
    save_objective(tmp_path, nn.Linear(1, 1))
    assert set(load_file(tmp_path / OBJECTIVE)) == {"weight", "bias"}
