"""Freed memory is kept: what the system hands out again after a step, counted in pages, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from recpref.training import kept_memory
from recpref.training.kept_memory import KEPT, LEAST, MMAP_THRESHOLD, SETTINGS, TRIM_THRESHOLD, keep_freed_memory

PROGRAM = """
import resource, sys, torch
from recpref.training.kept_memory import keep_freed_memory

def step():
    for megabytes in (4, 64, 16, 64, 40):
        torch.ones(megabytes * 2**18).sum()

print(keep_freed_memory() if "kept" in sys.argv else "as it was")
for _ in range(3):  # until the heap is as large as it will be: where blocks lie in it differs from process to process
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LIBRARY, VERSION = platform.libc_ver()
NEW = LIBRARY == "glibc" and tuple(map(int, VERSION.split(".")[:2])) >= (2, 36)  # older ones may keep blocks of 32 MB at most
counted = pytest.mark.skipif(not NEW or (HUGE.is_file() and "[always]" in HUGE.read_text()), reason="not glibc 2.36, or pages are huge")


def pages(*words: str, **environment: str) -> tuple[str, int]:
    """What was said, and how many pages ten steps asked the system for."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], env=environment, capture_output=True, text=True, check=True, timeout=120)
    said, count = done.stdout.split("\n")[:2]
    return said, int(count)


@counted
def test_steps_ask_the_system_for_no_page_again() -> None:
    """At most a hundredth of the pages that the same steps ask for where nothing was set."""
    (_, before), (kept, after) = pages(), pages("kept")
    assert kept == "True"
    assert before > 10 * 2 * 64 * 2**20 / 4096 * 0.9  # the two large blocks of every step at least
    assert after < before / 100


@counted
@pytest.mark.parametrize("setting", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_says_stays(setting: str) -> None:
    value = "glibc.malloc.mmap_threshold=1048576" if setting == "GLIBC_TUNABLES" else "1048576"
    said, count = pages("kept", **{setting: value})
    assert said == "False"
    assert count > 10 * 188 * 2**20 / 4096 * 0.9


class Library:
    """A C library whose ``mallopt`` refuses some pairs, and remembers what it took."""

    def __init__(self, *refused: tuple[int, int]):
        self.refused, self.taken = refused, dict[int, int]()

    def mallopt(self, parameter: int, value: int) -> int:
        if (parameter, value) in self.refused:
            return 0
        self.taken[parameter] = value
        return 1


@pytest.fixture
def on_linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(kept_memory.sys, "platform", "linux")
    for setting in SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    return monkeypatch


def test_an_older_glibc_keeps_the_largest_blocks_that_it_can(on_linux: pytest.MonkeyPatch) -> None:
    library = Library((MMAP_THRESHOLD, KEPT))
    on_linux.setattr(kept_memory.ctypes, "CDLL", lambda _: library)
    assert keep_freed_memory()
    assert library.taken == {MMAP_THRESHOLD: LEAST, TRIM_THRESHOLD: KEPT}


def test_other_libraries_and_systems_are_left_alone(on_linux: pytest.MonkeyPatch) -> None:
    refusing = Library((MMAP_THRESHOLD, KEPT), (MMAP_THRESHOLD, LEAST), (TRIM_THRESHOLD, KEPT))
    for library in (SimpleNamespace(), refusing):
        on_linux.setattr(kept_memory.ctypes, "CDLL", lambda _, library=library: library)
        assert not keep_freed_memory()
    assert refusing.taken == {}
    on_linux.setattr(kept_memory.sys, "platform", "darwin")
    on_linux.setattr(kept_memory.ctypes, "CDLL", None)  # not asked
    assert not keep_freed_memory()
