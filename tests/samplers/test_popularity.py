"""Popular negatives: in proportion to a power of the counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from recpref.samplers.popularity import Popularity, shares
from recpref.types import Batch, History

NOBODY = SimpleNamespace(user=np.zeros(0, dtype=np.int64), item=np.zeros(0, dtype=np.int64))  # training rows that no one asks for
COUNTS = np.array([0, 16, 0, 1, 81])
TARGETS = torch.full((4000, 1), 3)
BATCH = Batch(History(torch.ones_like(TARGETS), torch.arange(1, 4001)), TARGETS)


def test_shares_by_hand() -> None:
    """Counts 16, 0 (as 1), 1, 81 to the power 1/2: 4, 1, 1, 9."""
    torch.testing.assert_close(shares(COUNTS, 0.5), torch.tensor([0, 4, 1, 1, 9], dtype=torch.float64) / 15)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_frequencies(alpha: float, shared: bool) -> None:
    sampler, rng = Popularity(COUNTS, NOBODY, n_negatives=4, alpha=alpha, shared=shared), torch.Generator().manual_seed(0)
    drawn = torch.cat([sampler(BATCH, rng).negatives for _ in range(4000 if shared else 1)])
    q = shares(COUNTS, alpha)[1:].numpy()
    assert chisquare(np.bincount(drawn.flatten().numpy(), minlength=5)[1:], q * drawn.numel()).pvalue > 1e-3


def test_log_q_is_that_of_the_draw_and_hits_are_marked() -> None:
    found = Popularity(COUNTS, NOBODY, n_negatives=4, alpha=0.5)(BATCH, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.log_q_negatives.exp().double(), shares(COUNTS, 0.5)[found.negatives])
    torch.testing.assert_close(found.log_q_positive.exp(), torch.full((4000,), 1 / 15))
    assert torch.equal(found.hit, found.negatives == 3)
    assert found.hit.any()


def test_a_negative_power_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sampler\.alpha=-1\.0 must not be negative"):
        Popularity(COUNTS, NOBODY, n_negatives=1, alpha=-1.0)
