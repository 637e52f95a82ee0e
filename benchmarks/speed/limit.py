"""What an epoch of recpref asks of the machine, and what the machine can do: python benchmarks/speed/limit.py ASKED.json

Prints one JSON object: the floating-point operations of the epoch's products of matrices (as torch counts them while it trains), the
machine's best rate in float32 (a product of two 2048 x 2048 matrices) and its bandwidth (a copy of 512 MB). Operations over the rate are
seconds that no program on this machine can go below, whatever it is written in.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def seconds(work: Callable[[], object], times: int = 9) -> float:
    """The fastest of some: nothing makes a machine faster than it is."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def machine() -> dict[str, float]:
    """``rate``: operations a second; ``bandwidth``: bytes read and written a second."""
    left, right, out = (torch.randn(2048, 2048) for _ in range(3))
    large, copy = (torch.zeros(2**26) for _ in range(2))
    return {
        "rate": 2 * 2048**3 / seconds(lambda: torch.mm(left, right, out=out)),
        "bandwidth": 2 * large.numel() * 4 / seconds(lambda: copy.copy_(large)),
    }


def operations(asked: dict[str, object]) -> int:
    """Of one epoch."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import recpref_peer

    with FlopCounterMode(display=False) as counter:
        recpref_peer.main({**asked, "epochs": 1, "recommended": False})
    return counter.get_total_flops()


if __name__ == "__main__":
    torch.set_num_threads(2)
    found = machine()
    print(json.dumps({**found, "operations": operations(json.loads(Path(sys.argv[1]).read_text()))}))
