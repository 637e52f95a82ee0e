"""Recipes: what a model says below the user, and what is left of it beside a component that the user put in its place."""

from __future__ import annotations

import pytest

from recpref import components
from recpref.composition.recipes import recipe_of, still_meant, wraps


def test_a_component_of_the_users_own_takes_the_recipes_options_with_it() -> None:
    """Ada-Retrieval's recipe draws 100 negatives for its BCE: with another sampler nothing is left of them, with the same one all is."""
    recipe = {"loss": "bce", "sampler": "uniform", "sampler.n_negatives": "100"}
    assert still_meant(recipe, {"sampler": "in_batch"}) == {"loss": "bce"}
    assert still_meant(recipe, {"sampler": "uniform"}) == recipe


def test_the_shape_of_a_base_comes_from_its_own_recipe() -> None:
    """What SASRec's recipe says of ``model.`` is said of ``base.``; how SASRec is trained is not part of it."""
    ada = components.find("model", "ada_retrieval")
    assert wraps(ada)
    own = recipe_of(components.find("model", "sasrec"), "default", {})
    shape = {key.replace("model.", "base."): value for key, value in own.items() if key.startswith("model.")}
    assert shape
    found = recipe_of(ada, "default", {"base": "sasrec"})
    assert shape.items() <= found.items()
    assert found["loss"] == "bce"


@pytest.mark.parametrize("base", ["ease", "ada_retrieval"])
def test_what_cannot_be_wrapped_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match=f"base={base} cannot be wrapped, because it .*; say one of .*sasrec"):
        recipe_of(components.find("model", "ada_retrieval"), "default", {"base": base})
