"""Shapes and types are checked at run time in the tests, and only there. One thread a process: two run side by side."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)

install_import_hook("recpref", "typecheck.check")  # for good: most modules are imported only when they are used


def pytest_addoption(parser):
    parser.addoption("--golden-write", action="store_true", help="write new golden numbers (see tests/golden)")


def pytest_collection_modifyitems(items):
    """Files with what takes long begin first, so that no process is left alone with it at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the checks of types, as users run it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
