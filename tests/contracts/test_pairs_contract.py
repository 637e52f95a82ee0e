"""Every loss learns with every sampler: a small SASRec finds the cycle 1 -> 2 -> ... -> V -> 1."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref import components
from recpref.objectives.score import Score
from recpref.types import Batch, History, Step

V, B, L, N = 10, 8, 6, 6
WITHOUT_SAMPLES = ("cross_entropy",)
PAIRS = [
    (loss, sampler)
    for loss in components.names("loss")
    for sampler in components.names("sampler")
    if sampler != "catalogue" or loss in WITHOUT_SAMPLES
]


def part(kind: str, name: str, **options: Any) -> Any:
    counts = np.full(V + 1, 7)
    train = SimpleNamespace(user=np.arange(1, V + 1), item=np.arange(1, V + 1))
    return components.build(components.find(kind, name), options, {"n_items": V, "item_counts": counts, "train": train})


def batch(rng: torch.Generator) -> Batch:
    starts = torch.randint(0, V, (B, 1), generator=rng)
    items = (starts + torch.arange(L + 1)) % V + 1
    return Batch(History(items[:, :-1], torch.arange(1, B + 1)), items[:, 1:])


@pytest.mark.parametrize(("loss", "sampler"), PAIRS)
def test_a_pair_learns_the_cycle(loss, sampler):
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    model = components.find("model", "sasrec")(V, d_model=16, n_layers=1, max_len=L, dropout=0.0, attention_dropout=0.0)
    options = {} if sampler == "catalogue" else {"n_negatives": N}
    objective = Score(part("sampler", sampler, **options), part("loss", loss))
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    for step in range(600):  # most pairs need 40 or 80; gBCE, whose positives weigh little, 120; TOP1, whose gradients vanish, 200
        total, count, _ = objective(model, batch(rng), Step(0, step, rng))
        optimizer.zero_grad(), (total / count).backward(), optimizer.step()
        if step % 40 == 39 and accuracy(model, batch(rng)) > 0.95:
            return
    pytest.fail(f"{accuracy(model, batch(rng)):.2f} of the next items are right")


@torch.no_grad()
def accuracy(model: Any, asked: Batch) -> float:
    scores = model.score(model.encode(model.embed(asked.history.items), asked.history).flatten(0, 1))
    return float((scores.argmax(1) == asked.targets.flatten()).double().mean())


ROWS = [(user, 1 + (user + place) % V, place) for user in range(120) for place in range(6)]
CYCLE = pd.DataFrame(ROWS, columns=["user_id", "item_id", "timestamp"])
FEW = ("model.d_model=16", "model.n_layers=1", "model.max_len=8", "trainer.max_epochs=2", "loader.batch_size=32", "logger=csv")


def fitted(tmp_path: Any, *overrides: str) -> Any:
    data = recpref.Interactions.from_dataframe(CYCLE, user="user_id", item="item_id", time="timestamp")
    return recpref.fit("model=sasrec", *FEW, *overrides, f"out={tmp_path}", data=data)


def test_loss_and_sampler_are_chosen_by_name(tmp_path):
    run = fitted(tmp_path, "loss=gbce", "loss.t=0.5", "sampler=uniform", "sampler.n_negatives=4", "sampler.exclude_history=true")
    assert np.isfinite(run.metrics["test/ndcg@10"])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("loss=gbce",), "loss=gbce compares each positive with sampled negatives, and sampler=catalogue draws none"),
        (("loss=bpr", "sampler=uniform"), r"sampler\.n_negatives=256 must lie between 1 and 10, the number of items"),
        (("loss=top1", "loss.weights=max"), r"unknown loss\.weights 'max'.*known: equal, softmax"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_left(overrides, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        fitted(tmp_path, *overrides)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
