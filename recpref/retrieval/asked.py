"""What a caller asks for, refused in a line where it is none: ids in one row, whole numbers, yes or no."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd


def ids_of(ids: Any, what: str) -> np.ndarray:
    """One id or several of any container (a set, a frame's column, an Arrow array) in one row.

    Raises: ValueError for a table of ids.
    """
    if isinstance(ids, pd.DataFrame):
        raise ValueError(f"{what} are ids, and a frame was passed; pass its column; run.rerank takes candidates of each user")
    if not hasattr(ids, "__array__"):
        ids = pd.Series(list(ids) if pd.api.types.is_list_like(ids) else [ids])  # numpy would make texts of what is mixed
    found = np.atleast_1d(np.asarray(ids))
    if found.ndim > 1 or (found.dtype == object and any(map(pd.api.types.is_list_like, found))):
        raise ValueError(f"{what} are ids in one row, and a table of them was passed, or lists of lists")
    return found


def refuse_no_count(**said: Any) -> None:
    """Raises: ValueError for what is no whole number of at least 1."""
    for name, value in said.items():
        if not isinstance(value, Integral) or int(value) < 1:
            raise ValueError(f"{name}={value} must be a whole number of at least 1")


def refuse_no_truth(**said: Any) -> None:
    """Raises: ValueError for what is neither true nor false, nor left open by None: a text would count as true, ``"false"``, too."""
    for name, value in said.items():
        if value is not None and not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be True or False, or None for what is usual")
