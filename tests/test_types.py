"""The central types: small tuples whose shapes are checked, and protocols that every model keeps."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from recpref import components, types
from recpref.retrieval.topk import TopK

FACTS = {"n_items": 5, "n_users": 3}


def test_pad_is_zero() -> None:
    """Items are 1..V; column 0 of every score is nobody's."""
    assert types.PAD == 0


def test_what_may_be_left_out() -> None:
    """A history needs items and a user; a query needs a history."""
    history = types.History(torch.tensor([[0, 1]]), torch.tensor([0]))
    assert (history.time, history.preference) == (None, None)
    query = types.Query(history)
    assert (query.exclude, query.candidates) == (None, None)
    candidates = types.Candidates(torch.tensor([1]))
    assert candidates[1:] == (None, None, None, None)


@pytest.mark.parametrize("name", ["History", "Batch", "Query", "Ranking", "Candidates", "Step"])
def test_what_travels_is_a_named_tuple(name: str) -> None:
    """Lightning moves named tuples between devices, and refuses frozen dataclasses."""
    kind = getattr(types, name)
    assert issubclass(kind, tuple)
    assert kind._fields
    assert kind.__doc__


@pytest.mark.parametrize("name", components.names("model"))
def test_every_model_keeps_its_protocol(name: str) -> None:
    """A model can be retrieved from or scores the catalogue; one that trains by batches also says whether it is causal."""
    found = components.find("model", name)
    missing = set(components.facts_of(found)) - set(FACTS)
    if missing:
        pytest.skip(f"needs {missing}")
    model = components.build(found, {"algorithm": "EASE"} if name == "recbole" else {}, FACTS)
    assert isinstance(model, types.Retriever | types.Catalogue)
    assert hasattr(model, "fit") or isinstance(model, types.Scorer)
    assert isinstance(TopK(model), types.Recommender)


def test_protocols_tell_apart() -> None:
    """Popular has states and a table; it embeds and encodes nothing."""
    popular = components.find("model", "popular")(5)
    assert isinstance(popular, types.Retriever)
    assert not isinstance(popular, types.Scorer)
    assert not isinstance(object(), types.Retriever)


def test_shapes_are_checked_in_the_tests() -> None:
    """The suite runs with every annotation enforced: [B, L] is no [B]."""
    popular = components.find("model", "popular")(5)
    with pytest.raises(TypeCheckError):
        components.find("metric", "hr")(torch.zeros(2, 3, dtype=torch.bool), torch.zeros(3, dtype=torch.long), 1)
    assert popular.state(types.History(torch.ones(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long))).shape == (2, 1)
