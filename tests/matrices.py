"""Matrices of users and items as data, and models that count fitted to them, for tests."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pandas as pd

from recpref.data.interactions import Interactions

M = TypeVar("M")


def of(matrix: np.ndarray) -> Interactions:
    """The interactions of a 0/1 matrix, users by items."""
    user, item = np.nonzero(matrix)
    return Interactions.from_dataframe(pd.DataFrame({"u": user + 1, "i": item + 1}), user="u", item="i")


def fitted(model: type[M], matrix: np.ndarray, **options: Any) -> M:
    """A model of the items of a matrix, fitted to it."""
    made: Any = model(matrix.shape[1], **options)  # type: ignore[call-arg]
    made.fit(of(matrix))
    return made
