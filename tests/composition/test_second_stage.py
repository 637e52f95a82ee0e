"""Options of the second stage alone: what they change, what they leave, and what is no option of a second stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recpref.composition.compose import compose
from recpref.composition.second_stage import divided, of_second
from recpref.plan import Plan

TWICE = ("model=bert4rec", "data=ml_100k", "start=self")


def first_of(plan: Plan) -> Plan:
    assert plan.before is not None
    return plan.before


def changed(plan: Plan, other: Plan) -> set[str]:
    """Sections and options in which two plans differ, apart from where they start."""
    ours, theirs = plan.content, other.content
    found = {name for name in ours if not isinstance(ours[name], dict) and ours[name] != theirs.get(name)} - {"start"}
    dicts = [name for name in ours if isinstance(ours[name], dict) and name != "before"]
    return found | {f"{name}.{key}" for name in dicts for key in ours[name] if ours[name][key] != theirs[name].get(key)}


def test_it_changes_what_it_names_and_that_in_the_second_stage_alone() -> None:
    plan = compose([*TWICE, "then.examples.last_ratio=1", "then.optimizer.lr=1e-4", "model.d_model=32"])
    alone = compose(["model=bert4rec", "data=ml_100k", "model.d_model=32"])
    assert first_of(plan) == alone
    assert changed(plan, first_of(plan)) == {"examples.last_ratio", "optimizer.lr"}
    assert (plan.examples.options["last_ratio"], plan.optimizer["lr"], plan.model.options["d_model"]) == (1.0, 1e-4, 32)


def test_saying_again_what_holds_anyway_is_saying_nothing() -> None:
    plan = compose(TWICE)
    assert compose([*TWICE, f"then.optimizer.lr={plan.optimizer['lr']}", "then.examples=cloze"]) == plan


def test_the_refit_is_of_the_second_stage() -> None:
    plan = compose([*TWICE, "refit=true", "then.optimizer.lr=1e-4"])
    assert (plan.refit, first_of(plan).refit) == (True, False)


def test_another_part_takes_none_of_the_options_of_the_one_it_replaces() -> None:
    said = ["model=sasrec", "start=self", "loss=gbce", "loss.t=0.5", "sampler=uniform", "sampler.n_negatives=7"]
    plan = compose([*said, "then.loss=cross_entropy", "then.loss.label_smoothing=0.1", "then.sampler=catalogue"])
    assert (plan.loss.name, plan.loss.options["label_smoothing"], plan.sampler.name) == ("cross_entropy", 0.1, "catalogue")
    first = first_of(plan)
    assert (first.loss.name, first.loss.options["t"], first.sampler.options["n_negatives"]) == ("gbce", 0.5, 7)
    kept = compose([*said, "then.sampler=uniform"])
    assert kept.sampler.options["n_negatives"] == 7  # it is the same part


def test_an_objective_without_a_loss_may_follow_one_that_has_it() -> None:
    """What was said for the first stage need not say something to the second."""
    plan = compose(["model=sasrec", "start=self", "loss=bpr", "sampler=uniform", "sampler.n_negatives=4", "then.objective=nbpo"])
    assert (first_of(plan).objective.name, plan.objective.name, plan.sampler.options["n_negatives"]) == ("score", "nbpo", 4)


def test_a_wrapped_model_has_a_second_stage_too() -> None:
    plan = compose(["model=ada_retrieval", "trainer.max_epochs=60", "then.trainer.max_epochs=5", "then.model.n_rounds=3"])
    assert (plan.trainer["max_epochs"], plan.model.options["n_rounds"]) == (5, 3)
    assert first_of(plan) == first_of(compose(["model=ada_retrieval", "trainer.max_epochs=60"]))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (["then.seed=2"], r"then\.seed: seed is the same in both stages; say it without then\."),
        (["then.data.user=who"], r"then\.data\.user: data is the same in both stages"),
        (["then.split=random"], r"then\.split: split is the same"),
        (["then.evaluation.ks=[5]"], r"then\.evaluation\.ks: evaluation is the same"),
        (["then.model=sasrec"], r"then\.model: model is the same"),
        (["then.start=none"], r"then\.start: start is the same"),
        (["then.optimiser.lr=1"], r"unknown option after then\. 'optimiser\.lr'.*optimizer"),
        (["then.=1"], r"unknown option after then\. ''"),
        (["then.optimizer.lrr=1"], r"in the second stage: unknown option of optimizer 'lrr'; did you mean 'lr'"),
        (["then.optimizer.lr=abc"], r"in the second stage: optimizer\.lr=abc"),
        (["then.objective=nbpo", "then.loss=bce"], r"in the second stage: loss=bce would change nothing"),
        (["start=none", "then.optimizer.lr=1"], r"then\.optimizer\.lr=1 is for the second of two stages, and start=none has one stage"),
        (
            ["start=runs/ml_100k/bert4rec/12345678-s1", "then.loss=bce"],
            r"start=runs/ml_100k/bert4rec/12345678-s1 has a first stage that is there already .*; say start=self, or loss=bce",
        ),
    ],
)
def test_what_is_refused(said: list[str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        compose([*TWICE, *said])


def test_the_texts_are_divided_and_put_together() -> None:
    both, then = divided({"model": "sasrec", "loss": "gbce", "loss.t": "0.5", "then.loss": "bce", "then.optimizer.lr": "1"})
    assert both == {"model": "sasrec", "loss": "gbce", "loss.t": "0.5"}
    assert then == {"loss": "bce", "optimizer.lr": "1"}
    assert of_second(both, then, {}) == {"model": "sasrec", "loss": "bce", "optimizer.lr": "1"}
    assert of_second({"examples.crop": "0.9"}, {"examples": "cloze"}, {"examples": "cloze"}) == {
        "examples.crop": "0.9",
        "examples": "cloze",
    }


def test_two_stages_that_differ_are_not_the_control() -> None:
    """Their digests, and so their folders, differ, though both start from the same first run."""
    plan, control = compose([*TWICE, "then.optimizer.lr=1e-4"]), compose(TWICE)
    assert first_of(plan) == first_of(control)
    there = [replace(one, before=None).digest("data") for one in (plan, control)]
    assert there[0] != there[1]
