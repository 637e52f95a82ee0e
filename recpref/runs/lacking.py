"""What histories lack of what training had, told in warnings."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pyarrow as pa

from recpref.data.guess import is_rating


def tell_of_no_times(name: str, column: str, there: str, way: str, *, stacklevel: int) -> None:
    """Warns that histories lack the times of training, and of the ``way`` to name them."""
    warnings.warn(
        f"{name} has no column {column!r}, the times of training; it has {there}: its rows are taken to be in order; "
        f"say {way} (none, if they are)",
        stacklevel=stacklevel,
    )


def tell_of_low_ratings(name: str, table: pa.Table, options: dict[str, Any]) -> None:
    """Warns of rows that ``min_rating`` of the training data's ``options`` kept from training, where the table still has their ratings."""
    least, rating = options.get("min_rating"), options.get("rating") or next(filter(is_rating, table.column_names), None)
    if least is None or rating not in table.column_names:
        return
    ratings = table[rating].to_pandas()
    low = int((~(ratings >= least)).sum()) if pd.api.types.is_numeric_dtype(ratings) else 0
    if low:
        warnings.warn(
            f"{low:,} of {len(ratings):,} rows of {name} have no {rating!r} of {least:g} or more; training left such rows out "
            "(data.min_rating), and here they are taken: leave them out of the frame, if they are not meant",
            stacklevel=4,
        )
