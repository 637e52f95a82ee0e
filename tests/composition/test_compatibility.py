"""Examples and models: every pair that must not be, with what would be right; all pairs that a recipe names fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from recpref import components
from recpref.composition.compatibility import refuse_mismatch
from recpref.composition.compose import compose

MODELS = {
    "bert4rec": SimpleNamespace(causal=False, mask_id=9),
    "sasrec": SimpleNamespace(causal=True),
    "srgnn": SimpleNamespace(causal=False),
}
RIGHT = {"bert4rec": "cloze", "sasrec": "next_item", "srgnn": "prefix"}
SAYS = {
    ("bert4rec", "next_item"): "would show model=bert4rec what it must predict",
    ("bert4rec", "prefix"): "reads a model at its newest item, and model=bert4rec is read at a .MASK.",
    ("sasrec", "cloze"): "needs a model that looks ahead",
    ("srgnn", "next_item"): "would show model=srgnn what it must predict",
    ("srgnn", "cloze"): "hides items behind a .MASK., and model=srgnn has none",
}


def examples(name: str, **options: float) -> object:
    return components.build(components.find("examples", name), options, {"n_items": 8, "max_len": 5})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["cloze", "next_item", "prefix"])
def test_every_pair(model: str, name: str) -> None:
    plan = compose([f"model={model}", f"examples={name}"])
    if (model, name) not in SAYS:
        refuse_mismatch(plan, examples(name), MODELS[model])
        return
    with pytest.raises(ValueError, match=rf"examples={name} {SAYS[model, name]}.*; use examples={RIGHT[model]}"):
        refuse_mismatch(plan, examples(name), MODELS[model])


def test_a_model_that_is_read_at_one_place() -> None:
    plan = compose(["model=bert4rec"])
    one = SimpleNamespace(causal=False, mask_id=9, one_place=True)
    with pytest.raises(ValueError, match=r"asks for several items of a row, .* use examples=cloze examples\.last_ratio=1"):
        refuse_mismatch(plan, examples("cloze"), one)
    refuse_mismatch(plan, examples("cloze", last_ratio=1.0), one)


def test_a_model_that_does_not_say() -> None:
    with pytest.raises(ValueError, match="model=sasrec does not say causal"):
        refuse_mismatch(compose(["model=sasrec"]), examples("next_item"), SimpleNamespace())


def test_weights_of_places_where_one_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"objective\.recency weighs the places of a row, and examples=prefix asks for one place"):
        refuse_mismatch(compose(["model=sasrec", "examples=prefix", "objective.recency=0.5"]), examples("prefix"), MODELS["sasrec"])
