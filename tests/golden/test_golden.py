"""Golden numbers: tiny trainings whose results may change only with a line in CHANGELOG.md that says why.

Every option is written out, so that a change of defaults changes nothing here. To write new numbers, after the line in the
change log: ``python -m pytest tests/golden --golden-write``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recpref

KEPT = ("valid/ndcg@10", "test/ndcg@10", "test/hr@10", "test/mrr@20")
TRAINING = (
    "seed=7", "model.d_model=16", "model.max_len=10", "model.dropout=0.1",
    "optimizer.method=adamw", "optimizer.lr=0.01", "optimizer.weight_decay=0.01", "optimizer.warmup_steps=4",
    "optimizer.decay=linear", "optimizer.average=0.5", "loader.batch_size=16", "loader.shuffle_ties=true",
    "trainer.max_epochs=3", "stopping.every=1",
    "stopping.patience=9", "trainer.gradient_clip_val=5.0",
    "evaluation.ks=[1,10,20]", "examples.stride=0.5", "logger=csv", "loss=cross_entropy",
)  # fmt: skip
DEEP = ("model.n_layers=2", "examples.crop=0.5", *TRAINING)
ATTENTION = ("model.n_heads=2", "model.d_ff=32", "model.attention_dropout=0.1", *DEEP)
OPTIONS = {
    "bert4rec": ("model=bert4rec", "model.norm=post", "examples=cloze", "examples.mask_ratio=0.3", "examples.last_ratio=0.1", *ATTENTION),
    "sasrec": ("model=sasrec", "model.norm=pre", "examples=next_item", *ATTENTION),
    "esasrec": ("model=esasrec", "loss=cross_entropy", "sampler=catalogue", "examples=next_item", *ATTENTION),
    "hstu": ("model=hstu", "model.n_heads=2", "examples=next_item", *DEEP),
    "gru4rec": ("model=gru4rec", "model.d_hidden=24", "examples=next_item", *DEEP),
    "nextitnet": ("model=nextitnet", "model.kernel_size=3", "model.dilations=[1,2]", "examples=next_item", *DEEP),
    "srgnn": ("model=srgnn", "model.n_steps=2", "examples=prefix", *TRAINING),
    "fmlprec": ("model=fmlprec", "model.n_layers=2", "model.d_ff=32", "examples=prefix", *TRAINING),
}


def data() -> recpref.Interactions:
    rng = np.random.default_rng(42)
    length = rng.integers(5, 25, 60)
    user = np.repeat(np.arange(60), length)
    item = (rng.integers(0, 5, length.sum()) + 7 * user + np.arange(length.sum())) % 40
    frame = pd.DataFrame({"user_id": user, "item_id": item, "timestamp": 10**9 + 3600 * (np.arange(length.sum()) // 2)})
    return recpref.Interactions.from_dataframe(frame, user="user_id", item="item_id", time="timestamp")


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_numbers_are_what_they_were(name, tmp_path, request):
    run = recpref.fit(*OPTIONS[name], f"out={tmp_path}", data=data())
    weights = sum(float(value.double().abs().sum()) for value in run.model.state_dict().values() if value.isfinite().all())
    found = {**{key: run.metrics[key] for key in KEPT}, "sum of absolute weights": weights, "best_epoch": run.metrics["train/best_epoch"]}
    file = Path(__file__).with_name(f"{name}.json")
    if request.config.getoption("--golden-write"):
        file.write_text(json.dumps(found, indent=1) + "\n")
    assert found == pytest.approx(json.loads(file.read_text()), abs=1e-4, rel=1e-4)
