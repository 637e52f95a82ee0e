"""Options that would change nothing but the digest: refused in a command, left out by a suite where they say nothing."""

from __future__ import annotations

import re

import pytest

from recpref.composition.compose import compose, heeded
from recpref.composition.unused_options import idle


@pytest.mark.parametrize("model", ["popular", "ease", "nbpo_mf"])
@pytest.mark.parametrize(
    "said", ["loss=bce", "sampler=uniform", "examples=prefix", "optimizer.lr=0.1", "trainer.max_epochs=3", "stopping.k=5"]
)
def test_training_says_nothing_to_a_model_that_is_not_trained_by_steps(model: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"{said} would change nothing: model={model} is not trained step by step; leave it out"):
        compose([f"model={model}", said])
    assert compose([f"model={model}", said], strict=False).model.name == model


def test_a_loss_beside_an_objective_that_has_its_own() -> None:
    """NBPO has likelihoods and takes a sampler; the objective ``score`` takes both."""
    with pytest.raises(ValueError, match="loss=bce would change nothing: objective=nbpo takes no loss; leave it out"):
        compose(["model=sasrec", "objective=nbpo", "sampler=uniform", "loss=bce"])
    with pytest.raises(ValueError, match=r"loss\.temperature=0.5 would change nothing"):
        compose(["model=sasrec", "objective=nbpo", "sampler=uniform", "loss.temperature=0.5"])
    plan = compose(["model=sasrec", "objective=nbpo", "sampler=uniform", "sampler.n_negatives=4"])
    assert plan.sampler.options["n_negatives"] == 4
    assert compose(["model=sasrec", "loss=bce", "sampler=uniform"]).loss.name == "bce"


def test_sparse_updates_where_every_item_is_scored() -> None:
    """All rows have gradients then; with a sampler those that were read have."""
    with pytest.raises(ValueError, match=r"optimizer\.sparse=true would change nothing: sampler=catalogue scores every item"):
        compose(["model=sasrec", "optimizer.sparse=true"])
    assert compose(["model=sasrec", "optimizer.sparse=false"]).value("optimizer.sparse") is False
    assert compose(["model=sasrec", "optimizer.sparse=true", "loss=bce", "sampler=uniform"]).value("optimizer.sparse")


NBPO = ("model=sasrec", "objective=nbpo", "sampler=uniform")


@pytest.mark.parametrize(
    ("given", "said", "why"),
    [
        ((*NBPO, "objective.by=[]"), "objective.flip_lr=2", r"objective\.by=\[\] is a constant"),
        ((*NBPO, "objective.by=[]"), "objective.warmup_epochs=0", "is a constant"),
        ((*NBPO, "objective.by=[exposure]"), "objective.pull=0.1", r"objective\.by names nothing that is learned"),
        (NBPO, "objective.d_flip=8", "only the part state has vectors"),
        (("model=nbpo_mf", "model.method=bpr"), "model.l2_flip=1", r"model\.method=bpr has no flip probability"),
        (("model=nbpo_mf", "model.flip=0.5"), "model.d_flip=8", r"model\.flip=0\.5 is not learned"),
        (("model=ada_retrieval", "model.n_rounds=1"), "model.loss_decay=0.5", r"with model\.n_rounds=1 there is no adapter"),
    ],
)
def test_a_component_says_which_of_its_options_say_nothing_beside_the_others(given: tuple[str, ...], said: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(said)} would change nothing: .*{why}.*; leave it out"):
        compose([*given, said])
    key, _, value = said.partition("=")
    part = getattr(compose([*given, said], strict=False), key.partition(".")[0])
    assert part.options[key.partition(".")[2]] == float(value)
    assert heeded([said, *given], given) == list(given)  # a suite says it of all its models


def test_the_same_options_are_heard_where_they_say_something() -> None:
    learned = compose([*NBPO, "objective.by=[level, state]", "objective.d_flip=8", "objective.flip_lr=2", "objective.warmup_epochs=0"])
    assert learned.objective.options["d_flip"] == 8
    assert compose(["model=nbpo_mf", "model.d_flip=8", "model.l2_flip=1"]).model.options["d_flip"] == 8
    assert compose(["model=ada_retrieval", "model.n_rounds=2", "model.loss_decay=0.5"]).model.options["loss_decay"] == 0.5
    with pytest.raises(ValueError, match="no viable alternative"):  # what cannot be read is no matter of this
        compose([*NBPO, "objective.by=[level", "objective.d_flip=8"])


def test_a_recipes_own_loss_is_no_mistake_of_the_users() -> None:
    """Ada-Retrieval's recipe says loss=bce; with objective=nbpo it is not heard, and the base is trained by what was asked for."""
    plan = compose(["model=ada_retrieval", "objective=nbpo"])
    assert plan.before is not None
    assert (plan.objective.name, plan.before.objective.name) == ("nbpo", "nbpo")


def test_what_a_suite_says_of_all_is_heard_by_those_it_says_something_to() -> None:
    """Epochs of a whole suite: SASRec has them, Popular has none. What a suite says of Popular itself is still refused."""
    shared = ["trainer.max_epochs=1", "evaluation.ks=[5,10]", "loss=bce"]
    assert heeded([*shared, "model=popular"], ["model=popular"]) == ["evaluation.ks=[5,10]", "model=popular"]
    assert heeded([*shared, "model=sasrec"], ["model=sasrec"]) == [*shared, "model=sasrec"]
    nbpo = ["model=sasrec", "objective=nbpo"]
    assert heeded([*shared, *nbpo], nbpo) == ["trainer.max_epochs=1", "evaluation.ks=[5,10]", *nbpo]
    own = ["model=popular", "trainer.max_epochs=2"]
    assert heeded([*shared, *own], own) == ["trainer.max_epochs=1", "evaluation.ks=[5,10]", *own]


def test_what_is_wrong_is_left_for_composing_to_say() -> None:
    assert heeded(["loss=bce", "model=popula"], ["model=popula"]) == ["loss=bce", "model=popula"]
    assert heeded(["loss=bce"], []) == ["loss=bce"]
    assert heeded(["trainer.max_epoch=1", "model=popular"], []) == ["trainer.max_epoch=1", "model=popular"]


def test_every_line_names_its_option() -> None:
    found = idle(["loss", "loss.t", "evaluation.ks"], {"model": "ease", "objective": "score", "loss": "gbce", "loss.t": "0.5"})
    assert list(found) == ["loss", "loss.t"]
    assert found["loss.t"].startswith("loss.t=0.5 would change nothing")
