"""Sorting more rows than fit into memory: by user into buckets on disk, each of which is then sorted by itself.

Buckets hold neighbouring users and about equally many rows, so that what is sorted bucket by bucket is sorted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from recpref.data.ordering import stable_order

ROWS = 1 << 22  # of a bucket, unless a single user has more
MOST = 512  # open files


class Sorted(NamedTuple):
    """Rows of neighbouring users by (user, key, order of arrival)."""

    user: Int64[np.ndarray, " n"]
    item: Int64[np.ndarray, " n"]
    key: np.ndarray | None


class Buckets:
    """``counts`` are the rows of each user 1..U, which must all be added, with what orders a user's rows, or all without."""

    def __init__(self, folder: Path, counts: Int64[np.ndarray, " U"], rows: int = ROWS):
        rows = max(rows, int(counts.sum()) // MOST + 1)
        self.folder, self.bucket = folder, ((np.cumsum(counts) - counts) // rows).astype(np.int16)
        self.n = int(self.bucket[-1]) + 1
        self.row = np.dtype([])
        self.files = [self.place(number).open("wb") for number in range(self.n)]

    def place(self, number: int) -> Path:
        """The file of a bucket."""
        return self.folder / f"bucket-{number}"

    def add(self, user: Int64[np.ndarray, " n"], item: Int64[np.ndarray, " n"], key: np.ndarray | None) -> None:
        """Puts rows where they belong. Rows of equal user and key stay in the order in which they were added."""
        bucket = self.bucket[user - 1]
        order = np.argsort(bucket, kind="stable")  # by radix
        columns: list[tuple[str, Any]] = [("user", np.int32), ("product", np.int32)]  # a recarray has an item() of its own
        self.row = np.dtype(columns if key is None else [*columns, ("key", key.dtype)])
        rows = np.empty(len(user), self.row).view(np.recarray)
        rows.user, rows.product = user, item
        if key is not None:
            rows.key = key
        ordered, first = rows[order], 0
        for number, count in enumerate(np.bincount(bucket, minlength=self.n).tolist()):
            ordered[first : first + count].tofile(self.files[number])
            first += count

    def close(self) -> None:
        """No more rows come."""
        for file in self.files:
            file.close()

    def sorted(self) -> Iterator[Sorted]:
        """The buckets in their order, each removed once it was read."""
        self.close()
        for number in range(self.n):
            rows = np.fromfile(self.place(number), self.row).view(np.recarray)
            self.place(number).unlink()
            if not len(rows):
                continue
            user, item = rows.user.astype(np.int64), rows.product.astype(np.int64)
            key = np.ascontiguousarray(rows.key) if "key" in (self.row.names or ()) else None
            del rows
            order = stable_order(user - (user.min() - 1), key)
            yield Sorted(user, item, key) if order is None else Sorted(user[order], item[order], None if key is None else key[order])
