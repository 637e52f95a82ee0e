"""Shares of the data: together the processes see what one would see, in turns."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from recpref import components
from recpref.data.batches import Batches, Loader
from recpref.data.examples.cloze import Cloze
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.protocol import Evaluation
from recpref.training.datamodule import Data
from recpref.types import PAD


@pytest.fixture(scope="module")
def data() -> Interactions:
    """25 users with histories of 4 to 12."""
    rng = np.random.default_rng(0)
    rows = [(u, rng.integers(0, 20), t) for u in range(25) for t in range(4 + u % 9)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def of(data: Interactions, number: int, processes: int, *, batch_size: int = 8) -> Data:
    """What one of several processes sees, in epoch 3."""
    split = LeaveOneOut()(data)
    evaluation = Evaluation({"hr": components.find("metric", "hr")}, ks=(5,), batch_size=4)
    found = Data(split.train, split.valid, Cloze(20, 21), Loader(batch_size=batch_size), evaluation, seed=1)
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    loops = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    found.trainer = SimpleNamespace(current_epoch=3, fit_loop=loops, global_rank=number, world_size=processes, strategy=strategy)
    return found


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_shares_of_a_batch_are_the_batch(data: Interactions, processes: int) -> None:
    """Rows, masks and widths of one process, cut in consecutive parts; 25 rows in batches of 8 leave one row, which one process has."""
    whole = list(of(data, 0, 1).train_dataloader())
    shares = [list(of(data, number, processes).train_dataloader()) for number in range(processes)]
    assert {len(share) for share in shares} == {4}
    for expected, *parts in zip(whole, *shares, strict=True):
        busy = [part for part in parts if not part.idle]
        assert torch.equal(torch.cat([part.history.items for part in busy]), expected.history.items)
        assert torch.equal(torch.cat([part.targets for part in busy]), expected.targets)
        sizes = [len(part.targets) for part in busy]
        assert max(sizes) - min(sizes) <= 1
        for idle in (part for part in parts if part.idle):
            assert torch.equal(idle.targets, expected.targets[:1])
    assert sum(part.idle for share in shares for part in share) == processes - 1


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
def test_every_user_is_asked_once(data: Interactions, processes: int) -> None:
    """Seven batches of users: whole ones in turn, and as many turns for everybody, some of which are nobody's."""
    loaders = [of(data, number, processes).val_dataloader()[0] for number in range(processes)]
    asked = [list(loader) for loader in loaders]
    assert {len(turns) for turns in asked} == {len(loader) for loader in loaders} == {-(-7 // processes)}
    in_turn = [asked[turn % processes][turn // processes] for turn in range(7)]
    (whole,) = of(data, 0, 1).val_dataloader()
    for found, expected in zip(in_turn, whole, strict=True):
        assert torch.equal(found.query.history.items, expected.query.history.items)
        assert torch.equal(found.targets, expected.targets)
    users = torch.cat([found.query.history.user for turns in asked for found in turns])
    assert sorted(users.tolist()) == list(range(1, 26))


def test_one_row_tells_what_training_is_like(data: Interactions) -> None:
    """The first user's, masked as in the first epoch, however often it is asked for."""
    batches = of(data, 1, 2).batches
    assert isinstance(batches, Batches)
    first, again = batches.one(), batches.one()
    assert torch.equal(first.targets, again.targets)
    assert len(first.targets) == 1
    assert bool((first.targets != PAD).any())
