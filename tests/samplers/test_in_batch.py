"""In-batch negatives: the targets of the other positions, on all devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from scipy.stats import chisquare
from several import LEAVE

from recpref.samplers.in_batch import InBatch
from recpref.types import Batch, History

NOBODY = SimpleNamespace(user=np.zeros(0, dtype=np.int64), item=np.zeros(0, dtype=np.int64))  # training rows that no one asks for
COUNTS = np.array([0, 4, 3, 2, 1, 5, 5])
TARGETS = torch.tensor([[1, 0, 2], [1, 5, 0]])
BATCH = Batch(History(torch.ones_like(TARGETS), torch.tensor([1, 2])), TARGETS)
PROCESS = """
import sys, torch, numpy as np, torch.distributed as dist
from recpref.samplers.in_batch import InBatch
from recpref.types import Batch, History
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
targets = torch.tensor([[1, 0, 2]]) if rank == 0 else torch.tensor([[3, 5, 4]])
batch = Batch(History(targets, torch.tensor([1])), targets)
found = InBatch(np.array([0, 4, 3, 2, 1, 5, 5]), None, n_negatives=6)(batch, torch.Generator())
print(sorted(found.negatives[0].tolist()), found.positive.tolist(), int(found.hit.sum()))
"""


def test_by_hand() -> None:
    """Targets 1, 2, 1, 5: those are the negatives of all, and a row's own target is no negative, either time."""
    found = InBatch(COUNTS, NOBODY, n_negatives=6)(BATCH, torch.Generator())
    assert sorted(found.negatives[0].tolist()) == [1, 1, 2, 5]
    assert torch.equal(found.hit, found.negatives == found.positive[:, None])
    assert found.hit.sum(1).tolist() == [2, 1, 2, 1]
    torch.testing.assert_close(found.log_q_positive.exp(), torch.tensor([4, 3, 4, 5]) / 20)


def test_the_share_that_is_taken_is_random() -> None:
    sampler, rng = InBatch(COUNTS, NOBODY, n_negatives=2), torch.Generator().manual_seed(0)
    drawn = torch.cat([sampler(BATCH, rng).negatives for _ in range(2000)])
    found = np.bincount(drawn.flatten().numpy(), minlength=7)
    assert found[[0, 3, 4, 6]].tolist() == [0, 0, 0, 0]
    assert chisquare(found[[1, 2, 5]], [2000, 1000, 1000]).pvalue > 1e-3


def test_targets_of_all_processes_are_gathered(tmp_path: Path) -> None:
    """Two targets here and three there: both processes see all five, and each row's own is a hit."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS + LEAVE, str(rank), str(tmp_path / "meeting")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    found = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], found
    assert [out.strip() for out, _ in found] == ["[1, 2, 3, 4, 5] [1, 2] 2", "[1, 2, 3, 4, 5] [3, 5, 4] 3"]
