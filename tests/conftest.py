"""Shapes and types are checked at run time in the tests, and only there. One thread a process: two run side by side."""

from __future__ import annotations

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)

with install_import_hook("recpref", "beartype.beartype"):
    import recpref  # noqa: F401


def pytest_addoption(parser):
    parser.addoption("--golden-write", action="store_true", help="write new golden numbers (see tests/golden)")
