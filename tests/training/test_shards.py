"""Training with a table in shards: what each process holds, what is saved of it, and that a killed training goes on to the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from several import DDP, FITS, finish, start, together

import recpref
from recpref.models.sasrec import SASRec
from recpref.tables.sharded import Sharded
from recpref.training import shards
from recpref.workplace import STATE

SHAPE = ("model=sasrec", "model.d_model=8", "model.n_heads=2", "model.max_len=10", "table=sharded", "loader.batch_size=16", "logger=none")
COURSE = ("trainer.max_epochs=4", "stopping.every=1", "stopping.save_seconds=0", "optimizer.average=0.9")
COURSE += ("optimizer.lr=0.2", "model.dropout=0")  # the third epoch is the best
KILLED = """
import json, sys
import recpref
from recpref.training.callbacks import SaveState

def save(self, trainer):
    saved(self, trainer)
    if trainer.global_step == 13:  # in the fourth epoch
        (optimizer,), module = trainer.optimizers, trainer.lightning_module
        rows = [p for p in module.parameters() if p.shape[1:] == (8,) and len(p) in (15, 16, 31)]
        moments = [m for p in rows for m in optimizer.state.get(p, {}).values() if m.ndim]
        print([len(p) for p in rows], [len(m) for m in moments], flush=True)
        raise SystemExit(3)

saved, SaveState.save = SaveState.save, save
recpref.fit(*json.loads(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on(walks: Path, tmp_path: Path) -> None:
    """16 and 15 of 31 rows, of the weights, their average and two moments; saved as 31, in names of a whole table; and continued, with the
    best weights of before, to what nobody interrupted, bit for bit."""
    options = [*SHAPE, *COURSE, *DDP, f"data={walks}"]
    together(["-c", FITS, json.dumps([[*options, f"out={tmp_path / 'whole'}"]])])
    ended = finish(start(["-c", KILLED, json.dumps([*options, f"out={tmp_path / 'killed'}"])]), timeout=600)
    assert [code for code, *_ in ended] == [3, 3], ended
    held = [said.splitlines()[-1] for _, said, _ in ended]
    assert held == ["[16, 16] [16, 16]", "[15, 15] [15, 15]"]
    (state,) = (tmp_path / "killed").glob(f"clicks/sasrec/.*/{STATE}")
    saved = torch.load(state, weights_only=True)
    weights = [saved["state_dict"], *(part["weights"] for part in saved["callbacks"].values() if "weights" in part)]
    for part in weights:
        assert len(part["model.items.weight"]) == len(part["average.module.items.weight"]) == 31
        assert [name for name in part if "shards" in name] == []
    assert len(weights) == 2
    (moments,) = (part["state"] for part in saved["optimizer_states"])
    assert sum(value.shape == (31, 8) for of in moments.values() for value in of.values()) == 2
    path = state.parent.with_name(state.parent.name[1 : -len(".partial")])
    together(["-c", f"import recpref; recpref.fit(resume={str(path)!r})"])
    (whole,) = (recpref.load(run) for run in (tmp_path / "whole").glob("clicks/sasrec/*"))
    run = recpref.load(path)
    assert run.trained.best_epoch == whole.trained.best_epoch == 3
    ours, theirs = run.model.state_dict(), whole.model.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert {key for key in run.metrics if run.metrics[key] != whole.metrics[key]} <= {"train/seconds"}
    assert run.metrics["train/parameters"] == sum(p.numel() for p in SASRec(30, d_model=8, n_heads=2, d_ff=256, max_len=10).parameters())
    assert len(run.recommend(pd.read_csv(walks), k=5)) == 49 * 5


class Around(torch.nn.Module):
    """A model whose table is another's."""

    def __init__(self, base: Any):
        super().__init__()
        self.base = base


def test_models_that_do_not_read_the_table_themselves_are_refused() -> None:
    model = SASRec(30, d_model=8)
    model.items = Sharded(model.items)
    with pytest.raises(ValueError, match="table=sharded: Around reads the whole table, and in several processes none has it"):
        shards.divided(model, Around(model))


def test_where_nothing_is_divided_nothing_changes() -> None:
    """No table in shards, no tensors to gather or to cut."""
    model = SASRec(5, d_model=4)
    assert shards.divided(model, model) == {}
    state = model.state_dict()
    checkpoint = {"state_dict": dict(state), "callbacks": {"KeepBest": {"weights": dict(state), "score": 0.5}}}
    shards.whole(checkpoint, {})
    shards.own(checkpoint, {})
    assert list(checkpoint["state_dict"]) == list(checkpoint["callbacks"]["KeepBest"]["weights"]) == list(state)
    assert shards.parameters({}) == []
