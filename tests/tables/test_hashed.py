"""Hash embeddings: the sum by hand, how many numbers they are, and the case in which they are a whole table."""

from __future__ import annotations

import pytest
import torch

from recpref.layers.item_table import ItemTable
from recpref.tables.hashed import Hashed


def test_by_hand() -> None:
    """Item 2 with hashes 2 i + 1 and i (mod 3, then mod 2): rows 5 mod 3 mod 2 = 0 and 0; 3 * (1, 2) + 4 * (1, 2) = (7, 14)."""
    table = Hashed(2, 2, True, n_rows=2)
    table.hashes = [(2, 1), (1, 0)]
    table.shared.weight.data = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    table.importance.data = torch.tensor([[0.0, 0.0], [1.0, 5.0], [3.0, 4.0]])
    table.bias.data = torch.tensor([9.0, 1.0, 2.0])
    assert table(torch.tensor([2])).tolist() == [[7.0, 14.0]]
    vectors, bias = table.rows(torch.tensor([1, 0]))  # item 1: rows 0 and 1
    assert vectors.tolist() == [[51.0, 102.0], [0.0, 0.0]]
    assert bias.tolist() == [1.0, -torch.inf]
    assert table.score(torch.tensor([[1.0, 1.0]])).tolist() == [[-torch.inf, 154.0, 23.0]]
    assert table.score(torch.tensor([[1.0, 1.0]]), torch.tensor([[2]])).tolist() == [[23.0]]


@pytest.mark.parametrize(("importance", "bias"), [(True, True), (False, False)])
def test_parameters_by_hand(importance: bool, bias: bool) -> None:
    """1,000 items in 100 rows of 8, and two weights and one bias each: 800 + 2,002 + 1,001."""
    table = Hashed(1000, 8, bias, n_rows=100, importance=importance)
    assert sum(p.numel() for p in table.parameters()) == 800 + 2002 * importance + 1001 * bias
    assert Hashed(1000, 8, False).n_rows == 100


@pytest.mark.parametrize("n_items", [1, 2, 11, 96, 1000])
def test_rows_are_shared_evenly(n_items: int) -> None:
    """Each hash puts as many items into every row, give or take one; several hashes agree on few pairs."""
    n_rows = max(1, n_items // 4)
    table = Hashed(n_items, 4, False, n_rows=n_rows, n_hashes=3)
    for factor, shift in table.hashes:
        places = (torch.arange(n_items + 1) * factor + shift) % table.n_permuted % n_rows
        counts = torch.bincount(places, minlength=n_rows)
        assert counts.max() - counts.min() <= 1 + table.n_permuted - (n_items + 1)  # the numbers that are no item's


@pytest.mark.parametrize(("n_items", "n_rows"), [(999, 100), (9999, 1000), (999, 300), (3416, 1139), (1000, 100), (11, 4)])
def test_hashes_do_not_agree_with_each_other(n_items: int, n_rows: int) -> None:
    """Whatever divides what: no two items have the same rows. Hashes modulo the number of items would all say i mod n_rows."""
    table = Hashed(n_items, 4, False, n_rows=n_rows)
    items = torch.arange(n_items + 1)
    rows = torch.stack([(items * factor + shift) % table.n_permuted % n_rows for factor, shift in table.hashes], 1)
    if n_items == 11:  # four rows have but sixteen pairs for twelve items
        assert len(torch.unique(rows, dim=0)) > 4
    else:
        assert len(torch.unique(rows, dim=0)) > 0.99 * (n_items + 1)


def test_with_a_row_each_it_is_a_whole_table() -> None:
    """One hash, V + 1 rows, no importance: the same vectors, scores and gradients as an ItemTable, whose rows stand in another order."""
    torch.manual_seed(0)
    table, whole = Hashed(20, 4, False, n_rows=21, n_hashes=1, importance=False), ItemTable(20, 4)
    ((factor, shift),) = table.hashes
    place = (torch.arange(21) * factor + shift) % 21
    assert sorted(place.tolist()) == list(range(21))
    whole.weight.data = table.shared.weight.detach()[place]
    h, items = torch.randn(5, 4), torch.randint(1, 21, (5, 3))
    for part in (table, whole):
        (part.score(h, items).sum() + part.score(h)[:, 1:].square().sum() + part(items).sum()).backward()
    torch.testing.assert_close(table.table()[0], whole.table()[0])
    torch.testing.assert_close(table.score(h), whole.score(h))
    torch.testing.assert_close(table.shared.weight.grad[place], whole.weight.grad)


def test_items_are_told_apart() -> None:
    """After training has moved the importance, even items of the same rows differ."""
    torch.manual_seed(0)
    table = Hashed(2000, 8, False, n_rows=40)
    torch.nn.init.normal_(table.importance, 1.0, 0.1)
    assert len(table.table()[0].unique(dim=0)) == 2001


def test_the_seed_chooses_the_hashes() -> None:
    assert Hashed(100, 4, False).hashes == Hashed(100, 4, False).hashes != Hashed(100, 4, False, seed=1).hashes


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table\.n_rows=12 must lie between 1 and 11"):
        Hashed(10, 4, False, n_rows=12)
    with pytest.raises(ValueError, match=r"table\.n_hashes=0 must be at least 1"):
        Hashed(10, 4, False, n_hashes=0)
