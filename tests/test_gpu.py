"""What only a GPU can show: ``python -m pytest -m gpu``. Skipped where there is none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref.data.batches import Batches, Loader
from recpref.data.examples.cloze import Cloze
from recpref.data.examples.next_item import NextItem
from recpref.data.examples.prefix import Prefix
from recpref.losses.cross_entropy import CrossEntropy
from recpref.models.sasrec import SASRec
from recpref.retrieval.topk import TopK
from recpref.types import History, Query

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]


def rows(n_users: int = 200, n_items: int = 50) -> pd.DataFrame:
    """Each item is followed by the next one, three times in four."""
    rng = np.random.default_rng(0)
    item = rng.integers(0, n_items, n_users)
    found = []
    for step in range(12):
        found.append(pd.DataFrame({"user": np.arange(n_users), "item": item, "time": step // 2}))
        item = np.where(rng.random(n_users) < 0.75, item + 1, rng.integers(0, n_items, n_users)) % n_items
    return pd.concat(found)


def data() -> recpref.Interactions:
    return recpref.Interactions.from_dataframe(rows(), user="user", item="item", time="time")


@pytest.mark.parametrize("kind", ["cloze", "next_item", "prefix"])
def test_batches_made_on_the_gpu_are_those_of_the_processor(kind: str) -> None:
    """Order, crops, masks and shuffled ties: to the bit."""
    examples = {"cloze": lambda: Cloze(50, 8, crop=0.5), "next_item": lambda: NextItem(8, crop=0.5), "prefix": lambda: Prefix(8)}[kind]
    here, there = (
        Batches(
            data(), examples(), Loader(batch_size=16, shuffle_ties=True), seed=3, place=lambda: (2, 1), device=partial(torch.device, name)
        )
        for name in ("cpu", "cuda")
    )
    count = 0
    for one, other in zip(here, there, strict=True):
        assert other.history.items.is_cuda
        assert torch.equal(one.history.items, other.history.items.cpu())
        assert torch.equal(one.history.user, other.history.user.cpu())
        assert torch.equal(one.targets, other.targets.cpu())
        count += 1
    assert count == len(here) - 1


def test_cross_entropy_and_its_gradients_are_those_of_the_processor() -> None:
    rng = torch.Generator().manual_seed(0)
    parts = [torch.randn(shape, generator=rng) for shape in ((300, 32), (5000, 32), (5000,))]
    positive = torch.randint(1, 5000, (300,), generator=rng)
    found = []
    for device in ("cpu", "cuda"):
        leaves = [part.to(device).requires_grad_() for part in parts]
        values = CrossEntropy().fused(*leaves, positive.to(device))
        values.mean().backward()
        found.append([part.cpu() for part in (values, *(leaf.grad for leaf in leaves))])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_items", [100, 40_000])
def test_lists_are_those_of_the_processor(n_items: int) -> None:
    model = SASRec(n_items, d_model=16, max_len=5).eval()
    items = torch.randint(1, n_items + 1, (64, 5), generator=torch.Generator().manual_seed(0))
    here = TopK(model).recommend(Query(History(items, torch.arange(64)), exclude=items), 10)
    there = TopK(model.cuda()).recommend(Query(History(items.cuda(), torch.arange(64).cuda()), exclude=items.cuda()), 10)
    assert (here.items == there.items.cpu()).float().mean() > 0.99  # rounding may swap neighbours
    torch.testing.assert_close(there.scores.cpu(), here.scores, rtol=1e-3, atol=1e-4)


SAMPLED = ["sampler=uniform", "sampler.n_negatives=20"]


@pytest.mark.parametrize(
    "options",
    [
        ["model=bert4rec", "model.d_model=32"],
        ["model=sasrec", "model.d_model=32"],
        ["model=sasrec", "model.d_model=32", "loss=sampled_softmax", *SAMPLED],
        ["model=sasrec", "model.d_model=32", "objective=nbpo", "objective.by=[level,popularity,exposure,item,user,state]", *SAMPLED],
        ["model=ada_retrieval", "base=sasrec", "base.d_model=32", "model.n_rounds=2", "model.per_round=5", *SAMPLED],
    ],
)
def test_training_on_a_gpu_learns_what_training_on_a_processor_does(options: list[str], tmp_path: Path) -> None:
    common = [*options, "trainer.max_epochs=40", "stopping.every=5", "logger=[]"]
    runs = {
        device: recpref.fit(*common, f"trainer.accelerator={device}", f"out={tmp_path / device}", data=data()) for device in ("cpu", "gpu")
    }
    assert runs["gpu"].metrics["test/hr@10"] > 0.5
    assert runs["gpu"].metrics["test/hr@10"] == pytest.approx(runs["cpu"].metrics["test/hr@10"], abs=0.1)
    assert len(runs["gpu"].recommend(rows(), k=5)) == 5 * 200
