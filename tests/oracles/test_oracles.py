"""Our metrics, EASE and ItemKNN beside what RecTools 0.19.0 and RecBole 1.2.1 gave for the same inputs.

The values lie in JSON files, each written once by the script beside it in an environment of that library alone. Definitions that differ
are named, not compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.evaluation.measures import evaluation_of
from recpref.models.ease import EASE
from recpref.models.itemknn import ItemKNN
from recpref.types import History
from tests.oracles.inputs import ITEMS, matrix, rankings

HERE = Path(__file__).parent
VALUES = {name: json.loads((HERE / f"{name}.json").read_text()) for name in ("rectools", "recbole")}
# of several relevant items, these divide average precision by fewer than all of them where the list is shorter than they are many
DIFFERENT = {"recbole": {f"map@{k}" for k in (1, 5)}, "rectools": set()}


def ours() -> dict[str, float]:
    lists, relevant = rankings()
    hits = torch.tensor([[item in items for item in row] for row, items in zip(lists, relevant, strict=True)])
    evaluation = evaluation_of(compose(["model=popular", "evaluation.ks=[1,5,10,20]"]))
    values = evaluation.measure(hits, torch.tensor([len(items) for items in relevant]))
    return {name: float(value.mean()) for name, value in values.items()}


@pytest.mark.parametrize("peer", VALUES)
def test_metrics_equal_the_peers(peer: str) -> None:
    mine, theirs = ours(), VALUES[peer]["metrics"]
    compared = sorted(set(theirs) - DIFFERENT[peer])
    assert len(compared) >= 22
    assert {name: mine[name] for name in compared} == pytest.approx({name: theirs[name] for name in compared}, abs=1e-6)


def scores(model: EASE | ItemKNN) -> np.ndarray:
    """Of every item for every user's whole history, after fitting."""
    user, item = matrix().nonzero()
    model.fit(Interactions.from_dataframe(pd.DataFrame({"u": user, "i": item}), user="u", item="i"))
    histories = [(np.flatnonzero(row) + 1).tolist() for row in matrix()]
    longest = max(map(len, histories))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in histories])
    return model.catalogue(History(items, torch.arange(1, len(items) + 1)))[:, 1:].numpy()


def test_ease_scores_as_rectools() -> None:
    np.testing.assert_allclose(scores(EASE(ITEMS, l2=20.0)), VALUES["rectools"]["ease"], atol=1e-5)


def test_itemknn_scores_as_recbole() -> None:
    """With all neighbours kept: where equal similarities are cut is nobody's to say."""
    np.testing.assert_allclose(scores(ItemKNN(ITEMS, n_neighbours=ITEMS, shrink=3.0)), VALUES["recbole"]["itemknn"], atol=1e-5)
