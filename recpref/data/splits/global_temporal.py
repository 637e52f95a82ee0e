"""Global temporal: two moments cut everybody's rows into training, validation and test.

It leaks nothing across users: no training row is as late as the first validation moment, and what is asked at test is later
than all that was trained on or chosen with. Items that appear after training stay among the targets: nobody could
recommend them, and the misses are the truth. Users who appear after training cannot be asked and are no targets.
Source: Meng et al. (RecSys 2020), "global timeline"; Ji et al. (TOIS 2023) on what leave-one-out leaks.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from recpref.data.heldout import Split, divided
from recpref.data.interactions import Interactions

__all__ = ["GlobalTemporal"]


class GlobalTemporal:
    """The moments are quantiles of all times, or the dates ``valid_from`` and ``test_from`` (ISO 8601, UTC), which win.

    A row at a moment stands after it. Raises: ValueError for quantiles that are not ``0 < valid < test < 1`` or for no date.
    """

    def __init__(
        self,
        *,
        valid_quantile: float = 0.8,
        test_quantile: float = 0.9,
        valid_from: str | None = None,
        test_from: str | None = None,
    ):
        if not 0 < valid_quantile < test_quantile < 1:
            raise ValueError(f"split.valid_quantile={valid_quantile} and split.test_quantile={test_quantile} must be 0 < valid < test < 1")
        self.valid = valid_quantile if valid_from is None else _seconds(valid_from, "valid_from")
        self.test = test_quantile if test_from is None else _seconds(test_from, "test_from")

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError without a clock, or where no training row, validation target or test target is left."""
        if data.time is None or data.clock != "seconds":
            raise ValueError(
                f"split=global_temporal needs times in seconds, and {data.name} has clock={data.clock}; use split=leave_one_out"
            )
        valid_moment, test_moment = _moment(data.time, self.valid), _moment(data.time, self.test)
        if valid_moment >= test_moment:
            raise ValueError(f"validation would start at {_date(valid_moment)}, which is not before the test at {_date(test_moment)}")
        test = data.time >= test_moment
        split = divided(data, (data.time >= valid_moment) & ~test, test)
        for part, rows in (("training row", split.train), ("validation target", split.valid.targets), ("test target", split.test.targets)):
            if not len(rows):
                cuts = f"from {_date(valid_moment)} and {_date(test_moment)} on"
                raise ValueError(f"split=global_temporal ({cuts}) leaves no {part} whose user has a history in {data!r}")
        return split


def _moment(time: np.ndarray, at: int | float) -> int:
    """``at`` itself if it is a moment; if it is a share, that quantile, rounded up to a time that occurs."""
    if isinstance(at, int):
        return at
    place = math.ceil((len(time) - 1) * at)
    return int(np.partition(time, place)[place])


def _seconds(text: str, option: str) -> int:
    try:
        moment = pd.to_datetime(text, format="ISO8601", utc=True)
    except ValueError as error:
        raise ValueError(f"split.{option}={text!r} is no date; use ISO 8601, such as 2014-07-01 or 2014-07-01T12:00:00") from error
    return math.floor(moment.timestamp())


def _date(moment: int) -> str:
    return str(np.datetime64(moment, "s"))
