"""Records: what a run has written is read without its model, and damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from recpref.leaderboard.record import found, recorded


def test_a_record_by_hand(make_run) -> None:
    """The plan, the measured values and the users' are those that were written."""
    path = make_run("model=sasrec", seed=3, values=[1, 0, 0.5], epochs=4)
    record = recorded(path)
    assert (record.plan.model.name, record.plan.seed, record.written.facts.n_items) == ("sasrec", 3, 40)
    assert record.per_user["ndcg@10"].to_dict() == {"u0": 1, "u1": 0, "u2": 0.5}
    assert not record.interrupted
    assert record.environment["device"] == "cpu"
    assert list(record.curve.columns) == ["epoch"]
    assert len(record.curve) == 0


def test_the_curve_of_a_training_that_was_continued(make_run) -> None:
    """Epochs count from 1; what was logged in two rows is one, and an epoch that was logged twice counts as in the later log."""
    path = make_run("model=sasrec", epochs=3)
    for name, text in (
        ("logs", "epoch,train/loss,valid/ndcg@10\n0,,0.1\n0,3.0,\n1,,0.2\n1,2.0,\n"),
        ("logs-2", "epoch,train/loss,valid/ndcg@10\n1,,0.25\n1,1.5,\n2,,0.3\n"),
    ):
        (path / name).mkdir()
        (path / name / "metrics.csv").write_text(text)
    curve = recorded(path).curve
    assert curve["epoch"].tolist() == [1, 2, 3]
    assert curve["valid/ndcg@10"].tolist() == [0.1, 0.25, 0.3]
    assert curve["train/loss"].tolist()[:2] == [3.0, 1.5]


def test_an_interrupted_run_says_so(make_run) -> None:
    assert recorded(make_run("model=sasrec", metrics={"train/interrupted": True})).interrupted


@pytest.mark.parametrize("name", ["metrics.json", "environment.json", "per_user.parquet"])
def test_damage_names_the_file(make_run, name: str) -> None:
    path = make_run()
    (path / name).write_text('{"test/ndcg@10": 0.')
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        recorded(path)
    (path / name).unlink()
    with pytest.raises(ValueError, match=f"is damaged: it lacks {name}; remove it"):
        recorded(path)


def test_other_damage(make_run, tmp_path: Path) -> None:
    path = make_run()
    (path / "metrics.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"metrics.json is damaged: it holds no table"):
        recorded(path)
    (path / "experiment.yaml").write_text("format: 9\n")
    (path / "metrics.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="has format 9"):
        recorded(path)
    with pytest.raises(FileNotFoundError, match="is not a run"):
        recorded(tmp_path)


def rewritten(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """The users' values as ``change`` makes them."""
    file = path / "per_user.parquet"
    change(pd.read_parquet(file)).to_parquet(file)


LOST = {
    "rows": (lambda frame: frame[frame["ndcg@10"] > 0], r"its users' mean ndcg@10 is 1\.000000, and metrics.json says 0\.500000; remove"),
    "a column": (lambda frame: frame.drop(columns="ndcg@10"), r"it has no column ndcg@10; remove .* and it will be made anew"),
    "all values": (lambda frame: frame.assign(**{"ndcg@10": float("nan")}), r"ndcg@10 is not a number for every user; remove"),
    "one value": (lambda frame: frame.assign(**{"ndcg@10": [1, 0, 1, None]}), r"ndcg@10 is not a number for every user; remove"),
    "that users are there once": (lambda frame: pd.concat([frame, frame]), r"user 'u0' is there more than once; remove"),
    "what it means": (lambda frame: frame.assign(**{"ndcg@x": "y"}), r"metrics.json knows nothing of its column ndcg@x; remove"),
    "numbers": (lambda frame: frame.assign(**{"ndcg@10": "high"}), r"ndcg@10 is not a number for every user; remove"),
}


@pytest.mark.parametrize("what", LOST)
def test_users_or_values_that_were_lost_are_damage(make_run, what: str) -> None:
    """Else fewer users, or none, would stand in a table as a result."""
    path = make_run(values=[1, 0, 1, 0], columns=("ndcg@10",))
    assert recorded(path).metrics["test/ndcg@10"] == 0.5
    change, said = LOST[what]
    rewritten(path, change)
    with pytest.raises(ValueError, match=rf"{path}/per_user.parquet is damaged: {said}"):
        recorded(path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("metrics.json", {}, r"metrics.json is damaged: it lacks train/seconds, train/parameters; remove"),
        ("metrics.json", {"train/seconds": "long", "train/parameters": 1}, r"train/seconds is 'long', and no number; remove"),
        ("metrics.json", {"train/seconds": 1, "train/parameters": [1]}, r"train/parameters is \[1\], and no number; remove"),
        ("metrics.json", {"train/seconds": None, "train/parameters": 1}, r"train/seconds is None, and no number; remove"),
        ("metrics.json", {"train/seconds": 1, "train/parameters": 1, "test/coverage@10": float("nan")}, r"test/coverage@10 is nan, and no"),
        ("metrics.json", {"train/seconds": float("inf"), "train/parameters": 1}, r"train/seconds is inf, and no number; remove"),
        (
            "metrics.json",
            {"train/seconds": 1, "train/parameters": 1, "train/seconds_before": float("nan")},
            r"train/seconds_before is nan, and no number; remove",
        ),
        ("environment.json", {"peak_memory_mib": float("nan")}, r"environment.json is damaged: peak_memory_mib is nan, and no number"),
        ("environment.json", {"threads": "two"}, r"environment.json is damaged: threads is 'two', and no number; remove"),
    ],
)
def test_texts_where_numbers_belong_are_damage(make_run, file: str, content: dict[str, object], said: str) -> None:
    path = make_run()
    (path / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=said):
        recorded(path)


def test_what_training_logged_and_is_undefined_is_not_there(make_run) -> None:
    """An AUC without positives: the run is whole, and the number is none."""
    record = recorded(make_run(epochs=2, metrics={"train/flip_auc": float("nan"), "train/flip_sd": 0.1}))
    assert "train/flip_auc" not in record.metrics
    assert record.metrics["train/flip_sd"] == 0.1


def test_nothing_held_out_is_no_damage(make_run) -> None:
    """``split=none`` measures nobody."""
    path = make_run(values=[])
    assert len(recorded(path).per_user) == 0


@pytest.mark.parametrize("left", ['epoch\n"0', "\0" * 64])  # what a power cut leaves
def test_damaged_logs(make_run, left: str) -> None:
    path = make_run("model=sasrec", epochs=1)
    (path / "logs").mkdir()
    (path / "logs" / "metrics.csv").write_text(left)
    with pytest.raises(ValueError, match="logs is damaged"):
        _ = recorded(path).curve


def test_runs_are_found_under_a_folder_and_by_the_beginning_of_their_names(make_run, tmp_path: Path) -> None:
    """A run, all seeds of one, a folder of many; what is hidden is being made, and is none."""
    first, second = make_run(seed=1), make_run(seed=2)
    other = make_run("model=sasrec", epochs=1)
    hidden = first.with_name(f".{first.name}.partial")
    hidden.mkdir()
    (hidden / "experiment.yaml").write_text("")
    assert found(first) == [first]
    assert found(first.with_name(first.name.removesuffix("-s1"))) == [first, second]
    assert set(found(tmp_path / "runs")) == {first, second, other}
    with pytest.raises(FileNotFoundError, match="no run is at or under"):
        found(tmp_path / "nowhere")
