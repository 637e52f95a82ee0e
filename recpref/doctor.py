"""python -m recpref.doctor: what is missing here, and the one command that mends it.

python -m recpref.doctor data=my.csv [data.user=...] looks at data instead, without training: what was read and dropped, how
long histories are, and what to beware of.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from typing import NamedTuple

from recpref import console

CORE = (
    *("torch", "pytorch_lightning", "tensorboard", "hydra", "hydra_zen", "yaml", "numpy", "pandas", "pyarrow"),
    *("safetensors", "jaxtyping", "pooch", "rich", "matplotlib"),
)
COMPROMISED = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3"), "litellm": ("1.82.7", "1.82.8")}


class Finding(NamedTuple):
    """One thing looked at. ``mend`` is the command that puts it right, empty where it is right already."""

    what: str
    state: str
    mend: str = ""


def examine() -> list[Finding]:
    """Everything that training needs: Python, packages, known-bad versions, the device, and data."""
    python = ".".join(map(str, sys.version_info[:3]))
    findings = [Finding("Python", python, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer")]
    missing = [name for name in CORE if importlib.util.find_spec(name) is None]
    findings.append(
        Finding("packages", f"missing: {', '.join(missing)}" if missing else "all there", "pip install recpref" if missing else "")
    )
    findings += [_version(name, bad) for name, bad in COMPROMISED.items()]
    if "torch" not in missing:
        findings.append(_device())
    if not missing:
        findings += _data()
    return findings


def _version(package: str, bad: tuple[str, ...]) -> Finding:
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, "not installed")
    mend = f"pip install --upgrade {package}  # {found} was compromised; change your keys" if found in bad else ""
    return Finding(package, found, mend)


def _device() -> Finding:
    import torch

    gpus = torch.cuda.device_count()
    return Finding("device", torch.cuda.get_device_name() if gpus else f"CPU, {torch.get_num_threads()} threads")


def _data() -> list[Finding]:
    from recpref.data import cards

    root = os.environ.get("RECPREF_DATA")
    findings = [Finding("RECPREF_DATA", root or "not set")]
    for name in cards.names():
        place = cards.nearest(name)
        findings.append(Finding(f"data={name}", place or "not here", "" if place else _where_to_put(name)))
    return findings


def _where_to_put(name: str) -> str:
    from recpref.data import cards

    sources = cards.card(name).sources
    folders = " or ".join(f"$RECPREF_DATA/{source.path}" for source in sources if source.kind == "folder")
    download = f"python -m recpref.train model=popular data={name}  # downloads it if it may be; or "
    return f"{download if any(source.kind == 'url' for source in sources) else ''}put its files into {folders}"


def doctor(arguments: list[str]) -> None:
    """The verb. Exit code 1 where something needed is missing. Raises: ValueError for bad data and other arguments."""
    given, overrides = console.switches(arguments, set())
    if given:
        print(__doc__)
    elif overrides:
        _examine_data(overrides)
    else:
        _examine_all()


def _examine_all() -> None:
    findings = examine()
    console.table("recpref doctor", ["what", "state"], [[finding.what, finding.state] for finding in findings])
    for finding in findings:
        if finding.mend:
            print(f"{finding.what}: {finding.mend}")
    if any(finding.mend for finding in findings if not finding.what.startswith("data=")):
        sys.exit(1)


def _examine_data(overrides: list[str]) -> None:
    from recpref.composition.compose import compose
    from recpref.data.checkup import facts, warnings
    from recpref.overrides import chosen
    from recpref.runs.source import opened

    for key in chosen(overrides):
        if key.partition(".")[0] != "data":
            raise ValueError(f"{key}: the doctor takes data=... and data.OPTION=..., or nothing")
    data = opened(compose([*overrides, "model=popular"]).data)
    for line in data.report:
        print(line)
    console.table(f"recpref doctor: {data.name}", ["what", "count"], facts(data))
    for line in warnings(data):
        print(f"beware: {line}")


if __name__ == "__main__":
    console.main(doctor)
