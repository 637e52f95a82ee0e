"""Who else trains here: the processes of one training, what they agree on, and who writes.

Processes are started by torchrun, by SLURM, or by Lightning, which runs the command again for each further device. All of them
run the same program. The first one writes; what has to be the same everywhere is asked for here. Alone, every answer is one's own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TORCHRUN, SLURM, LIGHTNING = "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "LOCAL_RANK"
PATIENCE = timedelta(days=7)  # one process evaluates while the others wait
LAG = 120.0  # seconds that a shared file system may take to show what another process wrote
_alone: ContextVar[bool] = ContextVar("alone", default=False)


def connected() -> bool:
    """Whether there are other processes that can be talked to."""
    if _alone.get() or "torch.distributed" not in sys.modules:
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@contextmanager
def alone() -> Iterator[None]:
    """What is done inside concerns this process only."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def rank() -> int:
    """The number of this process, from 0. Before processes are connected, that of a process that Lightning started is its place on its
    node, and only whether it is the first can be relied on."""
    if _alone.get():
        return 0
    if connected():
        import torch.distributed as dist

        return dist.get_rank()
    if TORCHRUN in os.environ:
        return int(os.environ.get("RANK", 0))
    if SLURM in os.environ and LIGHTNING not in os.environ:
        return int(os.environ.get("SLURM_PROCID", 0))
    return int(os.environ.get("NODE_RANK", 0)) + int(os.environ.get(LIGHTNING, 0))


def first() -> bool:
    """Whether this process writes, prints and evaluates."""
    return rank() == 0


def started() -> int:
    """How many processes torchrun or SLURM has started; 1 where neither did."""
    if TORCHRUN in os.environ:
        return int(os.environ.get("WORLD_SIZE", 1))
    return int(os.environ.get(SLURM, 1))


def restarted() -> bool:
    """Whether torchrun or SLURM started this anew after the first attempt had ended."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def connect_again(device: Any) -> None:
    """Connects processes that torchrun has restarted, as Lightning would, but under a name of this attempt.

    torchrun keeps one store for all attempts, in which the addresses of those that were killed still stand (pytorch issue 135712). On
    several nodes the attempts are not counted alike, and ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`` makes torchrun open a store for each.
    """
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    if not (TORCHRUN in os.environ and restarted() and shared):
        return
    import torch.distributed as dist

    if dist.is_initialized():
        return
    store, number, count = next(dist.rendezvous("env://"))
    attempt = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    backend, device_id = ("nccl", device) if device.type == "cuda" else ("gloo", None)
    dist.init_process_group(backend, store=attempt, rank=number, world_size=count, device_id=device_id)


def world() -> int:
    """How many processes train together."""
    if not connected():
        return 1
    import torch.distributed as dist

    return dist.get_world_size()


def agreed(said: bool) -> bool:
    """Whether any of the processes says so. All have to ask."""
    if not connected():
        return said
    return bool(summed([float(said)])[0])


def summed(values: list[float]) -> list[float]:
    """Each number summed over all processes; all pass lists of one length. Units: float64."""
    if not connected():
        return values
    import torch
    import torch.distributed as dist

    total = torch.tensor(values, dtype=torch.float64, device=_meeting_place())
    dist.all_reduce(total)
    return [float(value) for value in total.tolist()]


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their numbers; each may have another number of them. Shapes: [n, ...] -> [N, ...]."""
    if not connected():
        return rows
    import torch
    import torch.distributed as dist

    here = rows.to(_meeting_place())
    counts = [torch.zeros(1, dtype=torch.long, device=here.device) for _ in range(world())]
    dist.all_gather(counts, torch.tensor([len(here)], device=here.device))
    padded = here.new_zeros(max(map(int, counts)), *here.shape[1:])
    padded[: len(here)] = here
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)]).to(rows.device)


def from_first(values: Tensor) -> Tensor:
    """The values of the first process. The shape has to be the same everywhere."""
    if not connected():
        return values
    import torch.distributed as dist

    there = values.to(_meeting_place(), copy=True)
    dist.broadcast(there, 0)
    return there.to(values.device)


def at_first(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their numbers, for the first one and in its processor's memory, however long that takes;
    the others are given their own. Shapes: [n, ...] -> [N, ...]."""
    if not connected():
        return rows
    import torch
    import torch.distributed as dist

    counts = gathered(torch.tensor([len(rows)])).tolist()
    here, room = rows.detach().cpu().contiguous(), _waiting_room(dist.group.WORLD)
    if rank():
        dist.send(here, 0, group=room)
        return here
    total = here.new_empty(sum(counts), *here.shape[1:])
    own, *others = total.split(counts)
    own.copy_(here)
    for number, part in enumerate(others, 1):
        dist.recv(part, number, group=room)
    return total


def wait() -> None:
    """Goes on when all processes have come here, however long that takes."""
    if connected():
        import torch.distributed as dist

        dist.barrier(group=_waiting_room(dist.group.WORLD))


def wait_for(file: Path) -> None:
    """Goes on when the first process has written the file. Raises: ValueError where it does not appear in time."""
    until = time.monotonic() + LAG
    while not file.is_file():
        if time.monotonic() > until:
            raise ValueError(f"{file} was not seen by process {rank()}; out= must be a folder that all processes share")
        time.sleep(0.1)


def _meeting_place() -> Any:
    """The device that messages have to lie on."""
    import torch
    import torch.distributed as dist

    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


@cache
def _waiting_room(world_group: Any) -> Any:
    """A group that is patient, and of processors: a GPU that waits for ten minutes is taken for a dead one."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=PATIENCE)


def room_of_shards() -> Any:
    """A group in which the rows of tables travel, so that they never wait in one line with the gradients that DDP sends."""
    import torch.distributed as dist

    return _room_of_shards(dist.group.WORLD)


@cache
def _room_of_shards(world_group: Any) -> Any:
    import torch.distributed as dist

    return dist.new_group()
