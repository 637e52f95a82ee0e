"""The item table: read at the bottom, scored at the top."""

from __future__ import annotations

import torch

from recpref.layers.item_table import ItemTable


def test_by_hand() -> None:
    """Items (1, 0), (0, 2) and biases 3, 4: h = (5, 6) scores 5 + 3 and 12 + 4; padding is never recommended."""
    table = ItemTable(2, 2, bias=True)
    table.weight.data = torch.tensor([[9.0, 9.0], [1.0, 0.0], [0.0, 2.0]])
    table.bias.data = torch.tensor([7.0, 3.0, 4.0])
    h = torch.tensor([[5.0, 6.0]])
    assert table.score(h).tolist() == [[-torch.inf, 8.0, 16.0]]
    assert table.score(h, torch.tensor([[2, 0, 1]])).tolist() == [[16.0, -torch.inf, 8.0]]
    assert table(torch.tensor([[2, 1]])).tolist() == [[[0.0, 2.0], [1.0, 0.0]]]


def test_shared_candidates_are_those_of_every_row() -> None:
    """[1, C] items and the same repeated for each row."""
    table = ItemTable(9, 4)
    h, items = torch.randn(3, 4), torch.tensor([[1, 5, 9]])
    torch.testing.assert_close(table.score(h, items), table.score(h, items.expand(3, -1)))


def test_without_a_bias_there_is_only_the_table() -> None:
    """V + 1 rows to learn; a bias is V + 1 numbers more, and what forbids padding is neither learned nor saved."""
    assert {name: value.shape for name, value in ItemTable(5, 2).state_dict().items()} == {"weight": (6, 2)}
    assert sum(p.numel() for p in ItemTable(5, 2, bias=True).parameters()) == 6 * 2 + 6


def test_a_bias_learns_from_the_scores_of_real_items() -> None:
    """The gradient of a softmax over the catalogue is finite, and zero for padding."""
    table = ItemTable(5, 2, bias=True)
    torch.nn.functional.cross_entropy(table.score(torch.randn(3, 2)), torch.tensor([1, 2, 5])).backward()
    assert table.bias.grad.isfinite().all()
    assert table.bias.grad[0] == 0
    assert (table.bias.grad[1:] != 0).all()
