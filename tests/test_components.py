"""Names become classes, signatures become options, and what does not fit is refused by name."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref import components
from recpref.composition.compose import compose
from recpref.plan import Part

EVERY = [(kind, name) for kind in components.PACKAGES for name in components.names(kind)]


def component(
    n_items: int, other: int, spare: int = 3, *, width: int = 4, rate: float = 0.5, how: Literal["a", "b"] = "a"
) -> tuple[Any, ...]:
    """A component whose parts can be told apart: two facts, one default that is neither, three options."""
    return n_items, other, spare, width, rate, how


class Picky:
    """A component with a complaint of its own."""

    def __init__(self, n_items: int, *, width: int = 4, depth: int | None = None, ks: tuple[int, ...] = (1,), name: str = "x"):
        if width % 2:
            raise ValueError(f"width={width} must be even")
        self.n_items, self.width = n_items, width


def test_models_that_count_train_themselves() -> None:
    """It is asked of classes, before one is built, and of what was built."""
    ease, sasrec = (components.find("model", name) for name in ("ease", "sasrec"))
    assert [components.trains_itself(one) for one in (ease, ease(3), sasrec, sasrec(3))] == [True, True, False, False]


def test_the_names_of_a_kind_are_its_files() -> None:
    """The file system is the registry."""
    folder = Path(importlib.import_module("recpref.models").__file__ or "").parent
    assert components.names("model") == sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    assert {"bert4rec", "popular", "sasrec"} <= set(components.names("model"))


def test_listing_names_imports_the_package_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--help`` may list a model whose optional packages are missing."""
    asked = []
    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: asked.append(name) or original(name))
    components.names("model")
    assert asked == ["recpref.models"]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_component_keeps_the_contract(kind: str, name: str) -> None:
    """One public name a file; it is documented; its options are typed and have defaults."""
    found = components.find(kind, name)
    module = importlib.import_module(f"{components.PACKAGES[kind]}.{name}")
    assert module.__all__ == [found.__name__]
    assert inspect.getdoc(found)
    assert inspect.getdoc(module)
    for option in components.options_of(found).values():
        assert option.default is not option.empty, f"{name}.{option.name} has no default"
        assert option.annotation is not option.empty, f"{name}.{option.name} has no type"


@pytest.mark.parametrize(("kind", "name"), [pair for pair in EVERY if pair[0] != "metric"])
def test_a_components_own_defaults_pass_its_own_check(kind: str, name: str) -> None:
    """A default of the wrong type would make every experiment fail."""
    found = components.find(kind, name)
    components.check(found, {key: option.default for key, option in components.options_of(found).items()}, kind)


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    """The wording of section 6 of the house style."""
    with pytest.raises(ValueError, match=r"unknown model 'bert5rec'; did you mean 'bert4rec'\? known: .*sasrec.*your\.package:Thing"):
        components.find("model", "bert5rec")


@pytest.mark.parametrize("name", ["../models/sasrec", "sasrec.py", "SASRec", "__init__", "", "sasrec "])
def test_a_name_is_no_path(name: str) -> None:
    """Only names that ``names`` lists are names."""
    with pytest.raises(ValueError, match="unknown model"):
        components.find("model", name)


def test_a_component_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``package:Thing`` is imported because the caller says so."""
    (tmp_path / "elsewhere_one.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert components.find("model", "elsewhere_one:Thing").__module__ == "elsewhere_one"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.such:Thing", r"model=no\.such:Thing cannot be imported: No module named 'no'"),
        ("math:Thing", r"model=math:Thing cannot be imported: .*no attribute 'Thing'"),
        ("math:", r"model=math: cannot be imported"),
        (":Thing", r"model=:Thing cannot be imported"),
        ("math:pi", r"model=math:pi .*(class|callable)"),
    ],
)
def test_a_component_from_elsewhere_that_is_not_there(name: str, message: str) -> None:
    """The key, the value and the reason stand in one line."""
    with pytest.raises(ValueError, match=message):
        components.find("model", name)


def test_facts_are_positional_and_options_are_keywords() -> None:
    """``spare`` has a default and is positional: it is neither."""
    assert components.facts_of(component) == ["n_items", "other"]
    assert list(components.options_of(component)) == ["width", "rate", "how"]
    assert components.facts_of(Picky) == ["n_items"]


def test_build_supplies_facts_by_name() -> None:
    """Facts that are not asked for stay away: (n_items=7, other=8) of three."""
    facts = {"other": 8, "n_items": 7, "train": None}
    assert components.build(component, {"width": 2, "rate": 0.1, "how": "b"}, facts) == (7, 8, 3, 2, 0.1, "b")


def test_build_names_a_fact_that_nobody_knows() -> None:
    """A component that needs what there is not is refused with what there is."""
    with pytest.raises(ValueError, match="unknown fact that component needs 'other'; known: n_items"):
        components.build(component, {}, {"n_items": 7})


def test_build_passes_the_components_own_complaint_on() -> None:
    """The message is the component's; the line that raises is ours."""
    with pytest.raises(ValueError, match=r"^width=3 must be even$"):
        components.build(Picky, {"width": 3}, {"n_items": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": "4"}, r"model\.width='4' is a str; it must be int"),
        ({"width": True}, r"model\.width=True is a bool; it must be int"),
        ({"width": None}, r"model\.width=None is a NoneType; it must be int"),
        ({"width": 4.0}, r"model\.width=4\.0 is a float; it must be int"),
        ({"depth": "deep"}, r"model\.depth='deep' is a str; it must be int \| None"),
        ({"ks": 3}, r"model\.ks=3 is a int; it must be"),
        ({"ks": [1, "2"]}, r"model\.ks=\[1, '2'\] is a list; it must be"),
        ({"name": 3}, r"model\.name=3 is a int; it must be str"),
    ],
)
def test_check_names_the_option_the_value_and_the_type(options: dict[str, Any], message: str) -> None:
    """What typed configuration lets through is caught here."""
    with pytest.raises(ValueError, match=message):
        components.check(Picky, options, "model")


@pytest.mark.parametrize("value", [3, {"a": "1"}, {"a": 1, "b": None}, [1.0]])
def test_check_looks_into_a_table(value: Any) -> None:
    """Every value of a dict is of its type, as every member of a list is."""

    def named(*, shares: dict[str, float]) -> None: ...

    components.check(named, {"shares": {"a": 1, "b": 0.5}}, "model")
    components.check(named, {"shares": {}}, "model")
    with pytest.raises(ValueError, match=rf"model\.shares={re.escape(repr(value))} is a .*; it must be dict\[str, float\]"):
        components.check(named, {"shares": value}, "model")


def test_check_lists_the_choices_of_a_literal() -> None:
    """A Literal is a closed list."""
    with pytest.raises(ValueError, match=r"unknown model\.how 'c'; known: a, b"):
        components.check(component, {"how": "c"}, "model")


@pytest.mark.parametrize("options", [{}, {"width": 2}, {"depth": None}, {"depth": 3}, {"ks": [1, 2]}, {"ks": (1,)}, {"ks": []}])
def test_check_accepts_what_fits(options: dict[str, Any]) -> None:
    """An optional value, a list for a tuple, an empty list."""
    components.check(Picky, options, "model")


@settings(max_examples=25, deadline=None)
@given(value=st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.booleans(), st.none()))
def test_check_agrees_with_the_language(value: Any) -> None:
    """int takes integers, float takes integers and floats, and neither takes a bool."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    for option, fits in (("width", number and isinstance(value, int)), ("rate", number)):
        if fits:
            components.check(component, {option: value}, "model")
        else:
            with pytest.raises(ValueError, match=rf"model\.{option}="):
                components.check(component, {option: value}, "model")


def test_a_schema_holds_every_option_with_its_default() -> None:
    """The constructor is the only source of truth."""
    from omegaconf import OmegaConf

    node = OmegaConf.structured(components.schema(Picky))
    assert node.width == 4
    assert node.depth is None
    assert list(node.ks) == [1]


def test_a_model_is_built_around_its_base() -> None:
    """From the names and options of a plan, and facts of the data that both may need."""
    from recpref.composition.compose import compose

    plan = compose(["model=ada_retrieval", "base=gru4rec", "base.d_model=8", "model.per_round=2"])
    model = components.model_of(plan, {"n_items": 12, "n_users": 3})
    assert (type(model).__name__, type(model.base).__name__, model.per_round) == ("AdaRetrieval", "GRU4Rec", 2)
    assert model.table()[0].shape == (13, 8)
    assert type(components.model_of(compose(["model=gru4rec"]), {"n_items": 12})).__name__ == "GRU4Rec"


def test_the_parts_that_are_not_ours() -> None:
    """As they are said on a command line; what lies beyond accuracy as the whole list."""
    plan = compose(["model=ada_retrieval", "base=sasrec", "table=hashed", "data=ml_100k"])
    assert components.foreign(plan) == {}
    theirs = replace(plan, base=Part("a:B", {}), table=Part("c:D", {}), loss=Part("e:F", {}))
    assert components.foreign(theirs) == {"base": "a:B", "table": "c:D", "loss": "e:F"}
    beyond = replace(plan, evaluation=plan.evaluation | {"beyond": ["arp", "g:H"]})
    assert components.foreign(beyond) == {"evaluation.beyond": "[arp,g:H]"}
