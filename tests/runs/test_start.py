"""Training that starts from a run: its weights, the stages of one command, what is refused, and that it can be resumed."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from states import continued, kept

import recpref
from recpref import components, console, experiment
from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.leaderboard.differences import differences
from recpref.leaderboard.rows import rows_of
from recpref.runs.resuming import plan_to_continue
from recpref.runs.run import Run
from recpref.runs.saving import OBJECTIVE
from recpref.runs.start import begin, finished, refuse_start
from recpref.train import train
from recpref.workplace import STATE

SHAPE = ("d_model=8", "n_layers=1", "n_heads=1", "max_len=10")
SHORT = ("trainer.max_epochs=2", "stopping.every=1", "loader.batch_size=16", "logger=csv", "evaluation.ks=[2,10]")
SASREC = ("model=sasrec", *(f"model.{option}" for option in SHAPE), *SHORT)
ADA = (
    "model=ada_retrieval", "model.n_rounds=3", "model.per_round=2", *(f"base.{option}" for option in SHAPE),
    "sampler.n_negatives=5", *SHORT,
)  # fmt: skip


def frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"user_id": np.repeat(np.arange(40), 8), "item_id": rng.integers(0, 25, 320), "timestamp": np.tile(np.arange(8), 40)}
    )


def interactions(seed: int = 0, name: str = "toy") -> Interactions:
    return Interactions.from_dataframe(frame(seed), user="user_id", item="item_id", time="timestamp", name=name)


@pytest.fixture(scope="module")
def data() -> Interactions:
    return interactions()


@pytest.fixture(scope="module")
def base(data: Interactions, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A trained SASRec."""
    return recpref.fit(*SASREC, f"out={tmp_path_factory.mktemp('base')}", data=data)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.model.state_dict()


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def started(base: Run, *overrides: str) -> tuple[str, ...]:
    return (*overrides, f"start={base.path}")


# ------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("overrides", [SASREC, ADA])
def test_a_model_or_its_base_begins_with_the_weights_of_the_run(overrides: tuple[str, ...], base: Run) -> None:
    plan = compose(started(base, *overrides))
    facts = {"n_items": 25, "n_users": 40}
    model = components.model_of(plan, facts)
    part = model if overrides is SASREC else model.base
    assert not equal(part.state_dict(), weights(base))
    begin(model, plan)
    assert equal(part.state_dict(), weights(base))


def test_a_step_of_nothing_leaves_the_run_as_it_was(base: Run, data: Interactions, tmp_path: Path) -> None:
    """With a rate of 1e-30 the control is the base: the same weights and the same metrics."""
    run = recpref.fit(*started(base, *SASREC, "optimizer.lr=1e-30", "optimizer.average=0", f"out={tmp_path}"), data=data)
    assert equal(weights(run), weights(base))
    assert {key: value for key, value in run.metrics.items() if key.startswith("test/")} == {
        key: value for key, value in base.metrics.items() if key.startswith("test/")
    }


def test_the_control_goes_on_where_the_base_ended(base: Run, data: Interactions, tmp_path: Path) -> None:
    """Its digest is its own, the same for every seed, and says what it started from, wherever that lies."""
    run = recpref.fit(*started(base, *SASREC), f"out={tmp_path}", data=data)
    assert not equal(weights(run), weights(base))
    assert run.experiment.start == str(base.path)
    digest = run.experiment.digest(data.digest)
    assert digest != base.experiment.digest(data.digest)
    moved = base.path.name.replace("-s1", "")
    assert compose([*SASREC, f"start=elsewhere/sasrec/{moved}-s1", "seed=1"]).digest("x") == compose(
        [*SASREC, f"start=runs/sasrec/{moved}-s2", "seed=2"]
    ).digest("x")
    assert compose([*SASREC, "start=runs/sasrec/other-s1"]).digest("x") != compose([*SASREC, f"start=runs/sasrec/{moved}-s1"]).digest("x")


# ------------------------------------------------------------------------------------ what objectives learned

NBPO = ("objective=nbpo", "sampler=uniform", "sampler.n_negatives=5", "objective.by=[level,popularity,item,state]")
WARM = (*NBPO, "objective.warmup_epochs=0")
STILL = ("optimizer.lr=1e-30", "optimizer.average=0")


@pytest.fixture(scope="module")
def flipped(data: Interactions, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A SASRec with learned flips."""
    return recpref.fit(*SASREC, *WARM, "objective.flip_lr=30", f"out={tmp_path_factory.mktemp('flipped')}", data=data)


@pytest.mark.parametrize("overrides", [SASREC, (*ADA, "refit=true")])
def test_flips_go_on_where_they_ended(overrides: tuple[str, ...], flipped: Run, data: Interactions, tmp_path: Path) -> None:
    """With a rate of 1e-30 they are the first run's, of the refit, too, whose items are as popular as its own rows say."""
    run = recpref.fit(*started(flipped, *overrides, *NBPO, *STILL), f"out={tmp_path}", data=data)
    learned = {name: value for name, value in flipped.objective_state.items() if name.startswith(("flips.by_", "flips.p", "flips.i"))}
    assert len(learned) == 6
    for file in (file for file in (run.path / OBJECTIVE, run.path / "refit" / OBJECTIVE) if file.is_file()):
        state = load_file(file)
        differ = [name for name, value in learned.items() if not torch.equal(state[name], value)]
        assert differ == (["flips.popularity"] if file.parent != run.path else [])
    assert file.parent.name == ("refit" if "refit=true" in overrides else run.path.name)


def test_flips_that_go_on_have_no_new_warm_up(flipped: Run, data: Interactions, tmp_path: Path) -> None:
    """They move though the warm-up is longer than the training, also where it was interrupted and continued: bit for bit, and without the
    run that it started from, which may be gone by then."""
    first = recpref.load(shutil.copytree(flipped.path, tmp_path / "first" / flipped.path.name))
    overrides = (*started(first, *SASREC, *NBPO), "objective.warmup_epochs=5", "stopping.save_seconds=0", f"out={tmp_path / 'runs'}")
    with kept(tmp_path) as states:
        whole = recpref.fit(*overrides, data=data)
    expected = whole.objective_state
    assert not torch.equal(expected["flips.by_item"], flipped.objective_state["flips.by_item"])
    shutil.rmtree(first.path)
    for _, run in continued(whole, (states[0], states[-2]), data):
        assert equal(run.objective_state, expected)
        assert equal(weights(run), weights(whole))


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("objective.by=[level]", r"objective\.by is \['level', 'popularity', 'item', 'state'\] there and \['level'\] here"),
        ("objective.prior=0.3", r"objective\.prior is 0\.1 there and 0\.3 here"),
        ("objective.d_flip=4", r"flips\..*"),
    ],
)
def test_flips_of_another_meaning_begin_anew(override: str, why: str, flipped: Run, data: Interactions, tmp_path: Path) -> None:
    """Which a line says."""
    with pytest.warns(UserWarning, match=rf"^start={flipped.path}: what objective=nbpo learns begins anew, and not .* there: {why}$"):
        run = recpref.fit(*started(flipped, *SASREC, *WARM, *STILL, override), f"out={tmp_path}", data=data)
    assert run.objective_state["flips.by_level"].abs() < 1e-20


def test_flips_after_a_run_without_any_begin_anew(base: Run, flipped: Run, data: Interactions, tmp_path: Path) -> None:
    """A line says so. Constant flips, and an objective that learns nothing, have nothing to begin."""
    with pytest.warns(UserWarning, match=r"what objective=nbpo learns begins anew, and not .* there: objective is score there$"):
        recpref.fit(*started(base, *SASREC, *WARM), f"out={tmp_path}", data=data)
    recpref.fit(*started(base, *SASREC, *WARM[:3], "objective.by=[]", "trainer.max_epochs=1"), f"out={tmp_path}", data=data)
    recpref.fit(*started(flipped, *SASREC, "trainer.max_epochs=1"), f"out={tmp_path}", data=data)


def test_damaged_flips_are_refused(flipped: Run, data: Interactions, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(flipped.path, tmp_path / flipped.path.name))
    (copy / OBJECTIVE).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"objective\.safetensors cannot be read"):
        recpref.fit(*SASREC, *WARM, f"start={copy}", f"out={tmp_path}/new", data=data)


# -------------------------------------------------------------------------------------------------- stages


def test_one_command_trains_the_base_and_then_all(data: Interactions, tmp_path: Path) -> None:
    """The base's run is the very run that it would be alone, and is trained once."""
    run = recpref.fit(*ADA, f"out={tmp_path}", data=data)
    (path,) = tmp_path.glob("toy/sasrec/*")
    assert run.experiment.start == str(path)
    alone = recpref.fit(
        *SASREC,
        "loss=bce",
        "sampler=uniform",
        "sampler.n_negatives=5",
        "sampler.exclude_history=true",
        f"out={tmp_path / 'alone'}",
        data=data,
    )
    assert alone.path.name == path.name
    assert equal(weights(alone), weights(Run.load(path)))
    written = (path / "metrics.json").stat().st_mtime_ns
    other = recpref.fit(*ADA, "model.loss_decay=0.5", f"out={tmp_path}", data=data)
    assert (path / "metrics.json").stat().st_mtime_ns == written
    assert other.experiment.start == run.experiment.start
    assert other.path != run.path
    assert len(list(tmp_path.glob("toy/*/*"))) == 3


def test_a_base_that_is_kept_is_the_run_before(data: Interactions, tmp_path: Path) -> None:
    """model.base_lr=0: in the saved run the base has the first stage's weights bit for bit, and the adapters have learned."""
    run = recpref.fit(*ADA, "model.base_lr=0", f"out={tmp_path}", data=data)
    kept, before = weights(run), weights(Run.load(Path(run.experiment.start)))
    assert equal({name.removeprefix("base."): value for name, value in kept.items() if name.startswith("base.")}, before)
    free = weights(recpref.fit(*ADA, f"out={tmp_path}", data=data))
    assert not equal({name.removeprefix("base."): value for name, value in free.items() if name.startswith("base.")}, before)


def test_the_control_is_one_command_too(data: Interactions, tmp_path: Path) -> None:
    """start=self trains the plan itself first, as the run that it is alone, and then goes on from there: what naming that run does."""
    run = recpref.fit(*SASREC, "start=self", f"out={tmp_path}", data=data)
    first, second = sorted(tmp_path.glob("toy/sasrec/*"), key=lambda path: path != Path(run.experiment.start))
    assert second == run.path
    assert Run.load(first).experiment.start == "none"
    named = recpref.fit(*SASREC, f"start={first}", f"out={tmp_path / 'named'}", data=data)
    assert named.path.name == run.path.name
    assert equal(weights(named), weights(run))


def test_the_seconds_of_all_stages_before_are_kept(base: Run, data: Interactions, tmp_path: Path) -> None:
    """Of a second stage those of the first; of a third those of both. Who starts from nothing has no such number."""
    assert "train/seconds_before" not in base.metrics
    second = recpref.fit(*started(base, *SASREC), f"out={tmp_path}", data=data)
    assert second.metrics["train/seconds_before"] == base.metrics["train/seconds"] > 0
    third = recpref.fit(*started(second, *ADA, "refit=true"), f"out={tmp_path}", data=data)
    both = second.metrics["train/seconds"] + base.metrics["train/seconds"]
    assert third.metrics["train/seconds_before"] == pytest.approx(both)
    (row,) = rows_of([third.path])
    assert row.cost.train_seconds == pytest.approx(third.metrics["train/seconds"] + both)


@pytest.mark.usefixtures("unchecked")
def test_two_stages_take_no_random_numbers_of_the_caller(data: Interactions, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    recpref.fit(*ADA, "trainer.max_epochs=1", f"out={tmp_path}", data=data)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_said_of_both_holds_for_both(tmp_path: Path) -> None:
    """Everything but the model, its examples and where it starts; unless examples are named."""
    plan = compose([*ADA, "optimizer.lr=0.5", "seed=3", "refit=true", "loss=cross_entropy", f"out={tmp_path}", "recipe=published"])
    before = plan.before
    assert before is not None
    assert (before.optimizer, before.seed, before.out, before.recipe) == (plan.optimizer | {"method": "adam"}, 3, plan.out, "published")
    assert (before.loss, before.sampler, before.evaluation, before.trainer["max_epochs"]) == (plan.loss, plan.sampler, plan.evaluation, 2)
    assert (before.model.name, before.model.options, before.start, before.refit) == ("sasrec", plan.base.options, "none", False)
    assert (plan.examples.name, before.examples.name) == ("prefix", "next_item")
    named = compose([*ADA, "examples=prefix", "examples.stride=0.5"]).before
    assert named is not None
    assert (named.examples.name, named.examples.options) == ("prefix", {"stride": 0.5})


def test_from_scratch_there_is_no_base_to_train(data: Interactions, tmp_path: Path) -> None:
    run = recpref.fit(*ADA, "start=none", f"out={tmp_path}", data=data)
    assert run.experiment.start == "none"
    assert not list(tmp_path.glob("toy/sasrec"))


@pytest.mark.parametrize("name", ["gru4rec", "bert4rec", "srgnn"])
def test_every_base_has_its_two_stages(name: str, data: Interactions, tmp_path: Path) -> None:
    """A saved run is loaded again and serves new users with different items, whose first places are round 1's."""
    run = recpref.fit(
        "model=ada_retrieval", f"base={name}", "base.d_model=8", "model.n_rounds=3", "model.per_round=2", "sampler.n_negatives=5",
        *SHORT, "trainer.max_epochs=1", f"out={tmp_path}", data=data,
    )  # fmt: skip
    again = recpref.load(run.path)
    assert equal(weights(again), weights(run))
    history = pd.DataFrame({"user_id": ["new"] * 3, "item_id": [4, 5, 6], "timestamp": [0, 1, 2]})
    found = again.recommend(history, k=9)
    assert len(set(found["item"])) == 9
    assert not set(found["item"]) & {4, 5, 6}
    assert found["item"].tolist()[:2] == again.recommend(history, k=2)["item"].tolist()
    assert len(again.similar([4], k=3)) == 3
    assert {"test/hr@2", "test/hr@10"} <= again.metrics.keys()


def test_sampled_candidates_and_aspects_are_measured_in_rounds(data: Interactions, tmp_path: Path) -> None:
    options = ("evaluation.sampled=uniform", "evaluation.n_negatives=6", "start=none", f"out={tmp_path}")
    run = recpref.fit(*ADA, *options, data=data)
    assert run.metrics["test/sampled-uniform-6/hr@10"] == 1.0  # 7 candidates in 10 places
    assert {"test/coverage@10", "test/history-q1/ndcg@10"} <= run.metrics.keys()


def test_the_command_prints_what_it_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame().to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["train", *ADA, "evaluation.ks=[2,50]", f"data={tmp_path}/clicks.csv", f"out={tmp_path}/runs"])
    console.main(train)
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("ada_retrieval", "sasrec, the first stage", "popular", "NDCG@50"))


# ------------------------------------------------------------------------------------------------- refusals


def refused(base: Run, data: Interactions, tmp_path: Path, message: str, *overrides: str) -> None:
    """Before anything is trained or written, and in one line."""
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        recpref.fit(*started(base, *overrides), f"out={tmp_path}", data=data)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_run_on_other_data_is_refused(base: Run, tmp_path: Path) -> None:
    refused(base, interactions(1, "others"), tmp_path, r"start=.* was trained on other data \(toy\) than .*others", *SASREC)


def test_what_differs_in_other_data_is_said(base: Run, tmp_path: Path) -> None:
    """One row less of the same items, and other items."""
    fewer, renamed = frame().iloc[1:], frame().assign(item_id=frame()["item_id"].map("x{}".format))
    for rows, message in ((fewer, "its items are the same, but not its rows, users or times$"), (renamed, "it knows other items$")):
        other = Interactions.from_dataframe(rows, user="user_id", item="item_id", time="timestamp", name="others")
        refused(base, other, tmp_path, message, *SASREC)


def test_a_run_of_another_split_is_refused(base: Run, data: Interactions, tmp_path: Path) -> None:
    message = r"was trained on split=leave_one_out.* and may know what split=leave_last_n .*n_test=2.* holds out"
    refused(base, data, tmp_path, message, *SASREC, "split=leave_last_n", "split.n_test=2")


@pytest.mark.parametrize("overrides", [(*SASREC, "model.d_model=16"), (*ADA, "base.d_model=16")])
def test_a_run_of_another_shape_is_refused(overrides: tuple[str, ...], base: Run, data: Interactions, tmp_path: Path) -> None:
    refused(base, data, tmp_path, r"has other shapes: items\.weight is \[26, 8\] there and \[26, 16\] here", *overrides)


def test_a_run_with_other_parts_is_refused(base: Run, data: Interactions, tmp_path: Path) -> None:
    refused(base, data, tmp_path, r"layers\.1\..* is nothing there and \[.*\] here", *SASREC, "model.n_layers=2")


def test_a_run_of_another_model_is_refused(base: Run, data: Interactions, tmp_path: Path) -> None:
    refused(base, data, tmp_path, r"is a run of model=sasrec, and weights are wanted of gru4rec", "model=gru4rec", *SHORT)
    refused(base, data, tmp_path, r"wanted of ada_retrieval or gru4rec", *ADA[:3], "base=gru4rec", *SHORT)


def test_a_refitted_run_is_refused(data: Interactions, tmp_path: Path) -> None:
    refitted = recpref.fit(*SASREC, "refit=true", f"out={tmp_path / 'refitted'}", data=data)
    refused(refitted, data, tmp_path / "new", r"was refitted and knows the rows that are to validate", *SASREC)


def test_a_model_that_counts_starts_from_nothing(data: Interactions, tmp_path: Path) -> None:
    counted = recpref.fit("model=popular", f"out={tmp_path / 'counted'}", data=data)
    refused(counted, data, tmp_path / "new", r"model=popular only counts and starts from nothing", "model=popular")


def test_a_damaged_run_or_none_is_refused(base: Run, data: Interactions, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere is not a run"):
        recpref.fit(*SASREC, f"start={tmp_path}/nowhere", f"out={tmp_path}", data=data)
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"copy/model\.safetensors cannot be read"):
        recpref.fit(*SASREC, f"start={copy}", f"out={tmp_path}/new", data=data)
    (copy / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"lacks metrics\.json"):
        refuse_start(compose([*SASREC, f"start={copy}"]), data)


def test_an_interrupted_run_is_refused(base: Run, data: Interactions, tmp_path: Path) -> None:
    """The same command would mean other weights once it is finished."""
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    (copy / "metrics.json").write_text(json.dumps({**base.metrics, "train/interrupted": True}))
    with pytest.raises(ValueError, match=rf"^start={copy} was interrupted; continue it with resume={copy}, or train it anew$"):
        recpref.fit(*SASREC, f"start={copy}", f"out={tmp_path}/new", data=data)
    assert not (tmp_path / "new").exists()


def test_mistakes_of_the_second_stage_are_told_before_the_first(data: Interactions, tmp_path: Path) -> None:
    """Nobody waits for the base to learn that there are too many rounds, or rows of several targets."""
    for override, message in (
        ("model.per_round=20", r"n_rounds=3 times per_round=20 are more than the 25 items"),
        ("examples=next_item", r"examples=next_item asks for several items of a row, .*; use examples=prefix"),
        ("model.loss_decay=-1", r"loss_decay=-1\.0 must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            recpref.fit(*ADA, override, f"out={tmp_path}", data=data)
    with pytest.raises(ValueError, match=r"use examples=cloze examples\.last_ratio=1"):
        wrong = ("base=bert4rec", "examples=cloze", "examples.last_ratio=0.5", "sampler.n_negatives=5")
        recpref.fit(*ADA[:3], *wrong, f"out={tmp_path}", data=data)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# -------------------------------------------------------------------------------- interrupted and continued


def test_where_it_started_from_is_found_from_anywhere(
    base: Run, data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named relative to a folder, and written as a whole path; said again beside resume= in that folder, it is the same."""
    monkeypatch.chdir(base.path.parent)
    run = recpref.fit(*SASREC, f"start={base.path.name}", f"out={tmp_path / 'runs'}", data=data)
    assert run.experiment.start == str(base.path)
    (run.path / STATE).write_text("hours of work")
    assert plan_to_continue(run.path, {"start": base.path.name}).start == str(base.path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"start is {base.path} there, and {base.path.name} was asked for"):
        plan_to_continue(run.path, {"start": base.path.name})


def test_an_interrupted_base_is_not_gone_on_with(data: Interactions, tmp_path: Path) -> None:
    run = recpref.fit(*ADA, f"out={tmp_path}", data=data)
    path = Path(run.experiment.start)
    assert finished(path)
    assert not finished(tmp_path)
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").write_text(json.dumps(metrics | {"train/interrupted": True}))
    assert not finished(path)
    recpref.fit(*ADA, f"out={tmp_path}", data=data)  # there is nothing to continue, so it is trained anew
    assert finished(path)
    (path / "metrics.json").write_text(json.dumps(metrics | {"train/interrupted": True}))
    (path / STATE).write_text("hours of work")
    with pytest.raises(ValueError, match=rf"the first stage was interrupted; continue it with resume={path}"):
        recpref.fit(*ADA, f"out={tmp_path}", data=data)
    assert (path / STATE).is_file()


def test_a_base_that_is_stopped_stops_the_command(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the first stage: its run is kept as interrupted, and the message says how to go on."""
    original = experiment.train
    monkeypatch.setattr(experiment, "train", lambda *given: original(*given)._replace(interrupted=True))
    with pytest.raises(ValueError, match=r"the first stage was interrupted; continue it with resume=.*sasrec.*, and say this again"):
        recpref.fit(*ADA, f"out={tmp_path}", data=data)
    assert not list(tmp_path.glob("toy/ada_retrieval/*"))


def test_from_every_saved_state_training_ends_at_the_same_weights(data: Interactions, tmp_path: Path) -> None:
    """Bit for bit, and without the run that it started from, which may be gone by then."""
    options = (*ADA, "stopping.save_seconds=0", "optimizer.decay=linear", "optimizer.average=0.9", f"out={tmp_path / 'runs'}")
    with kept(tmp_path, of="ada_retrieval") as states:
        whole = recpref.fit(*options, data=data)
    expected = weights(whole)
    shutil.rmtree(whole.experiment.start)
    assert len(states) > 10
    for _, run in continued(whole, (states[0], states[len(states) // 2], states[-1]), data):
        assert equal(weights(run), expected)
        assert run.metrics | {"train/seconds": 0} == whole.metrics | {"train/seconds": 0}


# ------------------------------------------------------------------------------------------------- options of the second stage


def test_the_second_stage_of_one_command_is_the_run_that_two_commands_make(data: Interactions, tmp_path: Path) -> None:
    """And its first stage is the run that it would be alone."""
    alone = recpref.fit(*SASREC, f"out={tmp_path}", data=data)
    both = recpref.fit(*SASREC, "start=self", "then.optimizer.lr=0.1", "then.trainer.max_epochs=1", f"out={tmp_path}", data=data)
    assert both.experiment.start == str(alone.path)
    assert alone.path.stat().st_mtime_ns == Path(both.experiment.start).stat().st_mtime_ns
    changed = (*SASREC, "optimizer.lr=0.1", "trainer.max_epochs=1")
    twice = recpref.fit(*started(alone, *changed), f"out={tmp_path / 'elsewhere'}", data=data)
    assert equal(weights(both), weights(twice))
    assert both.path.name == twice.path.name
    assert not equal(weights(both), weights(recpref.fit(*SASREC, "start=self", f"out={tmp_path}", data=data)))


def test_the_command_of_two_stages_is_in_the_table(data: Interactions, tmp_path: Path) -> None:
    """It is found by the run that was started from, and composes to the same runs; where that is gone, its folder is named."""
    said = ["loss=bpr", "sampler=uniform", "sampler.n_negatives=3", "start=self"]
    then = ["then.loss=bce", "then.sampler.n_negatives=5", "then.optimizer.lr=0.1"]
    run = recpref.fit(*SASREC, *said, *then, f"out={tmp_path}", data=data)
    [row] = rows_of([run.path])
    assert {*said, *then} <= set(row.options)
    plan = compose(["model=sasrec", *row.options]).on(None, frame=True)
    assert experiment.located(replace(plan, out=str(tmp_path)), data)[1] == run.path
    written = Path(run.experiment.start) / "experiment.yaml"
    written.write_text(written.read_text().replace("d_model: 8", "d_model: 8\n  d_mode: 9"))  # of a version that knew more
    assert f"start={run.experiment.start}" in differences(run.experiment, row.data_digest)
    shutil.rmtree(run.experiment.start)
    assert f"start={run.experiment.start}" in differences(run.experiment, row.data_digest)


def test_it_is_resumed_by_what_was_said_of_it(data: Interactions, tmp_path: Path) -> None:
    said = (*SASREC, "then.optimizer.lr=0.1")
    run = recpref.fit(*said, "start=self", f"out={tmp_path}", data=data)
    cut = tmp_path / "cut" / run.path.name
    hidden = cut.with_name(f".{cut.name}.partial")
    shutil.copytree(run.path, hidden)
    (hidden / STATE).write_bytes(b"")
    asked = dict(option.split("=", 1) for option in said)
    assert plan_to_continue(cut, asked).optimizer["lr"] == 0.1
    with pytest.raises(ValueError, match=r"optimizer\.lr is 0\.1 there, and 0\.2 was asked for"):
        plan_to_continue(cut, asked | {"then.optimizer.lr": "0.2"})
