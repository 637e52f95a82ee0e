"""Item tables in shards: two processes compute the loss, the gradients, the lookups and the lists of a whole table."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from several import LEAVE, together
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.item_shards import ItemShards, everybodys, own
from recpref.losses.cross_entropy import CrossEntropy
from recpref.processes import at_first
from recpref.retrieval.topk import TopK
from recpref.types import History, Query

CHILD = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import conftest, torch.distributed as dist, test_item_shards
dist.init_process_group("gloo")
for name in sys.argv[1:]:
    getattr(test_item_shards, "check_" + name)()
    print(name)
"""
NEVER = torch.zeros(31).index_fill(0, torch.tensor(0), -torch.inf)  # 30 items and PAD: 16 rows here and 15 there


def table(n_items: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows, biases, states and positives: the same in every process."""
    rng = torch.Generator().manual_seed(n_items)
    weight, h = torch.randn(n_items + 1, width, generator=rng), 3 * torch.randn(70, width, generator=rng)
    return weight, torch.randn(n_items + 1, generator=rng), h, torch.randint(1, n_items + 1, (70,), generator=rng)


def close(found: Tensor, expected: Tensor) -> None:
    """To 1e-6 of the largest."""
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * max(1.0, float(expected.abs().max())))


@pytest.mark.slow
def test_two_processes_hold_one_table() -> None:
    """What each process asserts stands in the functions of these names."""
    checks = ["loss", "lookup", "lists", "ties", "training", "refusal"]
    assert [printed.split() for printed in together(["-c", CHILD + LEAVE, *checks])] == [checks, checks]


def check_loss() -> None:
    """Values and all gradients of the unsharded loss, for rows of equal weight and of different ones; PAD has no part in it."""
    for n_items, smooth in ((30, {}), (31, {}), (30, {"temperature": 0.5, "label_smoothing": 0.2})):
        weight, bias, h, positive = table(n_items, 8)
        for weights in (torch.ones(70), torch.rand(70, generator=torch.Generator().manual_seed(1))):
            whole = [part.clone().requires_grad_() for part in (h, weight, bias)]
            never = torch.zeros(n_items + 1).index_fill(0, torch.tensor(0), -torch.inf)
            expected = CrossEntropy(**smooth).fused(whole[0], whole[1], whole[2] + never, positive)
            (expected * weights).mean().backward()
            shards = ItemShards(n_items, 8, bias=True).load_whole(weight, bias)
            here = h.clone().requires_grad_()
            values = shards.cross_entropy(here, positive, **smooth)
            (values * weights).mean().backward()
            mine = slice(shards.first, shards.last)
            assert len(shards.weight) == (16 if shards.first == 0 or n_items == 31 else 15)
            close(values, expected)
            for found, grad in (
                (here.grad, whole[0].grad),
                (shards.weight.grad, whole[1].grad[mine]),
                (shards.bias.grad, whole[2].grad[mine]),
            ):
                close(found, grad)


def check_lookup() -> None:
    """The vectors of any items, and the gradients of the rows that they came from: an item asked for twice gets both."""
    weight, bias, *_ = table(30, 4)
    shards = ItemShards(30, 4).load_whole(weight)
    items = torch.tensor([[0, 1, 15], [16, 30, 1]])
    whole = weight.clone().requires_grad_()
    factor = torch.arange(24.0).view(2, 3, 4)
    (F.embedding(items, whole) * factor).sum().backward()
    found = shards(items)
    (found * factor).sum().backward()
    assert torch.equal(found, weight[items])
    assert torch.equal(shards.weight.grad, whole.grad[shards.first : shards.last])
    shards = ItemShards(30, 4, bias=True).load_whole(weight, bias)
    assert torch.equal(shards.biases(items), bias[items].masked_fill(items == 0, -torch.inf))
    everything = slice(None) if dist.get_rank() == 0 else slice(shards.first, shards.last)
    assert torch.equal(at_first(shards.weight), weight[everything])
    assert torch.equal(at_first(shards.bias), bias[everything])


def check_lists() -> None:
    """The lists of a whole table, also when they are longer than a shard."""
    weight, bias, h, _ = table(30, 4)
    shards = ItemShards(30, 4, bias=True).load_whole(weight, bias)
    for k in (1, 10, 25, 40):
        expected = (h @ weight.T + bias)[:, 1:].topk(min(k, 30))
        found = shards.best(h, k)
        assert torch.equal(found.items[:, :30], expected.indices + 1)
        assert bool((found.items[:, 30:] == 0).all())


def check_ties() -> None:
    """Ten different vectors for 30 items, some of which are excluded: the lists of ``TopK``, whose ties a seed breaks."""
    weight, bias, h, positive = table(30, 4)
    weight, bias = weight[torch.arange(31) % 10], bias[torch.arange(31) % 10]
    shards = ItemShards(30, 4, bias=True).load_whole(weight, bias)
    exclude = torch.stack([positive, positive.flip(0), torch.zeros_like(positive)], 1)
    whole = TopK(SimpleNamespace(table=lambda: (weight, bias), state=lambda _: h), seed=3)
    history = History(positive[:, None], positive)
    for k in (1, 7, 29, 40):
        expected = whole.recommend(Query(history, exclude), k)
        found = shards.best(h, k, exclude=exclude, place=whole.place)
        assert torch.equal(found.items, expected.items)
        close(found.scores, expected.scores)
    with pytest.raises(FloatingPointError, match="NaN"):
        shards.best(h / 0 * 0, 5)


def check_training() -> None:
    """Rows are divided unevenly between two encoders that share a table, as input and as output: ten steps of Adam end where one
    process ends that has all rows."""
    weight, _, _, positive = table(30, 8)
    items = torch.randint(1, 31, (70,), generator=torch.Generator().manual_seed(2))
    turn = slice(0, 45) if dist.get_rank() == 0 else slice(45, 70)
    torch.manual_seed(0)
    encoder, alone = nn.Linear(8, 8), nn.Linear(8, 8)
    alone.load_state_dict(encoder.state_dict())
    shards, whole = ItemShards(30, 8).load_whole(weight), nn.Parameter(weight.clone())
    ours = torch.optim.Adam([*encoder.parameters(), *shards.parameters()], lr=0.01)
    theirs = torch.optim.Adam([*alone.parameters(), whole], lr=0.01)
    for _ in range(10):
        ours.zero_grad(), theirs.zero_grad()
        h_MD = encoder(own(shards(items), len(items[turn])))
        shards.cross_entropy(everybodys(h_MD), positive).mean().backward()
        for parameter in encoder.parameters():
            dist.all_reduce(parameter.grad)
        CrossEntropy().fused(alone(F.embedding(items, whole)), whole, NEVER, positive).mean().backward()
        ours.step(), theirs.step()
    close(encoder.weight, alone.weight)
    close(shards.weight, whole[shards.first : shards.last])


def check_refusal() -> None:
    """Two items and PAD are three rows, and four are needed."""
    with pytest.raises(ValueError, match="n_items=2 over 2 processes leaves a shard without items; use fewer processes"):
        ItemShards(2, 4)


def test_one_process_is_a_whole_table(tmp_path: Path) -> None:
    """By hand: scores 0 and log 3 of two items, PAD left out: the loss of the second is log 4 - log 3."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        shards = ItemShards(2, 1).load_whole(torch.tensor([[9.0], [0.0], [math.log(3)]]))
        assert float(shards.cross_entropy(torch.ones(1, 1), torch.tensor([2]))[0].detach()) == pytest.approx(math.log(4 / 3), abs=1e-6)
        assert shards.best(torch.ones(1, 1), 3).items.tolist() == [[2, 1, 0]]
        with torch.autocast("cpu", dtype=torch.bfloat16):  # what a model makes under mixed precision
            half = torch.ones(1, 1, dtype=torch.bfloat16, requires_grad=True)
            loss = shards.cross_entropy(half, torch.tensor([2]))
            best = shards.best(half.detach(), 3)
        loss.sum().backward()
        assert float(loss.detach()[0]) == pytest.approx(math.log(4 / 3), abs=1e-6)
        assert float(half.grad[0, 0]) == pytest.approx(-math.log(3) / 4, abs=1e-2)
        assert best.scores[0, 0] == pytest.approx(math.log(3), abs=1e-6)
    finally:
        dist.destroy_process_group()
