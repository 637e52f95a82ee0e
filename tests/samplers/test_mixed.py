"""Mixed negatives: so many from one source, the others uniform, and q that of the mixture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from recpref.samplers.mixed import Mixed
from recpref.types import Batch, History

NOBODY = SimpleNamespace(user=np.zeros(0, dtype=np.int64), item=np.zeros(0, dtype=np.int64))  # training rows that no one asks for
V, COUNTS = 4, np.array([0, 16, 1, 1, 81])
TARGETS = torch.tensor([[4, 4], [1, 0]])
BATCH = Batch(History(torch.ones_like(TARGETS), torch.tensor([1, 2])), TARGETS)


def test_q_by_hand() -> None:
    """One of 4 by popularity to the power 1/2 (4, 1, 1, 9 of 15), three uniform: q = (share + 3/4) / 4."""
    sampler = Mixed(V, COUNTS, NOBODY, n_negatives=4, share=0.25, source="popularity", alpha=0.5)
    found = sampler(BATCH, torch.Generator().manual_seed(0))
    q = (torch.tensor([0, 4, 1, 1, 9]) / 15 + 0.75) / 4
    torch.testing.assert_close(found.log_q_negatives.exp(), q[found.negatives])
    torch.testing.assert_close(found.log_q_positive.exp(), q[found.positive])


@pytest.mark.parametrize("shared", [False, True])
def test_frequencies(shared: bool) -> None:
    """Half by popularity and half uniform; the uniform two of a shared set are different."""
    sampler = Mixed(V, COUNTS, NOBODY, n_negatives=4, share=0.5, source="popularity", alpha=0.5, shared=shared)
    rng = torch.Generator().manual_seed(0)
    drawn = torch.cat([sampler(BATCH, rng).negatives for _ in range(2000)])
    first, rest = (np.bincount(part.flatten().numpy(), minlength=5)[1:] for part in (drawn[:, :2], drawn[:, 2:]))
    assert chisquare(first, np.array([4, 1, 1, 9]) / 15 * first.sum()).pvalue > 1e-3
    assert chisquare(rest).pvalue > 1e-3
    assert not shared or (drawn[:, 2] != drawn[:, 3]).all()


def test_a_batch_that_has_fewer_targets_gives_fewer() -> None:
    """Three targets where four of eight were wanted, hence three and the four uniform ones, and q of those parts."""
    counts = np.array([0, 2, 1, 1, 4, 1, 1, 1, 1])
    found = Mixed(8, counts, NOBODY, n_negatives=8)(BATCH, torch.Generator().manual_seed(0))
    assert found.negatives.shape == (1, 7)
    assert sorted(found.negatives[0, :3].tolist()) == [1, 4, 4]
    q = (3 * torch.tensor(counts) / 12 + 4 / 8) / 7
    torch.testing.assert_close(found.log_q_negatives.exp(), q[found.negatives])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share": 0.0}, r"sampler\.share=0\.0 of 4 negatives leaves one part empty; use sampler=in_batch or uniform"),
        ({"share": 1.0}, r"sampler\.share=1\.0"),
        ({"alpha": 0.5}, r"sampler\.alpha=0\.5 is the power of popularity; it needs sampler\.source=popularity"),
        ({"shared": False}, r"sampler\.shared=false cannot be with sampler\.source=in_batch"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Mixed(V, COUNTS, NOBODY, n_negatives=4, **options)
