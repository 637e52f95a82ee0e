"""Many small blocks of rows, on the cores that torch may use: numpy lets other threads run while it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import TypeVar

import torch

BLOCK = 1 << 17  # rows at a time: few enough for a cache, many enough that no thread waits for the interpreter

Part = TypeVar("Part")

__all__ = ["BLOCK", "each", "edges"]


def edges(n: int) -> list[int]:
    """Where the blocks of ``n`` rows begin, and where the last one ends."""
    return [*range(0, n, BLOCK), n]


def each(bounds: Sequence[int], work: Callable[[int, int], Part]) -> list[Part]:
    """``work(one, other)`` for every two neighbours of ``bounds``, in this order. Each thread takes a run of neighbours."""
    blocks, threads = list(pairwise(bounds)), torch.get_num_threads()
    share = -(-len(blocks) // threads)
    if threads == 1 or share <= 1:
        return [work(*block) for block in blocks]
    runs = [blocks[first : first + share] for first in range(0, len(blocks), share)]
    with ThreadPoolExecutor(threads) as pool:
        return list(chain.from_iterable(pool.map(lambda run: [work(*block) for block in run], runs)))
