"""Where and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = ("recpref", "torch", "pytorch-lightning", "numpy", "pandas", "pyarrow", "hydra-core")


def environment(accelerator: str | None = "cpu") -> dict[str, Any]:
    """Versions, commit, device, load and peak memory (MiB) of this process, now.

    ``device`` is what trained: ``accelerator`` is the trainer's, None for a choice of its own. Lists were made on the processor.
    """
    import torch

    processor = platform.processor() or platform.machine()
    on_gpu = accelerator not in ("cpu", "mps", "tpu") and torch.cuda.is_available()

    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": commit(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if on_gpu else processor,
        "recommended_on": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": list(os.getloadavg()),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
    }


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of the checkout this package lies in, with ``+`` where it has been changed since; None elsewhere."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
