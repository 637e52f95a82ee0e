"""Shapes and types are checked at run time in the tests, and only there. One thread a process: two run side by side."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)

install_import_hook("recpref", "typecheck.check")  # for good: most modules are imported only when they are used


def pytest_addoption(parser):
    parser.addoption("--golden-write", action="store_true", help="write new golden numbers (see tests/golden)")


def pytest_configure() -> None:
    """Ctrl-C means what it does in a terminal, for what the tests start, too: whoever begins them in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Files with what takes long begin first, so that no process is left alone with it at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """49 users who mostly walk along 0, 1, 2, ... 29, with histories of 4 to 13."""
    rng = np.random.default_rng(0)
    rows = [(u, (7 * u + t + rng.integers(0, 2)) % 30, t) for u in range(49) for t in range(4 + u % 10)]
    file = tmp_path_factory.mktemp("data") / "clicks.csv"
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(file, index=False)
    return file


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder in which nothing can be made, for root neither: for the while of a test root is nobody, whom modes do bind."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # under tmp_path nobody could not even look
        Path(name).chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o755)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the checks of types, as users run it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
