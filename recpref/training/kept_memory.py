"""A processor's memory is kept from one step to the next, where the C library would give it back and ask for it again.

glibc returns every block of more than 32 MB to the system when it is freed, and the end of its heap whenever 128 KB to 64 MB of it are
free. A step of training frees as much and needs the same again: the system then clears each page anew, which took up to a third of a
step (``benchmarks/LOG.md``). Allocators for GPUs keep what was freed, too.
"""

from __future__ import annotations

import ctypes
import os
import sys

KEPT = 2**30  # bytes: blocks below that size stay in the heap, and so much of its end may be free
LEAST = 2**25  # the largest block that older versions of glibc keep: they refuse a higher threshold
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as malloc.h has them
SETTINGS = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_")


def keep_freed_memory() -> bool:
    """Tells the C library to keep what is freed, for the rest of the process, and returns whether it does.

    It is not told where somebody else has set how it behaves (``SETTINGS`` in the environment), and only glibc can be.
    """
    if sys.platform != "linux" or not os.environ.keys().isdisjoint(SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    kept = any(mallopt(MMAP_THRESHOLD, size) for size in (KEPT, LEAST))
    return bool(mallopt(TRIM_THRESHOLD, KEPT)) and kept
