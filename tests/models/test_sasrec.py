"""SASRec: causal, padding-invariant, scored by its own item table."""

from __future__ import annotations

import pytest
import torch

from recpref.models.sasrec import SASRec
from recpref.types import History

V = 20


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> SASRec:
    torch.manual_seed(0)
    return SASRec(V, **{"d_model": 16, "max_len": 8, **options}).eval()


def encoded(net: SASRec, given: History) -> torch.Tensor:
    return net.encode(net.embed(given.items), given)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_step_does_not_see_what_follows(norm):
    net = model(norm=norm)
    left, right = encoded(net, history([1, 2, 3, 4])), encoded(net, history([1, 2, 9, 9]))
    torch.testing.assert_close(left[:, :2], right[:, :2])
    assert not torch.allclose(left[:, 2:], right[:, 2:])


def test_it_sees_all_that_came_before():
    net = model()
    assert not torch.allclose(net.state(history([1, 2, 3, 4])), net.state(history([9, 2, 3, 4])))


def test_more_padding_changes_nothing():
    net = model()
    alone, among = history([4, 5, 6]), history([4, 5, 6], [1] * 8)
    torch.testing.assert_close(encoded(net, alone)[0], encoded(net, among)[0, -3:], atol=1e-5, rtol=0)


def test_the_state_is_the_last_step_of_the_newest_items():
    net = model()
    torch.testing.assert_close(net.state(history([1, 2, 3])), encoded(net, history([1, 2, 3]))[:, -1])
    torch.testing.assert_close(net.state(history([7, 7, *range(1, 9)])), net.state(history(list(range(1, 9)))))


def test_histories_longer_than_any_training_row_are_cut():
    net = model().train()
    encoded(net, history([1, 2, 3]))
    net.eval()
    torch.testing.assert_close(net.state(history([9, 8, 1, 2, 3])), net.state(history([1, 2, 3])))


def test_an_empty_history_among_others_has_a_finite_state():
    states = model().state(history([1, 2, 3], []))
    assert states.isfinite().all()


def test_an_empty_history_alone_has_the_same_state_as_among_others():
    net = model()
    among = net.state(history([1, 2, 3], []))[1:]
    torch.testing.assert_close(net.state(history([0, 0])), among, atol=1e-5, rtol=0)


def test_parameters_by_hand():
    """Table 21 x 16, positions 8 x 16, two layers of 4 x (16 x 16 + 16) + 2 x (16 x 16 + 16) + 2 norms of 32, a norm of 32."""
    layer = 6 * (16 * 16 + 16) + 2 * 32
    assert sum(p.numel() for p in model().parameters()) == 21 * 16 + 8 * 16 + 2 * layer + 32


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=5 must divide d_model=16"):
        model(n_heads=5)
