"""Means of an epoch: by count, by name, and as if nothing had happened when they are saved in the middle of it."""

from __future__ import annotations

import io

import pytest
import torch

from recpref.training.epoch_means import EpochMeans


def filled(means: EpochMeans, *batches: tuple[int, int, dict[str, object]]) -> EpochMeans:
    for epoch, count, values in batches:
        means.add(epoch, count, values)
    return means


def test_means_are_weighted_by_counts() -> None:
    """(2 * 3 + 5 * 1) / 4 = 2.75; what only one batch logged is the mean of that one."""
    means = filled(EpochMeans(), (0, 3, {"loss": torch.tensor(2.0)}), (0, 1, {"loss": 5.0, "flips": 0.5}), (1, 2, {"loss": 1.0}))
    assert means.rows == [{"epoch": 1.0, "loss": 2.75, "flips": 0.5}, {"epoch": 2.0, "loss": 1.0}]


def test_without_batches_there_are_no_rows() -> None:
    assert EpochMeans().rows == []


@pytest.mark.parametrize("saved", range(5))
def test_a_saved_state_goes_on_to_the_same_rows(saved: int) -> None:
    """Saved after any batch, the last one of an epoch too, in the form of a file and read without pickled code."""
    batches = [(epoch, 3, {"loss": torch.tensor(0.1) + epoch + i / 7, "flips": i / 3}) for epoch in range(2) for i in range(2)]
    file = io.BytesIO()
    torch.save(filled(EpochMeans(), *batches[:saved]).state(), file)
    file.seek(0)
    again = EpochMeans()
    again.load(torch.load(file, weights_only=True))
    assert filled(again, *batches[saved:]).rows == filled(EpochMeans(), *batches).rows


def test_a_state_without_sums_is_read() -> None:
    means = EpochMeans()
    means.load({"losses": [{"epoch": 1.0, "loss": 2.0}]})
    assert filled(means, (1, 1, {"loss": 1.0})).rows == [{"epoch": 1.0, "loss": 2.0}, {"epoch": 2.0, "loss": 1.0}]


def test_half_precision_is_summed_in_single() -> None:
    """A thousand ones, of which bfloat16 could count 256."""
    assert filled(EpochMeans(), *[(0, 1, {"loss": torch.tensor(1.0, dtype=torch.bfloat16)})] * 1000).rows[0]["loss"] == 1.0
