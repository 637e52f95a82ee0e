"""Lists over a table in shards: those of a whole table, whoever has users to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from several import LEAVE, together

from recpref.models.hstu import HSTU
from recpref.models.sasrec import SASRec
from recpref.retrieval.topk import TopK
from recpref.tables.sharded import Sharded
from recpref.training.over_shards import OverShards
from recpref.types import History, Query

ITEMS = torch.tensor([[1, 2, 3]])
CHILD = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
import conftest, torch.distributed as dist, test_over_shards
dist.init_process_group("gloo")
test_over_shards.check_lists()
print("right")
"""


@pytest.mark.slow
def test_two_processes_find_what_one_finds() -> None:
    assert together(["-c", CHILD + LEAVE]) == ["right\n"] * 2


def check_lists() -> None:
    """Each process asks for its own users, who exclude more or fewer items, or nothing; then the second one for nobody."""
    torch.manual_seed(0)
    timed = HSTU(30, d_model=8)
    timed.encode(timed.embed(ITEMS), History(ITEMS, torch.zeros(1).long(), ITEMS))  # has learned from times, and wants some ever after
    for model in (SASRec(30, d_model=8).eval(), timed.eval()):
        check_lists_of(model)


def check_lists_of(model: Any) -> None:
    whole, turn = TopK(model, seed=2), dist.get_rank()
    items = torch.randint(1, 31, (5, 6), generator=torch.Generator().manual_seed(turn))
    time = items.cumsum(1) if getattr(model, "needs_time", False) else None
    mine = Query(History(items, torch.arange(5), time), exclude=items[:, turn:])
    if turn:
        mine = Query(History(items[:4], torch.arange(4), None if time is None else time[:4]), exclude=items[:4, turn:])
    nobody = Query(History(items[:0], torch.arange(0), None if time is None else time[:0]))
    asked = [mine, mine._replace(exclude=None), nobody if turn else mine]
    expected = [whole.recommend(query, 10) for query in asked[: 3 - turn]]
    model.items = Sharded(model.items)
    model.items.divide()
    sharded = OverShards(model, seed=2)
    found = [sharded.recommend(query, 10) for query in asked]
    for ours, theirs in zip(found, expected, strict=not turn):
        assert torch.equal(ours.items, theirs.items)
        torch.testing.assert_close(ours.scores, theirs.scores)
    assert found[-1].items.shape == (0 if turn else 5, 10)
    torch.nn.init.constant_(model.items.shards.weight, torch.nan if turn else 0.0)
    with pytest.raises(FloatingPointError, match="NaN"):  # in both processes
        sharded.recommend(mine, 10)
