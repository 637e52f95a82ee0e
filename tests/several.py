"""Starts processes as torchrun does, for tests: two of them, on this machine, by gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

FITS = """
import json, sys, warnings
import recpref
for overrides in json.loads(sys.argv[1]):
    recpref.fit(*overrides)
"""
# The last lines of a child. As Python ends, a thread of gloo's may still ask for Python's lock, and then aborts the process: once in a
# hundred times or two, on a machine with other work, after everything had been printed.
LEAVE = """
import os, sys, torch.distributed
torch.distributed.destroy_process_group()
sys.stdout.flush()
os._exit(0)
"""
DDP = ("trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environments(n: int = 2, **more: str) -> list[dict[str, str]]:
    """What torchrun tells each process."""
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(n),
        "LOCAL_WORLD_SIZE": str(n),
        "GROUP_RANK": "0",
    }
    shared |= {"TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_RESTART_COUNT": "0", "OMP_NUM_THREADS": "1", **more}
    return [{**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(n)]


def start(arguments: Sequence[str], n: int = 2, **more: str) -> list[subprocess.Popen[str]]:
    """``python ARGUMENTS`` in each of ``n`` processes that know of each other."""
    return [
        subprocess.Popen([sys.executable, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for env in environments(n, **more)
    ]


def finish(processes: Sequence[subprocess.Popen[str]], *, timeout: float = 180) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each. None outlives this."""
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def together(arguments: Sequence[str], n: int = 2, **more: str) -> list[str]:
    """What each process prints. Raises: AssertionError with all they said where one of them failed."""
    ended = finish(start(arguments, n, **more))
    assert [code for code, *_ in ended] == [0] * n, ended
    return [out for _, out, _ in ended]
