"""How many processes the options of the trainer ask for, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from recpref.composition.compose import compose
from recpref.training import trainers
from recpref.training.stopping import Stopping
from recpref.training.trainers import (
    WORKSPACE,
    epochs_allowed,
    processes_of,
    quiet,
    refuse_nothing,
    settings_kept,
    trainer_for,
    with_strategy,
)

CPU = {"accelerator": "cpu"}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 1),
        ({"devices": 1, "strategy": "ddp"}, 1),
        ({"devices": 2}, 2),
        ({"devices": 2, "strategy": "ddp"}, 2),
        ({"devices": 3, "num_nodes": 2, "strategy": "ddp"}, 6),
        ({"devices": "auto"}, 1),  # of processors there is one
    ],
)
def test_processes_are_counted(options: dict[str, Any], count: int) -> None:
    """Devices times nodes, as Lightning understands them."""
    assert processes_of(CPU | options) == count


def test_a_strategy_of_other_processes_is_refused() -> None:
    """Those that start processes in the midst of training, or divide the model, are none of ours."""
    with pytest.raises(ValueError, match=r"unknown trainer\.strategy 'ddp_spawn'.*known: auto, ddp, "):
        processes_of({"strategy": "ddp_spawn", "devices": 2})


def test_another_number_than_was_started_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes of one each would write four runs into one folder."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"4 processes were started, and trainer\.devices=1 on trainer\.num_nodes=1 asks for 1; say"):
        processes_of(CPU)


def test_a_process_of_ours_starts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a suite or a search: Lightning would start the suite again."""
    monkeypatch.setattr(trainers.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=1))
    assert processes_of(CPU) == 1
    with pytest.raises(ValueError, match=r"trainer\.devices=2: here one process trains"):
        processes_of(CPU | {"devices": 2})


@pytest.mark.parametrize("resting", [True, False])
def test_the_strategy_follows_the_model(resting: bool) -> None:
    """Where parameters rest, processes look for them; what the user said stays."""
    chosen = f"ddp_find_unused_parameters_{'true' if resting else 'false'}"
    assert with_strategy({"strategy": "ddp", "devices": 2}, resting=resting) == {"strategy": chosen, "devices": 2}
    assert with_strategy({}, resting=resting) == {"strategy": chosen}
    said = {"strategy": "ddp_find_unused_parameters_true"}
    assert with_strategy(said, resting=resting) == said


@pytest.mark.parametrize(
    "length", [{"max_epochs": 0}, {"max_steps": 0}, {"max_time": "00:00:00:00"}, {"max_time": {"minutes": 0}}, {"limit_train_batches": 0.0}]
)
def test_a_length_of_nothing_is_refused(length: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"trainer\.{next(iter(length))}=.* would train nothing"):
        refuse_nothing({"max_epochs": 3, **length})


@pytest.mark.parametrize("batches", [0, -1])
def test_a_step_of_no_batches_is_refused(batches: int) -> None:
    with pytest.raises(ValueError, match=rf"^trainer\.accumulate_grad_batches={batches} must be at least 1$"):
        compose(["model=sasrec", f"trainer.accumulate_grad_batches={batches}"])


@pytest.mark.parametrize(
    "length", [{}, {"max_epochs": -1}, {"max_epochs": 10}, {"max_steps": -1, "max_time": None}, {"max_time": "00:00:10:00"}]
)
def test_other_lengths_are_not(length: dict[str, Any]) -> None:
    refuse_nothing(length | {"limit_train_batches": 0.05})


@pytest.mark.parametrize("before", [False, True])
def test_settings_of_the_process_are_kept(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Lightning sets for a training, after an error, too."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before)
    monkeypatch.setenv(WORKSPACE, ":16:8") if before else monkeypatch.delenv(WORKSPACE, raising=False)
    with pytest.raises(RuntimeError, match="broken"), quiet(), settings_kept():
        Trainer(deterministic=True, benchmark=not before, logger=False, enable_checkpointing=False, enable_progress_bar=False, **CPU)
        assert torch.are_deterministic_algorithms_enabled()
        assert (torch.backends.cudnn.benchmark, os.environ[WORKSPACE]) == (not before, ":4096:8")
        raise RuntimeError("broken")
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.benchmark, os.environ.get(WORKSPACE)) == (before, ":16:8" if before else None)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [({}, 1000), ({"max_epochs": 7}, 7), ({"max_epochs": -1}, -1), ({"max_steps": 9}, -1), ({"max_time": "00:00:01:00"}, -1)],
)
def test_how_many_epochs_are_allowed(options: dict[str, Any], epochs: int) -> None:
    assert epochs_allowed(options) == epochs


def test_what_lightning_refuses_is_told(tmp_path: Path) -> None:
    """With its words, as a mistake in the options."""
    with pytest.raises(ValueError, match=r"^trainer\.\*: "):
        trainer_for({"max_epochs": -5}, Stopping(), [], tmp_path, validated=True)


def test_training_on_a_processor_keeps_freed_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(trainers, "keep_freed_memory", lambda: told.append(True))
    trainer_for(CPU, Stopping(), [], tmp_path, validated=True)
    assert told == [True]


@pytest.mark.usefixtures("unchecked")
def test_parameters_that_rest_are_found() -> None:
    """One layer is used and one is not; random numbers, modes and gradients are left as they were."""
    from recpref.training.module import resting
    from recpref.types import Batch, History

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.rests = nn.Linear(2, 1), nn.Linear(2, 1)
            self.frozen = nn.Linear(2, 1).requires_grad_(False)
            self.frozen.eval()

    model = Half()
    module: Any = SimpleNamespace(model=model, objective=lambda model, batch, step: (model.used(torch.rand(1, 2)).sum(), 1, {}))
    batch = Batch(History(torch.tensor([[1]]), torch.tensor([1])), torch.tensor([[2]]))
    before = torch.get_rng_state()
    assert resting(module, batch) == ["0.rests.weight", "0.rests.bias"]
    assert torch.equal(torch.get_rng_state(), before)
    assert [part.training for part in (model, model.used, model.frozen)] == [True, True, False]
    assert all(parameter.grad is None for parameter in model.parameters())
