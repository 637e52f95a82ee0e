"""When training stops: still rising or not, and numbers that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.training.callbacks import callbacks
from recpref.training.stopping import METRIC, Stopping, still_rising


@pytest.mark.parametrize(
    ("validations", "rising"),
    [
        ([0.05, 0.08, 0.09, 0.10, 0.12], True),  # the last fifth is one value: 0.12 > 1.01 * 0.10
        ([0.05, 0.10, 0.10, 0.10, 0.10], False),  # 0.10 < 0.101
        ([0.05, 0.08, 0.09, 0.10, 0.101], False),  # exactly one per cent is not more than one per cent
        ([0.05, 0.08, 0.09, 0.10, 0.1011], True),
        ([0.20, 0.08, 0.09, 0.10, 0.12], False),  # an early peak
        ([0.1] * 8 + [0.15, 0.1], True),  # the last fifth of ten are two values, and the better one counts
        ([0.1] * 7 + [0.15, 0.1, 0.1], False),
        ([0.1, 0.2], True),
        ([0.2, 0.1], False),
        ([0.3], True),  # nothing to compare with
        ([], True),
        ([0.0, 0.0], False),
    ],
)
def test_still_rising(validations: list[float], rising: bool) -> None:
    """Whether the last fifth beats all before it by more than one per cent."""
    assert still_rising(validations) is rising


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=30), st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_still_rising_has_no_unit(validations: list[float], factor: float) -> None:
    """Scaling all values changes nothing; a flat end is never rising; a new peak of two per cent at the end always is."""
    assert still_rising([factor * value for value in validations]) is still_rising(validations)
    assert still_rising([*validations, max(validations) * 1.02])
    assert not still_rising(validations + [max(validations)] * len(validations))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "stopping.every=0"), ({"patience": 0}, "stopping.patience=0"), ({"every": -4}, "stopping.every=-4")],
)
def test_stopping_refuses_numbers_below_one(options: dict[str, int], message: str) -> None:
    """The option, its value and the least legal one."""
    with pytest.raises(ValueError, match=f"{message} .*must be at least 1"):
        Stopping(**options)


def test_the_least_that_stopping_takes() -> None:
    """One of each, and a state saved whenever it can be."""
    assert Stopping(every=1, patience=1, k=1, save_seconds=0.0).metric == "valid/ndcg@1"


def test_stopping_refuses_a_negative_time() -> None:
    """Saving before it began."""
    with pytest.raises(ValueError, match=r"stopping\.save_seconds=-1\.0 must not be negative"):
        Stopping(save_seconds=-1.0)


def test_what_chooses_may_look_further_down_the_list() -> None:
    """``stopping.k`` names the metric that is kept by, stopped by and shown."""
    stopping = Stopping(k=50)
    assert (Stopping().metric, stopping.metric) == (METRIC, "valid/ndcg@50")
    keep, early, *_ = callbacks(stopping, Path("state"), validated=True)
    assert (keep.metric, early.monitor) == ("valid/ndcg@50", "valid/ndcg@50")
    with pytest.raises(ValueError, match=r"stopping\.k=0 must be at least 1"):
        Stopping(k=0)
