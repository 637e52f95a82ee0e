"""Blocks of rows: all of them, in order, on any number of threads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from recpref.data.blocks import each
from recpref.data.interactions import Interactions
from recpref.data.multiset import BLOCK, among, tally
from recpref.data.vocabulary import Vocabulary


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", range(9))
def test_every_block_once_and_in_order(n, threads):
    edges = [2 * edge for edge in range(n)]
    assert each(edges, lambda one, other: (one, other)) == list(pairwise(edges))


def test_what_a_block_raises_is_raised(threads):
    def work(one: int, other: int) -> None:
        if one == 5:
            raise ValueError("block 5")

    with pytest.raises(ValueError, match="block 5"):
        each(range(8), work)


def test_many_blocks_of_rows_say_the_same_on_any_number_of_threads(threads):
    n, rng = 3 * BLOCK + 5, np.random.default_rng(0)
    user, item, time = np.sort(rng.integers(1, 1001, n)), rng.integers(1, 101, n), rng.integers(0, 1000, n)
    data = Interactions(user, item, time, "seconds", None, Vocabulary(np.arange(1000)), Vocabulary(np.arange(100)))
    torch.set_num_threads(1)
    alone = tally(data), among(user, item, data)
    torch.set_num_threads(threads)
    found = tally(data), among(user, item, data)
    for one, other in zip((*alone[0], alone[1]), (*found[0], found[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1].all()
    assert not among(user[:5], np.full(5, 101), data).any()
