"""--help lists every choice and every option with its default."""

from __future__ import annotations

import re
import sys

import pytest

from recpref import components, console
from recpref.composition.compose import TRAINER, compose
from recpref.composition.general_options import PLAIN
from recpref.composition.help import overview
from recpref.composition.recipes import KINDS, recipe_of
from recpref.data import cards
from recpref.data.batches import Loader
from recpref.data.readers import SUFFIXES
from recpref.evaluation.protocol import Evaluation
from recpref.train import train
from recpref.training.optimizer import Optimizer
from recpref.training.stopping import Stopping
from recpref.training.trackers import KNOWN


def shown(capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """What --help prints beside these overrides."""
    overview(list(overrides))
    return capsys.readouterr().out


@pytest.mark.parametrize("switch", ["--help", "-h"])
def test_the_switch_shows_the_overview(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    """Whatever else is on the line, nothing is trained."""
    monkeypatch.setattr(sys, "argv", ["train", "model=sasrec", "data=ml_100k", switch])
    console.main(train)
    assert capsys.readouterr().out == shown(capsys, "model=sasrec", "data=ml_100k")


def test_every_choice_of_every_kind_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and the first line of its module."""
    text = shown(capsys)
    for kind in KINDS:
        assert re.search(rf"^{kind}=NAME", text, re.MULTILINE)
        for name in components.names(kind):
            assert re.search(rf"^  {re.escape(name)}\s+\S", text, re.MULTILINE), name


def test_every_tracker_is_named_and_so_is_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    line = re.search(r"^  logger=  .*$", shown(capsys), re.MULTILINE)
    assert line
    assert all(name in line[0] for name in (*KNOWN, "none"))


def test_every_data_set_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and its title."""
    text = shown(capsys)
    for name in cards.names():
        assert re.search(rf"^  {name}\s+{re.escape(cards.card(name).title)}$", text, re.MULTILINE), name


def test_every_kind_of_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """All that is read as interactions: features alone are none."""
    (files,) = re.findall(r"^  a file: (.*)$", shown(capsys), re.MULTILINE)
    assert set(re.findall(r"\.\w+", files)) == {*SUFFIXES, ".gz"} - {".item", ".user"}


def test_every_option_has_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The options of the sections that are not chosen, and ours of Lightning's trainer."""
    text = shown(capsys)
    for key, value in PLAIN.items():
        assert f"  {key}={value}\n" in text
    for section, kind in (("optimizer", Optimizer), ("loader", Loader), ("stopping", Stopping), ("evaluation", Evaluation)):
        for name, option in components.options_of(kind).items():
            assert f"    {section}.{name}={'null' if option.default is None else option.default}\n" in text
    for key, value in TRAINER.items():
        assert f"    trainer.{key}={value}\n" in text
    assert "trainer.logger" not in text


@pytest.mark.parametrize("model", ["bert4rec", "sasrec"])
def test_the_options_of_a_named_model(capsys: pytest.CaptureFixture[str], model: str) -> None:
    """Each keyword of its constructor; None is written null, as it is typed."""
    text = shown(capsys, f"model={model}")
    for name, option in components.options_of(components.find("model", model)).items():
        assert f"    model.{name}={'null' if option.default is None else option.default}\n" in text


def test_the_parts_of_a_models_recipe_are_those_whose_options_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """BERT4Rec learns by cloze, and gBCE was said."""
    text = shown(capsys, "model=bert4rec", "loss=gbce")
    assert {"examples (Cloze)", "loss (GBCE)"} <= {line.strip() for line in text.splitlines()}
    assert "examples (Cloze)" not in shown(capsys, "model=bert4rec", "examples=next_item")


def test_options_that_are_listed_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    """Every listed line is a legal override: what --help shows is what compose takes."""
    for model, least in (("gru4rec", 60), ("popular", 15)):
        text = shown(capsys, f"model={model}")
        listed = re.findall(r"^    (\w+\.\w+=.*)$", text, re.MULTILINE)
        assert len(listed) > least
        own = recipe_of(components.find("model", model), "default", {})  # which may say otherwise
        plain = [line.replace("(", "[").replace(")", "]").replace(",]", "]") for line in listed if line.partition("=")[0] not in own]
        assert compose([f"model={model}", *plain]) == compose([f"model={model}"])


def test_a_model_that_counts_has_no_options_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert "optimizer.lr" not in shown(capsys, "model=ease")
    assert "optimizer.lr" in shown(capsys, "model=sasrec")


def test_the_examples_of_the_usage_compose(capsys: pytest.CaptureFixture[str]) -> None:
    """What the first screen shows works as it stands."""
    commands = re.findall(r"^  python -m recpref\.train (.*)$", shown(capsys), re.MULTILINE)
    assert commands
    for command in commands:
        overrides = [word for word in command.split() if not word.startswith("resume=")]
        if any(word.startswith("model=") for word in overrides):
            compose(overrides)


def test_an_unknown_model_beside_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, as everywhere."""
    monkeypatch.setattr(sys, "argv", ["train", "--help", "model=bert5rec"])
    with pytest.raises(SystemExit, match="2"):
        console.main(train)
    assert "did you mean 'bert4rec'" in capsys.readouterr().err
