"""What may be continued, and with what. The continuing itself is in test_resume.py."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recpref.composition.compose import compose
from recpref.plan import FORMAT, Part, Sizes, Written, write
from recpref.runs.resuming import plan_to_continue, written
from recpref.workplace import STATE, place_of


@pytest.fixture
def cut_short(tmp_path):
    path = tmp_path / "run"
    place_of(path).mkdir()
    plan = compose(["model=sasrec", "data=ml_100k", "optimizer.lr=0.002", "model.d_model=32"])
    write(place_of(path), Written(plan, "abc", Sizes(5, 3)))
    (place_of(path) / STATE).write_text("")
    return path


@pytest.mark.parametrize("asked", [{}, {"model": "sasrec"}, {"optimizer.lr": "2e-3"}, {"model.d_model": "32"}, {"data.k_core": "null"}])
def test_the_same_options_in_any_spelling_are_the_same(cut_short, asked):
    assert plan_to_continue(cut_short, asked) == written(cut_short).plan


@pytest.mark.parametrize("words", [["logger=csv"], ["data.separator=,"], ["data.separator=::"], ["data.separator=%"], ["logger=[csv]"]])
def test_the_very_words_of_a_run_are_the_same(tmp_path, words):
    """Separators are no YAML, and one logger is a list of one."""
    path = tmp_path / "run"
    place_of(path).mkdir()
    write(place_of(path), Written(compose(["model=popular", "data=ml_100k", *words]), "abc", Sizes(5, 3)))
    (place_of(path) / STATE).write_text("")
    asked = dict(word.split("=", 1) for word in words)
    assert plan_to_continue(path, asked) == written(path).plan
    key = next(iter(asked))
    with pytest.raises(ValueError, match=f"{key} is .* there, and tensorboard was asked for"):
        plan_to_continue(path, {key: "tensorboard"})


@pytest.mark.parametrize(
    ("key", "value"), [("model", "bert4rec"), ("optimizer.lr", "0.003"), ("model.d_model", "64"), ("seed", "2"), ("data", "ml_1m")]
)
def test_another_option_is_refused_by_name(cut_short, key, value):
    with pytest.raises(ValueError, match=f"{key} is .* there, and {value} was asked for"):
        plan_to_continue(cut_short, {key: value})


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("foo", r"unknown option 'foo'; .*known: base, data, evaluation, .*trainer"),
        ("sede", r"unknown option 'sede'; did you mean 'seed'\?"),
        ("max_epochs", r"unknown option 'max_epochs'; did you mean trainer\.max_epochs\?"),
        ("modle.d_model", r"unknown option 'modle\.d_model'"),
        ("model.d_modle", r"unknown option of model 'd_modle'; did you mean 'd_model'\? known: .*dropout"),
        ("trainer.max_epoch", r"unknown option of trainer 'max_epoch'; did you mean 'max_epochs'\?"),
        ("data.source", r"unknown option of data 'source'"),
        ("seed.x", r"unknown option of seed 'x'; known: none"),
        ("optimizer", r"optimizer has options of its own; say one of .*optimizer\.lr"),
    ],
)
def test_an_option_that_there_is_not_is_named_as_a_command_names_it(cut_short, key, says):
    with pytest.raises(ValueError, match=says):
        plan_to_continue(cut_short, {key: "1"})


@pytest.mark.parametrize(("key", "value"), [("table", "hashed"), ("table.n_rows", "5"), ("base", "gru4rec")])
def test_what_the_run_has_not_is_none_there(cut_short, key, value):
    with pytest.raises(ValueError, match=f"{key} is None there, and {value} was asked for"):
        plan_to_continue(cut_short, {key: value})


@pytest.mark.parametrize("said", ["none", "[]"])
@pytest.mark.parametrize("again", ["none", "[]"])
def test_no_tracker_in_either_spelling_is_the_same(tmp_path, said, again):
    path = tmp_path / "run"
    place_of(path).mkdir()
    write(place_of(path), Written(compose(["model=popular", "data=ml_100k", f"logger={said}"]), "abc", Sizes(5, 3)))
    (place_of(path) / STATE).write_text("")
    assert plan_to_continue(path, {"logger": again}).logger == []
    with pytest.raises(ValueError, match=r"logger is \[\] there, and csv was asked for"):
        plan_to_continue(path, {"logger": "csv"})


@pytest.mark.parametrize(
    ("key", "change"),
    [(kind, {kind: Part("evil:Thing", {})}) for kind in ("model", "base", "table", "loss", "sampler", "examples", "objective", "split")]
    + [("evaluation.beyond", {"evaluation": {"beyond": ["evil:Thing"]}})],
)
def test_a_file_cannot_name_code_to_import(cut_short, key, change):
    """A part from elsewhere is one that the caller names, too."""
    write(place_of(cut_short), there := written(cut_short)._replace(plan=replace(written(cut_short).plan, **change)))
    said = "[evil:Thing]" if key == "evaluation.beyond" else "evil:Thing"
    says = f"was made with {key}={said}, which is not part of recpref; if you trust that code, say so beside it"
    with pytest.raises(ValueError, match=re.escape(says)):
        plan_to_continue(cut_short, {})
    assert plan_to_continue(cut_short, {key: said}) == there.plan


def test_another_format_is_refused(cut_short):
    (place_of(cut_short) / "experiment.yaml").write_text("format: 99")
    with pytest.raises(ValueError, match=f"reads format {FORMAT}"):
        written(cut_short)
