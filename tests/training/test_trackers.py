"""Trackers by name."""

from __future__ import annotations

import pytest
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from recpref.training.trackers import chosen_trackers, trackers


def test_one_or_several():
    assert chosen_trackers("csv") == ["csv"]
    assert chosen_trackers(["csv", "tensorboard"]) == ["csv", "tensorboard"]
    assert chosen_trackers([]) == []


def test_none_is_none(tmp_path):
    """Alone; beside another it is unknown."""
    assert chosen_trackers("none") == chosen_trackers(["none"]) == []
    assert trackers("none", tmp_path, "a run") == []
    with pytest.raises(ValueError, match=r"unknown logger 'none'; .*known: csv, mlflow, tensorboard, wandb, or none alone"):
        chosen_trackers(["csv", "none"])


def test_unknown_and_missing_ones_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="unknown logger 'tensorbord'; did you mean 'tensorboard'"):
        chosen_trackers("tensorbord")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="logger=wandb needs a package that is not installed: pip install wandb"):
        chosen_trackers(["csv", "wandb"])


def test_a_resumed_training_does_not_write_over_the_logs(tmp_path):
    first = trackers(["csv", "tensorboard"], tmp_path, "a run")
    assert [type(logger) for logger in first] == [CSVLogger, TensorBoardLogger]
    assert {logger.log_dir for logger in first} == {str(tmp_path / "logs")}
    (tmp_path / "logs").mkdir()
    assert trackers("csv", tmp_path, "a run")[0].log_dir == str(tmp_path / "logs-2")
