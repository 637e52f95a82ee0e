"""Random numbers that are a function of (seed, epoch, row)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recpref.data.randomness import _GOLDEN, Draw, _mix, seed_of

ROWS = 5000


def uniform(seed: int = 0, epoch: int = 0, stream: int = 0, n: int = 4) -> np.ndarray:
    """The numbers of the first rows."""
    return Draw(seed, epoch, torch.arange(ROWS)).uniform(n, stream=stream).numpy()


def test_the_mixer_is_splitmix64() -> None:
    """The first outputs of the reference implementation (Vigna's splitmix64.c) for the seed 1234567."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    found = _mix(1234567 + torch.arange(1, 6) * _GOLDEN)
    assert [int(value) % (1 << 64) for value in found] == published


def test_shape_range_and_type() -> None:
    """[B, n] in [0, 1), float64 so that ties are practically impossible."""
    numbers = Draw(1, 2, torch.arange(7)).uniform(3)
    assert (numbers.shape, numbers.dtype) == ((7, 3), torch.float64)
    assert bool(((numbers >= 0) & (numbers < 1)).all())
    assert Draw(1, 2, torch.arange(0)).uniform(3).shape == (0, 3)
    assert Draw(1, 2, torch.arange(7)).uniform(0).shape == (7, 0)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(0, 2**31), st.integers(0, 100), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_a_rows_numbers_depend_on_that_row_alone(rows: list[int], seed: int, epoch: int, n: int) -> None:
    """Whatever rows stand beside it, in whatever order, and however many numbers are asked for."""
    every = Draw(seed, epoch, torch.arange(501)).uniform(12)
    assert torch.equal(Draw(seed, epoch, torch.tensor(rows)).uniform(n), every[rows, :n])


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**62, -1])
@pytest.mark.parametrize("epoch", [0, 1, 999])
def test_numbers_are_uniform(seed: int, epoch: int) -> None:
    """Kolmogorov and Smirnov's test finds nothing, over all numbers and down one column."""
    numbers = uniform(seed, epoch)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.001
    assert stats.kstest(numbers[:, 0], "uniform").pvalue > 0.001


PAIRS = {
    "neighbouring epochs": (uniform(0, 0), uniform(0, 1)),
    "neighbouring seeds": (uniform(0, 0), uniform(1, 0)),
    "seed and epoch exchanged": (uniform(0, 1), uniform(1, 0)),
    "streams": (uniform(stream=0), uniform(stream=1)),
    "neighbouring columns": (uniform()[:, 1:], uniform()[:, :-1]),
    "neighbouring rows": (uniform()[1:], uniform()[:-1]),
    "a stream and the next row": (uniform(stream=1)[:-1], uniform()[1:]),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_numbers_are_independent(pair: str) -> None:
    """No number is repeated, and the rank correlation of 15,000 and more pairs is within four standard errors of 0."""
    one, other = (part.ravel() for part in PAIRS[pair])
    assert not (one == other).any()
    assert abs(stats.spearmanr(one, other).statistic) < 4 / np.sqrt(len(one))


def test_a_tables_cells_fill_evenly() -> None:
    """Pairs of neighbouring columns fall evenly into a grid of 10 by 10."""
    numbers = uniform()
    counts = np.histogram2d(numbers[:, 0], numbers[:, 1], bins=10, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(counts.ravel()).pvalue > 0.001


def test_no_two_of_many_numbers_are_equal() -> None:
    """20,000 numbers of 53 bits: the chance of any pair is below one in ten million."""
    assert len(np.unique(uniform())) == ROWS * 4


@pytest.mark.parametrize("seed", [0, 3])
def test_rows_may_be_32_bit_integers(seed: int) -> None:
    """The row's number counts, not the width that it is held in."""
    assert torch.equal(Draw(seed, 0, torch.arange(5, dtype=torch.int32)).uniform(2), Draw(seed, 0, torch.arange(5)).uniform(2))


def test_seeds_of_many_parts_differ_and_fit() -> None:
    """Every (seed, epoch) has its own 63-bit seed, and the order of the parts matters."""
    seeds = {seed_of(seed, epoch) for seed in range(60) for epoch in range(60)}
    assert len(seeds) == 3600
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    assert seed_of(1, 2) == seed_of(1, 2) != seed_of(2, 1)
    assert len({seed_of(1), seed_of(1, 0), seed_of(0, 1), seed_of()}) == 4
