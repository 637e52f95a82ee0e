"""What samplers share: positives, the items that users have or lack, and marked draws."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.negatives import Histories, candidates, check_count, positives, uniform_draw
from recpref.types import Batch, History

V = 6


def rows(*pairs: tuple[int, int]) -> SimpleNamespace:
    """Training rows of (user, item)."""
    user, item = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return SimpleNamespace(user=user, item=item)


def batch_of(targets: list[list[int]]) -> Batch:
    tensor = torch.tensor(targets)
    return Batch(History(torch.ones_like(tensor), torch.arange(1, len(targets) + 1)), tensor)


def test_positives_by_hand() -> None:
    positive, row = positives(batch_of([[4, 0, 6], [0, 5, 0]]))
    assert (positive.tolist(), row.tolist()) == ([4, 6, 5], [0, 0, 1])


def test_histories_by_hand() -> None:
    """User 1 has 2 and 5 (twice), so lacks 1, 3, 4, 6; user 2 has nothing in training; user 3 has 6."""
    histories = Histories(rows((3, 6), (1, 5), (1, 2), (1, 5)), V)
    users = torch.tensor([[1], [2], [3]])
    assert histories.has(users, torch.tensor([[2, 3, 5, 6]])).tolist() == [[1, 0, 1, 0], [0] * 4, [0, 0, 0, 1]]
    assert histories.n_lacking(torch.tensor([1, 2, 3])).tolist() == [4, 6, 5]
    assert histories.lacked(torch.tensor([[1]]), torch.arange(4)[None]).tolist() == [[1, 3, 4, 6]]
    assert histories.lacked(torch.tensor([[2]]), torch.arange(6)[None]).tolist() == [[1, 2, 3, 4, 5, 6]]


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(1, 4), st.integers(1, V)), min_size=1, max_size=20))
def test_histories_are_what_a_loop_finds(pairs: list[tuple[int, int]]) -> None:
    histories = Histories(rows(*pairs), V)
    for user in range(1, max(user for user, _ in pairs) + 1):
        owned = {item for owner, item in pairs if owner == user}
        lacking = [item for item in range(1, V + 1) if item not in owned]
        asked = torch.tensor([[user]])
        assert histories.has(asked, torch.arange(1, V + 1)[None])[0].tolist() == [item in owned for item in range(1, V + 1)]
        assert int(histories.n_lacking(asked[0])) == len(lacking)
        assert histories.lacked(asked, torch.arange(len(lacking))[None])[0].tolist() == lacking


def test_users_without_rows_have_nothing() -> None:
    histories = Histories(rows(), V)
    assert not histories.has(torch.tensor([[1]]), torch.tensor([[1, 2]])).any()


@pytest.mark.parametrize("shared", [True, False])
def test_marked_by_hand(shared: bool) -> None:
    """User 1 (targets 4 and 6) has 2 and 4; user 2 (target 5) has nothing. Negatives 2, 4, 5."""
    negatives = torch.tensor([[2, 4, 5]]).expand(1 if shared else 3, -1)
    log_q = torch.arange(V + 1).float()
    batch = batch_of([[4, 6], [5, 0]])
    alone = candidates(batch, negatives, log_q, None)
    assert alone.hit.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert alone.log_q_positive.tolist() == [4, 6, 5]
    assert alone.log_q_negatives.tolist() == [[2, 4, 5]] * len(negatives)
    history = candidates(batch, negatives, log_q, Histories(rows((1, 2), (1, 4)), V))
    assert history.hit.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_a_shared_draw_has_every_item_once() -> None:
    found = uniform_draw(V, None, V, torch.Generator().manual_seed(0))
    assert sorted(found[0].tolist()) == [1, 2, 3, 4, 5, 6]
    assert uniform_draw(V, 3, 2, torch.Generator()).shape == (3, 2)


@pytest.mark.parametrize(("n_negatives", "n_items", "says"), [(0, 5, "between 1 and 5"), (6, 5, "between 1 and 5"), (1, 1, "1 items")])
def test_a_count_that_cannot_be_given_is_refused(n_negatives: int, n_items: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_count(n_negatives, n_items)
