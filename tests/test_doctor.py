"""python -m recpref.doctor: what is missing, the one command that mends it, and an exit code for scripts."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import pytest

from recpref import console, doctor
from recpref.data import cards

Doctor = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def run_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the verb as the command line would: exit code, output, complaints."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["doctor", *arguments])
        code: Any = 0
        try:
            console.main(doctor.doctor)
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every package is there, none is a known-bad version, and no data set is looked for on this machine."""
    monkeypatch.setattr(cards, "names", lambda: ["toy"])
    monkeypatch.setattr(cards, "nearest", lambda name: f"folder /data/{name}")


def version_is(monkeypatch: pytest.MonkeyPatch, package: str, version: str) -> None:
    """Pretends that ``package`` is installed in this version."""
    original = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == package else original(name))


def missing(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Pretends that ``packages`` are not installed."""
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in packages else original(name, *rest))


@pytest.mark.usefixtures("healthy")
def test_all_is_well(run_doctor: Doctor) -> None:
    """Exit code 0, a table, and no command to run."""
    code, out, err = run_doctor()
    assert (code, err) == (0, "")
    for text in ("recpref doctor", "Python", "all there", "device", "data=toy", "folder /data/toy", "RECPREF_DATA"):
        assert text in out
    assert "pip install" not in out


@pytest.mark.usefixtures("healthy")
def test_a_missing_package_is_named_with_the_command(run_doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1; the data, which needs the packages, is not looked for."""
    missing(monkeypatch, "pyarrow", "rich")
    code, out, _ = run_doctor()
    assert code == 1
    assert "missing: pyarrow, rich" in out
    assert "packages: pip install recpref" in out
    assert "data=toy" not in out


@pytest.mark.usefixtures("healthy")
def test_without_torch_there_is_no_device(run_doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor works where nothing works."""
    missing(monkeypatch, "torch")
    code, out, _ = run_doctor()
    assert code == 1
    assert "device" not in out


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("package", "version"), [("pytorch-lightning", "2.6.2"), ("pytorch-lightning", "2.6.3"), ("lightning", "2.6.3"), ("litellm", "1.82.7")]
)
def test_a_compromised_version_is_an_alarm(run_doctor: Doctor, monkeypatch: pytest.MonkeyPatch, package: str, version: str) -> None:
    """The versions that stole keys: upgrade, and change the keys."""
    version_is(monkeypatch, package, version)
    code, out, _ = run_doctor()
    assert code == 1
    assert f"{package}: pip install --upgrade {package}  # {version} was compromised; change your keys" in out


@pytest.mark.usefixtures("healthy")
def test_a_good_version_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer release of the same package is fine."""
    version_is(monkeypatch, "litellm", "1.90.0")
    assert doctor.Finding("litellm", "1.90.0") in doctor.examine()


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.10 is too old."""
    monkeypatch.setattr(cards, "names", list)
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert doctor.examine()[0] == doctor.Finding("Python", "3.10.4", "install Python 3.11 or newer")


def test_data_that_is_not_here_is_no_failure(run_doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that fetches it, where there is one, or where to put its files; the exit code stays 0."""
    monkeypatch.setattr(cards, "names", lambda: ["ml_1m", "ml_20m"])
    monkeypatch.setattr(cards, "nearest", lambda name: None)
    code, out, _ = run_doctor()
    assert code == 0
    assert "data=ml_1m: python -m recpref.train model=popular data=ml_1m  # downloads it if it may be; or put its files into" in out
    assert "data=ml_20m: put its files into $RECPREF_DATA/ml-20m" in out


def test_every_required_package_is_looked_for() -> None:
    """What the core needs at run time, by import name."""
    needed = {
        "torch",
        "pytorch_lightning",
        "hydra",
        "hydra_zen",
        "pandas",
        "pyarrow",
        "safetensors",
        "jaxtyping",
        "pooch",
        "rich",
        "matplotlib",
    }
    assert needed <= set(doctor.CORE)


def test_every_dependency_is_looked_for() -> None:
    """The doctor says what is missing before training does."""
    assert {"numpy", "yaml", "tensorboard"} <= set(doctor.CORE)


@pytest.mark.parametrize("switch", ["--help", "-h"])
def test_help(run_doctor: Doctor, switch: str) -> None:
    """What it is, and nothing else."""
    code, out, _ = run_doctor(switch)
    assert code == 0
    assert "python -m recpref.doctor" in out


@pytest.mark.parametrize(
    ("argument", "message"), [("model=sasrec", "model"), ("everything", "everything"), ("--fix", "unknown switch --fix")]
)
def test_other_arguments_are_refused(run_doctor: Doctor, argument: str, message: str) -> None:
    """One line that names the argument, and exit code 2."""
    code, out, err = run_doctor(argument)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
