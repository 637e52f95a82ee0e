"""Defaults, then the recipe, then the user; names and values only; every mistake is one clear line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.composition import compose as composition
from recpref.composition.recipes import DEFAULTS, KINDS
from recpref.overrides import chosen

RECIPE = """
class Thing:
    causal = False
    def __init__(self, n_items: int, *, width: int = 4): ...
    @staticmethod
    def recipe(variant="default"):
        return ["examples=cloze", "examples.mask_ratio=0.5", "optimizer.lr=0.25", f"loader.batch_size={8 if variant == 'default' else 9}"]
"""

BAD = [
    ("max_epochs=3", r"unknown option 'max_epochs'; did you mean trainer\.max_epochs\?"),
    ("weight_decay=3", r"unknown option 'weight_decay'; did you mean optimizer\.weight_decay\?"),
    ("model=bert5rec", r"unknown model 'bert5rec'; did you mean 'bert4rec'\? known: .*bert4rec, .*popular, .*sasrec"),
    ("model.d_modle=3", r"unknown option of model 'd_modle'; did you mean 'd_model'\? known: .*d_ff, d_model, dropout"),
    ("model.d_model=abc", r"model\.d_model=abc: .*'abc'.*Integer"),
    ("model.d_model=64.0", r"model\.d_model=64\.0: .*Integer"),
    ("model.d_model=true", r"model\.d_model=true: .*Integer"),
    ("model.d_model=null", r"model\.d_model=null: .*not Optional"),
    ("model.d_model=", r"model\.d_model=: .*Integer"),
    ("model.d_model=8,16", r"model\.d_model=8,16: Ambiguous"),
    ("model.d_ff=abc", r"model\.d_ff='abc' is a str; it must be int \| None"),
    ("model.norm=mid", r"unknown model\.norm 'mid'; known: post, pre"),
    ("model.norm=pst", r"unknown model\.norm 'pst'; did you mean 'post'\? known: post, pre"),
    ("modle.x=1", r"unknown option 'modle\.x'; did you mean 'model'\? known: .*data, .*trainer"),
    ("hydra.run.dir=x", r"unknown option 'hydra\.run\.dir'; .*known: data, evaluation"),
    ("optimizer=adam", r"optimizer has options of its own; say one of optimizer\.method, optimizer\.lr"),
    ("optimizer.method=sgd", r"unknown optimizer\.method 'sgd'; known: adam, adamw"),
    ("optimizer.lr=fast", r"optimizer\.lr=fast: .*'fast'.*Float"),
    ("trainer.max_epochs=1.5", r"trainer\.max_epochs=1\.5: .*Integer"),
    ("trainer.max_epoch=3", r"unknown option of trainer 'max_epoch'; did you mean 'max_epochs'\?"),
    ("trainer.max_epochs=0", r"trainer\.max_epochs=0 would train nothing; say more than that, or -1 for no limit"),
    ("trainer.logger=false", r"unknown option of trainer 'logger'; .*known: accelerator"),
    ("trainer.precision=12", r"unknown trainer\.precision '12'; .*known: .*bf16-mixed"),
    ("seed=a", r"seed=a must be a whole number"),
    ("seed=1.5", r"seed=1\.5 must be a whole number"),
    ("seed=null", r"seed=null must be a whole number"),
    ("seed.x=1", r"unknown option of seed 'x'"),
    ("evaluation.ks=[a]", r"evaluation\.ks=\[.*a.*\].*(Integer|int)"),
    ("evaluation.ks=5", r"evaluation\.ks=5.* int .*(list|tuple)"),
    ("evaluation.ks=[1.5]", r"evaluation\.ks=\[1\.5\].*(Integer|int)"),
    ("evaluation.filter_seen=maybe", r"evaluation\.filter_seen=maybe: .*bool"),
    ("loss=gbcee", r"unknown loss 'gbcee'; .*known: .*cross_entropy"),
    ("split=leave_two_out", r"unknown split 'leave_two_out'; .*known: .*leave_one_out"),
    ("sampler=all", r"unknown sampler 'all'; .*known: .*catalogue"),
    ("examples=", r"unknown examples ''; known: .*cloze, .*next_item"),
    ("model=no.such:Thing", r"model=no\.such:Thing cannot be imported: No module named 'no'"),
    ("recipe=best", r"unknown recipe 'best'; known: default, published"),
    ("data.k_core=2.5", r"data\.k_core=2\.5 is a float; it must be int \| None"),
    ("x", r"'x' is not of the form key=value, such as model=bert4rec"),
    ("", r"'' is not of the form key=value"),
    ("=3", r"'=3' is not of the form key=value"),
    ("+model.x=1", r"'\+model\.x=1' is not of the form key=value"),
    ("~model.x=1", r"'~model\.x=1' is not of the form key=value"),
    ("out=${oc.env:HOME}", r"'out=\$\{oc\.env:HOME\}': values are not interpolated"),
    ("data=${oc.env:HOME}", r"'data=\$\{oc\.env:HOME\}': values are not interpolated"),
    ("seed=true", r"seed=true must be a whole number"),
    ("seed=99999999999999999999999", r"seed=9+ must be a whole number of at most 18 digits"),
    ("out=null", r"out=null must be a folder"),
    ("out=", r"out= must be a folder"),
    ("refit=perhaps", r"refit=perhaps must be true or false"),
    ("model=math:pi", r"model=math:pi is 3.14.*, and no class"),
]


def compose(overrides: list[str]) -> dict[str, Any]:
    """The composed plan as nested names and values."""
    return composition.compose(overrides).content


@pytest.fixture
def recipe_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model from elsewhere whose recipe also sets an option of its examples."""
    (tmp_path / "with_recipe.py").write_text(RECIPE)
    monkeypatch.syspath_prepend(tmp_path)
    return "model=with_recipe:Thing"


@pytest.mark.parametrize(("override", "message"), BAD)
def test_a_mistake_is_one_clear_line(override: str, message: str) -> None:
    """The key, the value, the nearest and the legal choices."""
    with pytest.raises(ValueError, match=message) as caught:
        compose(["model=bert4rec", override])
    assert "\n" not in str(caught.value)


def test_no_model() -> None:
    """The one thing that has no default."""
    with pytest.raises(ValueError, match=r"no model was named; say model=NAME, one of .*bert4rec, .*sasrec"):
        compose(["loss=cross_entropy"])


def test_the_defaults() -> None:
    """A model and nothing else: every kind is named, every option has its default."""
    content = compose(["model=popular"])
    assert {kind: content[kind]["name"] for kind in KINDS} == {**DEFAULTS, "model": "popular"}
    assert (content["seed"], content["recipe"], content["out"], content["data"]["name"]) == (1, "default", "runs", None)
    assert content["trainer"]["max_epochs"] == 400


def test_the_recipe_lies_between_the_defaults_and_the_user(recipe_model: str) -> None:
    """lr: 0.001 by default, 0.25 by the recipe, 0.5 by the user."""
    assert compose(["model=popular"])["optimizer"]["lr"] == 0.001
    assert compose([recipe_model])["optimizer"]["lr"] == 0.25
    assert compose([recipe_model, "optimizer.lr=0.5"])["optimizer"]["lr"] == 0.5
    assert compose(["optimizer.lr=0.5", recipe_model])["optimizer"]["lr"] == 0.5


def test_the_published_recipe(recipe_model: str) -> None:
    """``recipe=published`` is handed to the model's recipe; the authors' BERT4Rec rate is 1e-4."""
    assert compose([recipe_model])["loader"]["batch_size"] == 8
    assert compose([recipe_model, "recipe=published"])["loader"]["batch_size"] == 9
    assert compose(["model=bert4rec", "recipe=published"])["optimizer"]["lr"] == 1e-4
    assert compose(["model=popular", "recipe=published"])["recipe"] == "published"


def test_a_replaced_component_takes_its_recipe_options_along(recipe_model: str) -> None:
    """``examples.mask_ratio`` of the recipe means nothing to the user's ``examples=next_item``."""
    assert compose([recipe_model])["examples"]["mask_ratio"] == 0.5
    assert compose([recipe_model, "examples=cloze"])["examples"]["mask_ratio"] == 0.5
    assert compose([recipe_model, "examples.mask_ratio=0.3"])["examples"]["mask_ratio"] == 0.3
    replaced = compose([recipe_model, "examples=next_item"])
    assert replaced["examples"]["name"] == "next_item"
    assert "mask_ratio" not in replaced["examples"]
    assert replaced["optimizer"]["lr"] == 0.25  # the rest of the recipe stays


def test_an_option_of_the_replaced_component_is_refused(recipe_model: str) -> None:
    """What the user says is never dropped."""
    with pytest.raises(ValueError, match=r"unknown option of examples 'mask_ratio'; .*known: .*stride"):
        compose([recipe_model, "examples=next_item", "examples.mask_ratio=0.3"])


def test_the_last_override_wins() -> None:
    """As on every command line."""
    content = compose(["model=bert4rec", "seed=1", "seed=2", "model=sasrec", "model.norm=pre", "model.norm=post"])
    assert (content["seed"], content["model"]["name"], content["model"]["norm"]) == (2, "sasrec", "post")


def test_a_component_from_elsewhere_has_options(recipe_model: str) -> None:
    """Its signature is read like ours."""
    assert compose([recipe_model, "model.width=6"])["model"] == {"name": "with_recipe:Thing", "width": 6}
    with pytest.raises(ValueError, match=r"unknown option of model 'widht'; did you mean 'width'\? known: width"):
        compose([recipe_model, "model.widht=6"])


@pytest.mark.parametrize(
    ("override", "section", "option", "value"),
    [
        ("optimizer.lr=1", "optimizer", "lr", 1.0),
        ("optimizer.lr=1e-4", "optimizer", "lr", 1e-4),
        ("model.d_ff=7", "model", "d_ff", 7),
        ("model.d_ff=null", "model", "d_ff", None),
        ("evaluation.ks=[3, 7]", "evaluation", "ks", [3, 7]),
        ("evaluation.filter_seen=false", "evaluation", "filter_seen", False),
        ("data.time=null", "data", "time", None),
        ("data.user=user id", "data", "user", "user id"),
        ("data.min_rating=4", "data", "min_rating", 4),
        ("data.rating=a column", "data", "rating", "a column"),
    ],
)
def test_values_are_read_as_their_type(override: str, section: str, option: str, value: Any) -> None:
    """Numbers, null, lists, texts with blanks and digits."""
    found = compose(["model=bert4rec", override])[section][option]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("out", ["a b", "/tmp/x/y", "../up", "C:/x"])
def test_out_is_a_path(out: str) -> None:
    """Paths come through as they are."""
    assert compose(["model=popular", f"out={out}"])["out"] == out


@pytest.mark.parametrize("out", ["runs/lr=0.1", "runs/a,b", "runs/a(b)", "runs/[x]", "~/runs", "2026", "a(b"])
def test_out_is_any_path(out: str) -> None:
    """Legal folder names that a grammar for values does not read as texts."""
    assert compose(["model=popular", f"out={out}"])["out"] == os.path.expanduser(out)


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key path and value of nested dicts and lists."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else []
    for key, value in pairs:
        yield f"{path}.{key}", value
        yield from leaves(value, f"{path}.{key}")


@pytest.mark.parametrize("model", ["bert4rec", "sasrec", "popular"])
def test_an_experiment_is_names_and_values(model: str) -> None:
    """No ``_target_`` or ``_partial_`` anywhere, and nothing that JSON cannot hold as it is."""
    content = compose([f"model={model}"])
    assert not [path for path, _ in leaves(content) if path.rpartition(".")[2].startswith("_")]
    assert json.loads(json.dumps(content)) == content


def test_a_program_that_uses_hydra_keeps_its_own() -> None:
    """Inside another Hydra application compose works, and leaves that application as it was, after errors too."""
    with initialize(version_base="1.3", config_path=None):
        theirs = GlobalHydra.instance().hydra
        assert theirs is not None
        compose(["model=popular"])
        with pytest.raises(ValueError, match="seed"):
            compose(["model=popular", "seed=a"])
        with pytest.raises(ValueError, match=r"optimizer\.lr"):
            compose(["model=popular", "optimizer.lr=fast"])
        assert GlobalHydra.instance().hydra is theirs
        assert hydra_compose(overrides=["+x=1"]).x == 1
    assert not GlobalHydra.instance().is_initialized()


def test_compose_leaves_no_hydra_behind() -> None:
    """Where there was none, there is none afterwards."""
    compose(["model=popular"])
    assert not GlobalHydra.instance().is_initialized()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b.c", "d"]), st.text("xyz=.", max_size=4)), max_size=8))
def test_chosen_is_a_dict_of_the_last_values(pairs: list[tuple[str, str]]) -> None:
    """The value is everything after the first equals sign."""
    assert chosen(f"{key}={value}" for key, value in pairs) == dict(pairs)


def test_chosen_of_nothing() -> None:
    """No overrides, no pairs."""
    assert chosen([]) == {}


def test_a_limit_of_gradients_is_the_same_number_with_and_without_a_point() -> None:
    """As the default is; but of batches one is not all of them."""
    said = ("seed=2", "trainer.gradient_clip_val=5", "trainer.gradient_clip_val=5.0", "trainer.gradient_clip_val=6")
    digests = [composition.compose(["model=sasrec", one]).digest("data") for one in said]
    assert digests[0] == digests[1] == digests[2] != digests[3]
    one, every = (composition.compose(["model=sasrec", f"trainer.limit_train_batches={n}"]).digest("data") for n in ("1", "1.0"))
    assert one != every


def test_a_digest_stands_for_the_experiment_and_its_data() -> None:
    """Seed and place do not count; every option and the data do."""
    first = composition.compose(["model=sasrec", "seed=1", "out=a"]).digest("data")
    assert len(first) == 8
    assert int(first, 16) >= 0
    assert composition.compose(["model=sasrec", "seed=2", "out=b"]).digest("data") == first
    assert composition.compose(["seed=2", "model=sasrec"]).digest("data") == first
    others = [
        composition.compose(["model=sasrec", other])
        for other in ("model.d_model=65", "optimizer.lr=0.002", "model=bert4rec", "recipe=published")
    ]
    assert len({first, composition.compose(["model=sasrec"]).digest("other data"), *(other.digest("data") for other in others)}) == 6


def test_a_default_said_aloud_is_the_same_experiment() -> None:
    """Saying what holds anyway changes nothing."""
    silent = compose(["model=fmlprec"])
    assert compose(["model=fmlprec", "optimizer.beta2=0.999", "loss=cross_entropy", "split=leave_one_out"]) == silent


# ------------------------------------------------------------------------------------------------- bases and stages

ADA = ("model=ada_retrieval", "base=sasrec")

BAD_BASES = [
    (
        "base=popular",
        r"base=popular cannot be wrapped, because it lacks reads, embed, encode .*; say one of bert4rec, esasrec, .*srgnn$",
    ),
    ("base=ada_retrieval", r"base=ada_retrieval cannot be wrapped, because it wraps a base itself; say one of bert4rec"),
    ("base=sasrce", r"unknown base 'sasrce'; did you mean 'sasrec'\?"),
    ("base.d_modle=3", r"unknown option of base 'd_modle'; did you mean 'd_model'\? known: .*d_ff, d_model, dropout"),
    ("base.d_model=abc", r"base\.d_model=abc: .*'abc'.*Integer"),
    ("base.norm=mid", r"unknown base\.norm 'mid'; known: post, pre"),
    ("model.d_model=3", r"unknown option of model 'd_model'; .*known: .*loss_decay, .*n_rounds"),
    ("model.n_rounds=1.5", r"model\.n_rounds=1\.5: .*Integer"),
    ("start=", r"start= must be none, base, self, or the folder of a run"),
]


@pytest.mark.parametrize(("override", "message"), BAD_BASES)
def test_a_mistake_about_a_base_is_one_clear_line(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        compose([*ADA, override])
    assert "\n" not in str(caught.value)


def test_a_base_is_chosen_and_configured_like_a_model() -> None:
    """Its shape is that of its own recipe (two heads), then what the user says of it."""
    plan = composition.compose([*ADA, "base.d_model=32"])
    assert plan.base is not None
    assert (plan.base.name, plan.base.options["d_model"], plan.base.options["n_heads"]) == ("sasrec", 32, 2)
    assert plan.model.name == "ada_retrieval"
    assert plan.architectures == ("ada_retrieval", "sasrec")
    assert composition.compose(["model=sasrec"]).base is None
    assert composition.compose(["model=ada_retrieval"]).architectures == ("ada_retrieval", "sasrec")


def test_only_what_wraps_has_a_base() -> None:
    with pytest.raises(ValueError, match=r"unknown option 'base'"):
        compose(["model=sasrec", "base=gru4rec"])
    with pytest.raises(ValueError, match=r"start=base trains what a model wraps, and model=sasrec wraps nothing"):
        compose(["model=sasrec", "start=base"])


@pytest.mark.parametrize("start", ["none", "self"])
def test_a_base_that_has_learned_nothing_is_not_kept_as_it_is(start: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.base_lr=0 keeps .*, and with start={start} it has learned nothing yet; say start=base"):
        compose(["model=ada_retrieval", "model.base_lr=0", f"start={start}"])


def test_a_base_that_has_learned_may_be_kept_as_it_is() -> None:
    assert composition.compose(["model=ada_retrieval", "model.base_lr=0"]).before.model.name == "sasrec"
    assert composition.compose(["model=ada_retrieval", "model.base_lr=0", "start=runs/some"]).model.options["base_lr"] == 0
    after = composition.compose(["model=ada_retrieval", "start=self", "then.model.base_lr=0"])
    assert (after.before.model.options["base_lr"], after.model.options["base_lr"]) == (1, 0)


def test_the_run_before_is_composed_too() -> None:
    """``--cfg`` shows all of it; without a base to train, there is none."""
    content = compose([*ADA, "base.d_model=32", "optimizer.lr=0.5"])
    assert (content["start"], content["before"]["model"]["name"], content["before"]["model"]["d_model"]) == ("base", "sasrec", 32)
    assert (content["before"]["optimizer"]["lr"], content["before"]["loss"]) == (0.5, content["loss"])
    assert "before" not in compose([*ADA, "start=none"])
    assert "before" not in compose([*ADA, "start=runs/toy/sasrec/abc-s1"])


def test_a_base_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as any other component is, and refused where it does not say what it reads."""
    (tmp_path / "elsewhere_base.py").write_text(RECIPE + "\n    def reads(self, history): ...\nclass Mute:\n    def __init__(self): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    plan = composition.compose(["model=ada_retrieval", "base=elsewhere_base:Thing", "base.width=6"])
    assert plan.base is not None
    assert plan.base.options == {"width": 6}
    assert plan.examples.name == "cloze"  # as its recipe says
    with pytest.raises(ValueError, match=r"base=elsewhere_base:Mute cannot be wrapped"):
        composition.compose(["model=ada_retrieval", "base=elsewhere_base:Mute"])


@pytest.mark.parametrize(
    "name", ["é", "user#id", "user's", "user(id)", "2", "a b", "a\\\\", "[x]", "true", "a, b", "a=b", "{}", '"', "null_"]
)
def test_names_of_columns_mean_themselves(name: str) -> None:
    """Whatever the grammar of overrides makes of such a text elsewhere."""
    assert composition.compose(["model=popular", f"data.user={name}"]).data.options["user"] == name


def test_a_column_may_still_be_left_to_be_guessed() -> None:
    assert composition.compose(["model=popular", "data.user=null"]).data.options["user"] is None
    assert composition.compose(["model=popular", "data.user='quoted'"]).data.options["user"] == "quoted"


def test_truths_are_among_the_legal_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown loader\.shuffle_ties 'yes'; known: .*true.*"):
        composition.compose(["model=sasrec", "loader.shuffle_ties=yes"])


@pytest.mark.parametrize(
    ("text", "names"), [("none", []), ("[none]", []), ("[]", []), ("csv", ["csv"]), ("[csv, tensorboard]", ["csv", "tensorboard"])]
)
def test_trackers_are_a_list(text: str, names: list[str]) -> None:
    assert composition.compose(["model=popular", f"logger={text}"]).logger == names


def test_a_model_that_counts_starts_from_nothing() -> None:
    """Said before it would be trained twice for nothing."""
    with pytest.raises(ValueError, match="start=self: model=popular only counts and starts from nothing; leave start out"):
        compose(["model=popular", "start=self"])
