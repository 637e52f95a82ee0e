"""Quotient and remainder: three operations by hand, distinct vectors, and the case in which they are a whole table; then in every model."""

from __future__ import annotations

from itertools import product

import pandas as pd
import pytest
import torch

import recpref
from recpref import components
from recpref.composition.compose import compose
from recpref.layers.item_table import ItemTable
from recpref.objectives.score import Source
from recpref.tables.quotient_remainder import QuotientRemainder


@pytest.mark.parametrize(("operation", "expected"), [("multiply", [6.0, 20.0]), ("add", [5.0, 9.0]), ("concatenate", [2.0, 4.0, 3.0, 5.0])])
def test_by_hand(operation: str, expected: list[float]) -> None:
    """Item 5 of rows of three: remainder 2, quotient 1."""
    table = QuotientRemainder(8, len(expected), True, n_rows=3, operation=operation)
    table.remainder.weight.data = torch.tensor([[0.0, 0.0], [0.0, 0.0], [2.0, 4.0]])
    table.quotient.weight.data = torch.tensor([[0.0, 0.0], [3.0, 5.0], [0.0, 0.0]])
    assert table(torch.tensor([5])).tolist() == [expected]
    assert table.score(torch.ones(1, len(expected)))[0, [0, 5]].tolist() == [-torch.inf, sum(expected)]


@pytest.mark.parametrize(("n_rows", "count"), [(None, 32 + 32), (1001, 1001 + 1), (1, 1 + 1001), (100, 100 + 11)])
def test_parameters_by_hand(n_rows: int | None, count: int) -> None:
    """1,000 items: ids 0 to 1,000, so 32 remainders (isqrt(1000) + 1) and 1000 // 32 + 1 = 32 quotients."""
    table = QuotientRemainder(1000, 8, False, n_rows=n_rows)
    assert sum(p.numel() for p in table.parameters()) == 8 * count


@pytest.mark.parametrize("operation", ["multiply", "add", "concatenate"])
@pytest.mark.parametrize(("n_items", "n_rows"), [(1, None), (10, 3), (999, None), (1000, 7), (1000, 1001)])
def test_distinct_items_have_distinct_vectors(operation: str, n_items: int, n_rows: int | None) -> None:
    torch.manual_seed(0)
    table = QuotientRemainder(n_items, 8, False, n_rows=n_rows, operation=operation)
    assert len(table.table()[0].unique(dim=0)) == n_items + 1


@pytest.mark.parametrize(("operation", "nothing"), [("add", 0.0), ("multiply", 1.0)])
def test_with_a_row_each_it_is_a_whole_table(operation: str, nothing: float) -> None:
    """V + 1 remainders and a single quotient that changes nothing: the vectors, scores and gradients of an ItemTable."""
    torch.manual_seed(0)
    table, whole = QuotientRemainder(20, 4, True, n_rows=21, operation=operation), ItemTable(20, 4, bias=True)
    torch.nn.init.constant_(table.quotient.weight, nothing)
    whole.weight.data = table.remainder.weight.detach().clone()
    h, items = torch.randn(5, 4), torch.randint(1, 21, (5, 3))
    for part in (table, whole):
        (part.score(h, items).sum() + part.score(h)[:, 1:].square().sum() + part(items).sum()).backward()
    torch.testing.assert_close(table.score(h), whole.score(h))
    torch.testing.assert_close(table.remainder.weight.grad, whole.weight.grad)
    torch.testing.assert_close(table.bias.grad, whole.bias.grad)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table\.n_rows=0 must lie between 1 and 11"):
        QuotientRemainder(10, 4, False, n_rows=0)
    with pytest.raises(ValueError, match=r"concatenate halves the vectors, and d_model=5 is odd"):
        QuotientRemainder(10, 5, False, operation="concatenate")
    with pytest.raises(ValueError, match="unknown table 'hash'; did you mean 'hashed'"):
        compose(["model=sasrec", "table=hash"])
    with pytest.raises(ValueError, match="unknown option of table 'n_row'; did you mean 'n_rows'"):
        compose(["model=sasrec", "table=hashed", "table.n_row=3"])
    with pytest.raises(ValueError, match="table=hashed: model=popular has no ItemTable"):
        components.model_of(compose(["model=popular", "table=hashed"]), {"n_items": 5})
    with pytest.raises(ValueError, match="table=hashed: model=bert4rec has no ItemTable"):  # its table has a row for [MASK]
        components.model_of(compose(["model=bert4rec", "table=hashed"]), {"n_items": 5})


MODELS = ["esasrec", "fmlprec", "gru4rec", "hstu", "nextitnet", "sasrec", "srgnn"]


@pytest.mark.parametrize(
    ("model", "table"), [*product([*MODELS, "ada_retrieval"], [None, "hashed", "quotient_remainder"]), ("bert4rec", None)]
)
def test_rows_are_those_of_the_table_in_every_model(model: str, table: str | None) -> None:
    """``rows(items)`` is ``table()`` at these items, whatever the table; few numbers stand for many items."""
    torch.manual_seed(0)
    plan = compose([f"model={model}", *([f"table={table}"] if table else [])])
    built = components.model_of(plan, {"n_items": 5000, "n_users": 2}).eval()
    if model == "ada_retrieval":
        built = built.base
    vectors, bias = built.table()
    assert len(vectors) == 5001
    assert bias[0] == -torch.inf
    items = torch.tensor([[1, 0, 4999], [5000, 7, 7]])
    source = Source.of(built)
    assert source.n_rows in (5001, 5002)
    some = source.rows(items)
    torch.testing.assert_close(some[0], vectors[items])
    torch.testing.assert_close(some[1], bias[items])
    h = torch.randn(2, vectors.shape[1])
    torch.testing.assert_close(built.score(h, items), (h @ vectors.T + bias).gather(1, items), rtol=1e-4, atol=1e-6)
    if table:
        assert sum(p.numel() for p in built.items.parameters()) < 5001 * vectors.shape[1] / 4


@pytest.mark.parametrize("table", ["hashed", "quotient_remainder"])
def test_a_run_learns_is_saved_and_loaded(table: str, tmp_path, unchecked) -> None:
    """The cycle 1 -> 2 -> ... -> 30 -> 1 is learned through shared rows, by a sampled loss, and the loaded run recommends the same."""
    rows = [(user, (user + place) % 30 + 1, place) for user in range(60) for place in range(8)]
    data = recpref.Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    options = ["model=sasrec", "recipe=published", "model.dropout=0", "model.attention_dropout=0", "model.d_model=32", f"table={table}"]
    options += ["loss=sampled_softmax", "sampler=uniform", "sampler.n_negatives=8", "trainer.max_epochs=60", "optimizer.lr=1e-2"]
    run = recpref.fit(*options, "table.n_rows=8", "loader.batch_size=16", f"out={tmp_path}", data=data)
    assert run.metrics["test/hr@1"] > 0.8
    again = recpref.load(run.path)
    assert again.experiment.table.name == table
    assert type(again.model.items).__name__ == {"hashed": "Hashed", "quotient_remainder": "QuotientRemainder"}[table]
    assert run.experiment.digest("x") != compose([option for option in options if not option.startswith("table")]).digest("x")
