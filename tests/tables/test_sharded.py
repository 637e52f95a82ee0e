"""A table in shards: in one process a whole table, bit for bit; in two, half of it each, the same scores and gradients, and whole again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from several import LEAVE, together
from torch import Tensor

import recpref
from recpref.layers.item_table import ItemTable
from recpref.losses.bce import BCE
from recpref.losses.cross_entropy import CrossEntropy
from recpref.objectives.score import Score
from recpref.samplers.catalogue import Catalogue
from recpref.tables.sharded import Sharded
from recpref.types import Candidates

CHILD = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
import conftest, torch.distributed as dist, test_sharded
dist.init_process_group("gloo")
for name in sys.argv[1:]:
    getattr(test_sharded, "check_" + name)()
    print(name)
"""
V, ROWS = 30, 11  # items; rows of both processes together, of which the first has seven


@pytest.fixture(scope="module")
def data() -> recpref.Interactions:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places."""
    rows = [(u, (7 * u + t) % 15, t) for u in range(24) for t in range(4 + u % 5)]
    return recpref.Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t", name="toy")


@pytest.mark.parametrize("loss", ["loss=cross_entropy", "loss=sampled_softmax sampler=in_batch sampler.n_negatives=10"])
@pytest.mark.parametrize("model", ["sasrec", "gru4rec"])
def test_in_one_process_it_is_a_whole_table(model: str, loss: str, data: recpref.Interactions, tmp_path: Path) -> None:
    """The same file: the same names, shapes and numbers."""
    said = [f"model={model}", "model.d_model=8", "trainer.max_epochs=2", "logger=none", f"out={tmp_path}", *loss.split()]
    whole, sharded = recpref.fit(*said, data=data), recpref.fit(*said, "table=sharded", data=data)
    assert whole.path != sharded.path
    ours, theirs = (load_file(run.path / "model.safetensors") for run in (sharded, whole))
    assert list(ours) == list(theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert {key for key, value in whole.metrics.items() if sharded.metrics[key] != value} <= {"train/seconds"}


def test_models_without_an_item_table_are_refused(data: recpref.Interactions, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="table=sharded: model=bert4rec has no ItemTable"):
        recpref.fit("model=bert4rec", "table=sharded", f"out={tmp_path}", data=data)


@pytest.mark.slow
def test_two_processes_hold_half_each() -> None:
    """What each process asserts stands in the functions of these names."""
    checks = ["rows", "shared", "catalogue", "uniting"]
    assert [printed.split() for printed in together(["-c", CHILD + LEAVE, *checks])] == [checks, checks]


class Tied:
    """A model that is its table, and reads the newest item."""

    causal = True

    def __init__(self, items: Any):
        self.items, self.embed, self.rows, self.table, self.score = items, items, items.rows, items.table, items.score
        self.encode, self.state = (lambda x, history: x), (lambda history: items(history.items[:, -1]))


def pair(*, bias: bool = True) -> tuple[Tied, Tied]:
    """A whole table, and the same one in shards."""
    torch.manual_seed(0)
    whole, other = ItemTable(V, 4, bias=bias), ItemTable(V, 4, bias=bias)
    if whole.bias is not None:
        torch.nn.init.normal_(whole.bias)
    other.load_state_dict(whole.state_dict())
    sharded = Sharded(other)
    sharded.divide()
    return Tied(whole), Tied(sharded)


def mine() -> slice:
    return slice(0, 7) if dist.get_rank() == 0 else slice(7, ROWS)


def drawn(*shape: int) -> Tensor:
    return torch.randint(1, V + 1, shape, generator=torch.Generator().manual_seed(sum(shape)))


def nothing_drawn(batch: Any, rng: Any) -> Any:
    """In the place of a sampler: candidates are given."""
    raise NotImplementedError


def compare(score: Score, candidates: Candidates, own: Candidates, *, bias: bool) -> None:
    """The losses of my rows are those of all rows, and the gradients of my shard those of the whole table's rows: at the bottom and the
    top of it. Then once more where this process has no row at all."""
    whole, sharded = pair(bias=bias)
    items = drawn(ROWS, 1)
    for nothing in (False, True):
        for table in (whole.items, sharded.items):
            table.zero_grad()
        part = mine() if not nothing else slice(0, 5) if dist.get_rank() else slice(0, 0)
        taken = slice(0, ROWS) if not nothing else slice(0, 5)
        if nothing:
            candidates, own = some(candidates, slice(0, 5)), some(candidates, part)
        expected = score.values(whole, [whole.items(items[taken])[:, 0]], candidates)[0]
        values = score.values(sharded, [sharded.items(items[part])[:, 0]], own)[0]
        expected.square().sum().backward()
        values.square().sum().backward()
        torch.testing.assert_close(values, expected[part])
        shards = sharded.items.shards
        rows = slice(shards.first, shards.last)
        torch.testing.assert_close(shards.weight.grad, whole.items.weight.grad[rows], rtol=1e-5, atol=1e-6)
        if bias:
            torch.testing.assert_close(shards.bias.grad, whole.items.bias.grad[rows], rtol=1e-5, atol=1e-6)


def some(candidates: Candidates, rows: slice) -> Candidates:
    """Some rows of candidates."""
    negatives, hit = candidates.negatives, candidates.hit
    return candidates._replace(
        positive=candidates.positive[rows],
        negatives=negatives if negatives is None or len(negatives) == 1 else negatives[rows],
        hit=None if hit is None else hit[rows],
    )


def check_rows() -> None:
    """Negatives of each row's own, some of them hits."""
    negatives, positive = drawn(ROWS, 3), drawn(ROWS)
    candidates = Candidates(positive, negatives, hit=negatives == positive[:, None])
    for bias in (True, False):
        compare(Score(nothing_drawn, BCE()), candidates, some(candidates, mine()), bias=bias)


def check_shared() -> None:
    """Negatives that all rows share."""
    candidates = Candidates(drawn(ROWS), drawn(1, 6))
    compare(Score(nothing_drawn, CrossEntropy()), candidates, some(candidates, mine()), bias=True)


def check_catalogue() -> None:
    """All items, smoothed and not."""
    candidates = Candidates(drawn(ROWS))
    for options in ({}, {"label_smoothing": 0.1, "temperature": 2.0}):
        compare(Score(Catalogue(), CrossEntropy(**options)), candidates, some(candidates, mine()), bias=True)


def check_uniting() -> None:
    """31 rows and biases are 16 here and 15 there, and whole in the first process only."""
    whole, sharded = (part.items for part in pair())
    assert sum(p.numel() for p in sharded.parameters()) == 5 * (16 if dist.get_rank() == 0 else 15)
    for ask in (sharded.table, lambda: sharded.score(torch.ones(1, 4))):
        with pytest.raises(ValueError, match="table=sharded: the whole table was asked for, and in several processes none has it"):
            ask()
    sharded.unite()
    if dist.get_rank() == 0:
        assert list(sharded.state_dict()) == list(whole.state_dict())
        assert all(torch.equal(sharded.state_dict()[name], value) for name, value in whole.state_dict().items())
        assert torch.equal(sharded.table()[1], whole.table()[1])
    else:
        assert len(sharded.shards.weight) == 15
