"""How models read a history: the newest items, the place that is read, and nobody's history."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from recpref import components
from recpref.layers.reading import encoded_at, last_column, last_state, newest, shortened
from recpref.types import History, Reader


def test_newest_cuts_the_oldest_and_common_padding():
    items = torch.tensor([[0, 0, 1, 2], [0, 0, 0, 3]])
    assert newest(items, 9).tolist() == [[1, 2], [0, 3]]
    assert newest(items, 1).tolist() == [[2], [3]]
    assert newest(items, 0).shape == (2, 0)
    assert newest(torch.zeros(2, 3, dtype=torch.long), 2).shape == (2, 0)
    assert newest(torch.zeros(2, 0, dtype=torch.long), 2).shape == (2, 0)


class Told(nn.Module):
    """Encodes nothing, and remembers what it was asked."""

    causal = True

    def embed(self, items: Tensor) -> Tensor:
        return items[:, :, None].float()

    def encode(self, x: Tensor, history: History) -> Tensor:
        self.asked = history
        return x

    def state(self, history: History) -> Tensor:
        return last_state(self, history)

    def reads(self, history: History) -> History:
        return shortened(history, 3)

    def score(self, h: Tensor, items: Tensor | None = None) -> Tensor:
        return h

    def table(self) -> tuple[Tensor, Tensor]:
        return torch.ones(10, 1), torch.zeros(10)


def test_the_last_state_is_read_at_the_newest_of_the_newest():
    """Of 5 6 7 8 9 the last three; times go with them; columns that are padding for everybody go."""
    model = Told()
    given = History(torch.tensor([[0, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 2]]), torch.tensor([1, 2]), torch.arange(12).view(2, 6))
    assert model.state(given).tolist() == [[9], [2]]
    assert model.asked.items.tolist() == [[7, 8, 9], [0, 0, 2]]
    assert model.asked.time.tolist() == [[3, 4, 5], [9, 10, 11]]


@pytest.mark.parametrize("timed", [True, False])
def test_where_nobody_has_a_history_there_is_a_column_of_padding(timed):
    """Items and times."""
    model, nothing = Told(), torch.zeros(2, 4, dtype=torch.long)
    assert model.state(History(nothing, torch.tensor([1, 2]), nothing if timed else None)).tolist() == [[0], [0]]
    assert model.asked.items.shape == (2, 1)
    assert model.asked.time is None or model.asked.time.shape == (2, 1)


@pytest.mark.parametrize("name", ["bert4rec", "sasrec", "esasrec", "hstu", "gru4rec", "nextitnet", "srgnn", "fmlprec"])
def test_the_state_is_what_is_encoded_of_what_is_read(name):
    """Histories longer than the window, of one item and none: ``reads`` says all that ``state`` knows."""
    torch.manual_seed(0)
    model = components.find("model", name)(9, d_model=8, max_len=3).eval()
    assert isinstance(model, Reader)
    given = History(torch.tensor([[0, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 2], [0] * 6]), torch.tensor([1, 2, 3]))
    read = model.reads(given)
    assert read.items.shape == (3, 3)
    encoded = model.encode(model.embed(read.items), read)[:, -1]
    torch.testing.assert_close(model.state(given), encoded, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoded_at(model, model.embed(read.items), read, last_column(read.items)), encoded, atol=1e-6, rtol=0)
