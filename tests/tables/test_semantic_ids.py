"""Semantic ids: the sum by hand, the case in which they are a whole table, codes that are none, and a catalogue where alike means alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.layers.item_table import ItemTable
from recpref.plan import FILE, read
from recpref.tables.semantic_ids import SemanticIds


def known(codes: list[object]) -> tuple[np.ndarray, pd.DataFrame]:
    """Items a, b, c, ... with these codes."""
    return np.array([chr(ord("a") + n) for n in range(len(codes))]), pd.DataFrame({"codes": codes})


def test_by_hand() -> None:
    """Codes (0, 1) of two levels of two: rows 1 and 4 of the shared table. Padding is nothing, and gets no gradient."""
    table = SemanticIds(2, 2, True, n_levels=2, n_codes=2).describe(*known([[0, 1], [1, 1]]))
    table.shared.weight.data = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    table.bias.data = torch.tensor([9.0, 1.0, 2.0])
    vectors, bias = table.table()
    assert vectors.tolist() == [[0.0, 0.0], [8.0, 10.0], [10.0, 12.0]]
    assert bias.tolist() == [-torch.inf, 1.0, 2.0]
    assert table.score(torch.tensor([[1.0, 1.0]])).tolist() == [[-torch.inf, 19.0, 24.0]]
    table(torch.tensor([0, 1])).sum().backward()
    assert table.shared.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [1, 1]]


def test_one_level_of_codes_of_their_own_is_a_whole_table() -> None:
    """The same vectors, scores and gradients as an ItemTable with rows in the order of the codes."""
    torch.manual_seed(0)
    codes = [2, 0, 3, 1]
    table, whole = SemanticIds(4, 3, False, n_levels=1, n_codes=4).describe(*known(codes)), ItemTable(4, 3)
    place = [0, *(code + 1 for code in codes)]
    whole.weight.data = table.shared.weight.detach()[place]
    h, items = torch.randn(5, 3), torch.randint(1, 5, (5, 3))
    for part in (table, whole):
        (part.score(h, items).sum() + part.score(h)[:, 1:].square().sum() + part(items).sum()).backward()
    torch.testing.assert_close(table.table()[0], whole.table()[0])
    torch.testing.assert_close(table.shared.weight.grad[place], whole.weight.grad)


def test_texts_and_lists_are_codes_alike() -> None:
    lists, texts = [[1, 2, 299], [0, 0, 0]], ["1 2 299", "0|0|0"]
    tables = [SemanticIds(2, 2, False, n_levels=3, n_codes=300).describe(*known(codes)) for codes in (lists, texts)]
    assert torch.equal(tables[0].codes, tables[1].codes)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        ([[0, 1], [0]], r"item 'b' has \[0\], which is not 2 codes from 0 to 3; say table.n_levels= and table.n_codes= as they are"),
        ([[0, 4], [0, 1]], r"item 'a' has \[0, 4\], which is not 2 codes from 0 to 3"),
        (["0 -1", "0 1"], r"item 'a' has '0 -1', which is not 2 codes"),
        (["0 1", None], r"item 'b' has (None|nan), which is not 2 codes"),
        (["0 1", "a b"], r"item 'b' has 'a b', which is not 2 codes"),
    ],
)
def test_codes_that_are_none_are_refused(codes: list[object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SemanticIds(2, 2, False, n_levels=2, n_codes=4).describe(*known(codes))


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"table\.column=genres: unknown feature of items 'genres'; .*known: codes"):
        SemanticIds(2, 2, False, column="genres").describe(*known([[0], [1]]))
    with pytest.raises(ValueError, match=r"table\.n_codes=0 must be at least 1"):
        SemanticIds(2, 2, False, n_codes=0)


def test_what_is_learned_of_an_item_holds_for_its_like(tmp_path: Path, unchecked: None) -> None:
    """A cycle of ten kinds of three items each, of which one is drawn at random: all three best are of the kind that comes next, and the
    loaded run recommends the same."""
    rng = np.random.default_rng(0)
    rows = [(user, (user + place) % 10 + 10 * rng.integers(0, 3), place) for user in range(120) for place in range(8)]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    codes = pd.DataFrame({"codes": [f"{item % 10} {item // 10}" for item in data.items.ids]})
    data = replace(data, items=Vocabulary(data.items.ids, codes))
    options = ["model=sasrec", "recipe=published", "model.dropout=0", "model.attention_dropout=0", "model.d_model=32", f"out={tmp_path}"]
    options += ["table=semantic_ids", "table.n_levels=2", "table.n_codes=10"]
    run = recpref.fit(*options, "trainer.max_epochs=40", "optimizer.lr=1e-2", "loader.batch_size=32", data=data)
    assert read(run.path / FILE).digest == run.path.name.removesuffix("-s1"), "what is written says what the folder is called by"
    again = recpref.load(run.path)
    assert type(again.model.items).__name__ == "SemanticIds"
    best = again.recommend(data.where(data.time < 7), 3, filter_seen=False)
    assert (best["item"] % 10 == (best["user"] + 7) % 10).mean() > 0.9
    pd.testing.assert_frame_equal(run.recommend(data.where(data.time < 7), 3, filter_seen=False), best)
