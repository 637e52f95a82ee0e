"""Who else trains here: by what launchers say, and what processes tell each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from several import LEAVE, together

from recpref import processes

NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")
NAMES += ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_RESTART_COUNT")
CHILD = """
import time, torch, torch.distributed as dist
from recpref import processes
dist.init_process_group("gloo")
turn = processes.rank()
rows = torch.arange(6).view(3, 2) if turn else torch.empty(0, 2, dtype=torch.long)
print(processes.world(), processes.first(), processes.connected(), processes.gathered(rows).tolist())
print(processes.summed([1.5, float(turn)]), processes.agreed(turn == 1), processes.agreed(False))
print(processes.at_first(rows).tolist(), processes.at_first(torch.tensor(turn + 0.5)[None]).tolist())
print(processes.from_first(torch.tensor([turn + 7])).tolist())
with processes.alone():
    print(processes.world(), processes.first(), processes.gathered(rows).tolist(), processes.agreed(turn == 0))
began = time.monotonic()
time.sleep(1 - turn)
processes.wait()
print(time.monotonic() - began >= 0.9)
"""


@pytest.mark.parametrize(
    ("said", "rank", "started", "restarted"),
    [
        ({}, 0, 1, False),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "TORCHELASTIC_RESTART_COUNT": "0"}, 3, 4, False),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RESTART_COUNT": "1"}, 0, 2, True),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, 5, 8, False),
        ({"SLURM_PROCID": "0", "SLURM_RESTART_COUNT": "2"}, 0, 1, True),  # a batch script without srun
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, 1, 1, False),  # started by Lightning
        ({"NODE_RANK": "1"}, 1, 1, False),  # who starts processes on a second node is not the first
    ],
)
def test_launchers_say_who_this_is(said: dict[str, str], rank: int, started: int, restarted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of torchrun, SLURM and Lightning."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert (processes.rank(), processes.first(), processes.started(), processes.restarted()) == (rank, rank == 0, started, restarted)
    with processes.alone():
        assert processes.first()


def test_alone_every_answer_is_ones_own() -> None:
    """Nothing is sent, and nothing is copied."""
    rows = torch.arange(3)
    assert not processes.connected()
    assert processes.gathered(rows) is rows
    assert processes.at_first(rows) is rows
    assert processes.from_first(rows) is rows
    assert processes.summed([1.0, 2.0]) == [1.0, 2.0]
    assert [processes.agreed(True), processes.agreed(False)] == [True, False]
    processes.wait()


@pytest.mark.slow
def test_two_processes_tell_each_other() -> None:
    """Rows of one that has none and one that has three; sums; what any says; what the first has; and waiting for the slower one."""
    all_rows, shared = "[[0, 1], [2, 3], [4, 5]]", "[3.0, 1.0] True False\n"
    first, second = together(["-c", CHILD + LEAVE])
    assert first == f"2 True True {all_rows}\n{shared}{all_rows} [0.5, 1.5]\n[7]\n1 True [] True\nTrue\n"
    assert second == f"2 False True {all_rows}\n{shared}{all_rows} [1.5]\n[7]\n1 True {all_rows} False\nTrue\n"


def test_a_file_that_does_not_come_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that processes do not share."""
    (tmp_path / "there").write_text("")
    processes.wait_for(tmp_path / "there")
    monkeypatch.setattr(processes, "LAG", 0.0)
    with pytest.raises(ValueError, match=r"missing was not seen by process 0; out= must be a folder that all processes share"):
        processes.wait_for(tmp_path / "missing")
