"""Differences from a recipe: the command that repeats a plan composes to that plan, and cut budgets are told."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from recpref.composition.compose import compose
from recpref.leaderboard.differences import budget, command, differences
from recpref.plan import Part, Plan

DIGEST = "d" * 64


def again(plan: Plan) -> Plan:
    """The plan that the command composes to, with the same data as it is found in a finished run."""
    words = shlex.split(command(plan, DIGEST))
    assert words[:3] == ["python", "-m", "recpref.train"]
    found = compose(words[3:])
    return found.on(found.data.name, **plan.data.options)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=popular"], []),
        (["model=sasrec", "recipe=published", "model.d_model=32"], ["recipe=published", "model.d_model=32"]),
        (
            ["model=sasrec", "loss=gbce", "sampler=uniform", "sampler.n_negatives=7"],
            ["loss=gbce", "sampler=uniform", "sampler.n_negatives=7"],
        ),
        (["model=sasrec", "split=global_temporal", "split.test_quantile=0.95"], ["split=global_temporal", "split.test_quantile=0.95"]),
        (["model=popular", "refit=true"], ["refit=true"]),
        (["model=sasrec", "table=hashed", "table.n_rows=40"], ["table=hashed", "table.n_rows=40"]),
        (["model=sasrec", "evaluation.ks=[5,10]", "trainer.max_epochs=3"], ["evaluation.ks=[5,10]", "trainer.max_epochs=3"]),
    ],
)
def test_the_command_repeats_the_plan(overrides: list[str], expected: list[str], located) -> None:
    plan = located(*overrides, seed=4)
    assert differences(plan, DIGEST) == expected
    assert again(plan).digest("x") == plan.digest("x")
    assert again(plan).seed == 4


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=sasrec", "start=self"], ["start=self"]),
        (["model=sasrec", "start=self", "model.d_model=32"], ["model.d_model=32", "start=self"]),
        (["model=ada_retrieval"], []),
        (["model=ada_retrieval", "base=gru4rec", "base.d_model=32"], ["base=gru4rec", "base.d_model=32"]),
        (["model=ada_retrieval", "start=none"], ["start=none"]),
        (["model=ada_retrieval", "start=runs/elsewhere/sasrec/12345678-s4"], ["start=runs/elsewhere/sasrec/12345678-s4"]),
    ],
)
def test_where_training_started_is_in_the_command(overrides: list[str], expected: list[str], located) -> None:
    """As it is found in a finished run: by the folder of the run that came before."""
    plan = located(*overrides, seed=4)
    if plan.before is not None:
        before = replace(plan.before, seed=4).on(plan.data.name, **plan.data.options)
        plan = replace(plan, start=f"runs/ml_100k/{before.model.name}/{before.digest(DIGEST)}-s4", before=None)
    assert differences(plan, DIGEST) == expected


def test_a_start_is_found_by_what_the_run_learned_from_beside_its_data(located) -> None:
    """Its base's folder is called by the codes, too."""
    plan = located("model=sasrec", "table=semantic_ids", "start=self", seed=4)
    assert plan.before is not None
    before = replace(plan.before, seed=4).on(plan.data.name, **plan.data.options)
    plan = replace(plan, start=f"runs/ml_100k/sasrec/{before.digest('codes')}-s4", before=None)
    assert "start=self" in differences(plan, DIGEST, "codes")
    assert f"start={plan.start}" in differences(plan, DIGEST)


def test_data_that_is_read_otherwise_is_in_the_command(located) -> None:
    """A card's own columns are left out; another time than the card's is not, and nor are those of a file."""
    assert command(located("model=popular"), DIGEST) == "python -m recpref.train model=popular data=ml_100k seed=1"
    other = located("model=popular", time="none")
    assert "data.time=none" in command(other, DIGEST)
    file = located("model=popular", data="my clicks.csv")
    assert "'data=my clicks.csv' data.user=user_id data.item=item_id data.time=timestamp" in command(file, DIGEST)


def test_what_cannot_be_repeated_has_no_command(located) -> None:
    """A frame is nowhere to be read again, and nothing is imported for a model that is not ours."""
    plan = located("model=popular")
    assert command(plan.on("frame", frame=True), DIGEST) == ""
    theirs = replace(plan, model=Part("their.package:Thing", {}))
    assert (command(theirs, DIGEST), differences(theirs, DIGEST), budget(theirs, [3])) == ("", [], "not known")
    sasrec = located("model=sasrec", "model.d_model=128")
    assert command(replace(sasrec, loss=Part("their.package:Loss", {})), DIGEST) == ""


@pytest.mark.parametrize("path", ["my clicks.csv", "a`id`b.csv", "it's $(id).csv", "a\\b.csv", "a#b.csv", "a;b.csv"])
def test_a_shell_reads_the_command_as_it_was_meant(path: str, located) -> None:
    words = shlex.split(command(located("model=popular", data=path), DIGEST))
    assert words[:5] == ["python", "-m", "recpref.train", "model=popular", f"data={path}"]


@pytest.mark.parametrize(
    ("overrides", "epochs", "expected"),
    [
        ([], [62, 88], "full"),
        (["trainer.max_epochs=60"], [60, 44], "reduced: max_epochs=60 of 400"),
        (["trainer.max_epochs=60"], [44, 50], "full"),
        (["stopping.patience=2"], [30], "reduced: patience=4 epochs of 16"),
        (["stopping.every=1", "stopping.patience=16"], [30], "full"),
        (["trainer.max_steps=10"], [1], "reduced: max_steps=10"),
        (["trainer.max_epochs=1", "trainer.limit_train_batches=2"], [1], "reduced: limit_train_batches=2, max_epochs=1 of 400"),
        ([], [], ""),
    ],
)
def test_a_cut_budget_is_told_by_hand(overrides: list[str], epochs: list[int], expected: str, located) -> None:
    """SASRec's recipe: at most 400 epochs, and 8 validations, one every two epochs, without a better one. A limit that no seed
    reached cut nothing."""
    assert budget(located("model=sasrec", *overrides), epochs) == expected
