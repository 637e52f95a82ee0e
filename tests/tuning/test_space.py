"""The search space: what a line means, what a model declares, and what is refused before anything is trained."""

from __future__ import annotations

import pytest

from recpref import components
from recpref.composition.compose import compose
from recpref.overrides import chosen
from recpref.tuning.space import EVERYWHERE, Among, Between, declared, dimension, overrides, space_of, text_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[64,128, 256]", Among(("64", "128", "256"))),
        ("[true]", Among(("true",))),
        ("0.1..0.5", Between(0.1, 0.5)),
        ("1..4", Between(1, 4, whole=True)),
        ("1e-4..1e-2 log", Between(1e-4, 1e-2, log=True)),
        ("-1..1", Between(-1, 1, whole=True)),
        (".5..1.", Between(0.5, 1.0)),
    ],
)
def test_lines_say_what_varies(text, expected):
    assert dimension("model.x", text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("64", r"space.model.x=64 must be \[a,b,c\], low..high, or low..high log"),
        ("[]", "offers nothing"),
        ("3..1", "the first number must be the smaller one"),
        ("0..1 log", "above 0 on a logarithmic scale"),
        ("1..2 lin", "must be"),
    ],
)
def test_lines_that_say_nothing_are_refused(text, says):
    with pytest.raises(ValueError, match=says):
        dimension("model.x", text)


def test_numbers_are_written_with_three_digits_inside_their_ends():
    space = {"model.dropout": Between(0.1, 0.5), "optimizer.lr": Between(1e-4, 1e-2, log=True), "model.n_layers": Between(1, 4, whole=True)}
    given = {"model.dropout": 0.123456, "optimizer.lr": 0.00098765, "model.n_layers": 3}
    assert overrides(space, lambda key, choice: given[key]) == ["model.dropout=0.123", "optimizer.lr=0.000988", "model.n_layers=3"]
    assert overrides({"model.dropout": Between(0.1234, 0.5)}, lambda *_: 0.1234) == ["model.dropout=0.1234"]
    assert overrides({"model.norm": Among(("pre", "post"))}, lambda *_: "post") == ["model.norm=post"]


@pytest.mark.parametrize("model", components.names("model"))
def test_what_models_declare_is_theirs(model):
    """Every end of every declared dimension composes."""
    if declared(model):
        assert set(space_of(model, {}, [f"model={model}"])) == {line.partition("=")[0] for line in declared(model)}


class Own:
    """A model of somebody's, which is trained here and has a space of its own."""

    @staticmethod
    def space():
        return ["model.width=[8,16]", "optimizer.lr=1e-3..1e-2 log"]


class Counting(Own):
    def fit(self, train): ...


def test_what_is_trained_here_learns_at_a_rate_and_decay_that_vary():
    """A model's own line wins over everybody's; one that trains itself has no other than its own."""
    learning = {"optimizer.lr": "1e-3..1e-2 log", "optimizer.weight_decay": "1e-4..1e-1 log"}
    assert chosen(declared(f"{__name__}:Own")) == {"model.width": "[8,16]", **learning}
    assert declared(f"{__name__}:Counting") == Own.space()
    assert declared("ada_retrieval") == list(EVERYWHERE)
    assert declared("popular") == []


@pytest.mark.parametrize("model", components.names("model"))
def test_the_rate_of_a_recipe_lies_in_the_space(model):
    """What a model was given by hand can be found."""
    rates = [one for one in declared(model) if one.startswith("optimizer.lr=")]
    for line in rates[-1:]:
        low, high = dimension("optimizer.lr", line.partition("=")[2])[:2]
        assert low <= compose([f"model={model}"]).optimizer["lr"] <= high


def test_the_user_replaces_adds_and_fixes():
    space = space_of("sasrec", {"optimizer.lr": "[1e-3]", "model.n_layers": "1..3"}, ["model=sasrec", "optimizer.weight_decay=0"])
    assert space["optimizer.lr"] == Among(("1e-3",))
    assert space["model.n_layers"] == Between(1, 3, whole=True)
    assert "optimizer.weight_decay" not in space
    assert list(space) == sorted(space)


@pytest.mark.parametrize(("model", "gone"), [("sasrec", "crop"), ("bert4rec", "last_ratio")])
def test_what_a_model_declares_of_the_parts_of_its_recipe_goes_with_them(model, gone):
    own = space_of(model, {}, [f"model={model}"])
    assert f"examples.{gone}" in own
    fixed = [f"model={model}", "examples=prefix"]
    space = space_of(model, {}, fixed)
    assert f"examples.{gone}" not in space
    assert set(own) - set(space) == {key for key in own if key.startswith("examples.")}
    with pytest.raises(ValueError, match=f"space.examples.{gone}: unknown option"):
        space_of(model, {f"examples.{gone}": "[0.5]"}, fixed)


@pytest.mark.parametrize(
    ("model", "wanted", "says"),
    [
        ("popular", {}, "declares no search space"),
        ("sasrec", {"model.d_modell": "[64]"}, "space.model.d_modell: .*did you mean 'd_model'"),
        ("sasrec", {"model.dropout": "[high]"}, "space.model.dropout"),
        ("sasrec", {"evaluation.ks": "[1]"}, "what is compared must stay the same"),
        ("sasrec", {"split.valid_users": "1..5"}, "what is compared must stay the same"),
        ("sasrec", {"stopping.k": "[5,20]"}, "what is compared must stay the same"),
        ("sasrec", {"refit": "[true,false]"}, "what is compared must stay the same"),
    ],
)
def test_what_no_run_would_take_is_refused(model, wanted, says):
    with pytest.raises(ValueError, match=says):
        space_of(model, wanted, [f"model={model}"])


def test_equal_spaces_have_equal_texts():
    one = {"a": Among(("1",)), "b": Between(0, 1)}
    assert text_of(one) == text_of(dict(reversed(one.items())))
    assert text_of(one) != text_of({**one, "b": Between(0, 2)})
