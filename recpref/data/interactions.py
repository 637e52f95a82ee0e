"""Interactions: who consumed what, in which order. Data at rest, the one form everything else starts from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from recpref.data.vocabulary import Vocabulary


class Columns(NamedTuple):
    """What the columns were called where the data came from, so that later frames may be read alike."""

    user: str = "user_id"
    item: str = "item_id"
    time: str | None = "timestamp"


@dataclass(frozen=True)
class Interactions:
    """Flat arrays sorted by (user, time, original row): a user is one slice. Users and items are numbered from 1.

    ``clock`` says what ``time`` is: ``seconds`` since 1970 in UTC, an ``order`` without a clock, or ``none``. ``fraction`` are the
    billionths past it, where times are finer than that. ``extra`` holds the other columns (rating, review, ...), row-aligned.
    ``report`` tells in lines what was read, and which rule kept how much of it.
    """

    user: Int64[np.ndarray, " n"]
    item: Int64[np.ndarray, " n"]
    time: Int64[np.ndarray, " n"] | None
    clock: Literal["seconds", "order", "none"]
    extra: pd.DataFrame | None
    users: Vocabulary
    items: Vocabulary
    name: str = "frame"
    columns: Columns = field(default_factory=Columns)
    report: tuple[str, ...] = ()
    fraction: Int64[np.ndarray, " n"] | None = None

    @classmethod
    def from_dataframe(
        cls, df: Any, *, user: str | int | None = None, item: str | int | None = None, time: str | int | None = None, name: str = "frame"
    ) -> Interactions:
        """From a pandas or polars frame, or anything that speaks Arrow. Rows of equal time keep their order. Columns that are called by
        numbers are known by their texts.

        If both ``user`` and ``item`` are named, nothing is guessed, and without ``time`` the rows count as being in order. If either is
        missing, every unnamed column is guessed. ``time="none"``: there is none, in any case. ``name`` is what the data is called in
        tables and in the folder of a run.

        Raises: ValueError naming the column, the row and the value, for a missing column, an empty frame, missing ids,
        ids that are neither integers nor strings, or times that are no times.
        """
        from recpref.data.asked import Asked  # these build Interactions: imported when called
        from recpref.data.columns import interactions_of
        from recpref.data.frames import arrow_table
        from recpref.data.guess import columns_of

        user, item, time = (None if column is None else str(column) for column in (user, item, time))
        if user is not None and item is not None:
            return interactions_of(df, Columns(user, item, None if time == "none" else time), name=name)
        table = arrow_table(df)
        columns, line = columns_of(table.column_names, Asked(user, item, time), name)
        return interactions_of(table, columns, name=name, report=(line,))

    @classmethod
    def from_file(cls, path: str | Path, *, user: str, item: str, time: str | None = None) -> Interactions:
        """From CSV, TSV, JSON lines or Parquet (``.gz`` too). Without ``time`` the rows count as being in order.

        Raises: as ``from_dataframe``, and FileNotFoundError.
        """
        from recpref.data.asked import Asked
        from recpref.data.opening import open_file

        return open_file(path, Asked(user, item, time or "none"))

    @classmethod
    def from_folder(cls, path: str | Path) -> Interactions:
        """From a folder with ``interactions*.csv[.gz]`` and, where they exist, ``items`` and ``users`` of features.

        Or of RecBole's atomic files, a Hugging Face data set, or files called train, valid and test. Columns are guessed.

        Raises: FileNotFoundError where there are no interactions; ValueError as ``from_dataframe``, where a column could not be guessed,
        and for ids described twice.
        """
        from recpref.data.opening import read_folder

        return read_folder(path)

    @classmethod
    def open(cls, path: str | Path) -> Interactions:
        """A store that ``python -m recpref.prepare`` made: its arrays are mapped into memory, whatever their size.

        Raises: FileNotFoundError where there is none; ValueError where it is incomplete or of another format.
        """
        from recpref.data.store import open_store

        return open_store(path)

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return (
            f"Interactions({self.name}: {self.n_users:,} users, {self.n_items:,} items, {len(self):,} interactions, "
            f"clock={self.clock}, {self.tied_share:.1%} of neighbours tied in time)"
        )

    @property
    def slug(self) -> str:
        """The name, fit for a folder."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.name).strip("._") or "data"

    @property
    def n_users(self) -> int:
        """U, whether or not each has an interaction here."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """V, whether or not each has an interaction here."""
        return len(self.items)

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " U1"]:
        """User number u owns rows ``offsets[u - 1]:offsets[u]``. Shapes: [U + 1]."""
        return np.searchsorted(self.user, np.arange(1, self.n_users + 2)).astype(np.int64)

    @cached_property
    def item_counts(self) -> Int64[np.ndarray, " V1"]:
        """How often each item occurs here; index 0 is PAD. Shapes: [V + 1]."""
        return np.bincount(self.item, minlength=self.n_items + 1)

    @property
    def tied_share(self) -> float:
        """The share of neighbouring pairs of one user that carry the same time, so that only file order orders them."""
        neighbours = np.count_nonzero(self.user[1:] == self.user[:-1])
        return float(np.count_nonzero(self.tied()) / neighbours) if self.time is not None and neighbours else 0.0

    def tied(self, first: int | None = None) -> Bool[np.ndarray, " m"]:
        """For each row but the first, of all or of the ``first`` ones: does it share user and time with the row before it?"""
        same = np.ones(max(len(self.user[:first]) - 1, 0), dtype=bool)
        for values in (self.user, self.time, self.fraction):
            if values is not None:
                same &= values[:first][1:] == values[:first][:-1]
        return same

    @cached_property
    def digest(self) -> str:
        """SHA-256 of users, items, times and ids: the same data has the same digest wherever it was found."""
        sha = hashlib.sha256()
        for part in (self.user, self.item, self.time, *([] if self.fraction is None else [self.fraction])):
            sha.update(b"-" if part is None else np.ascontiguousarray(part, "<i8").data)
        for vocabulary in (self.users, self.items):
            texts = list(map(str, vocabulary.ids.tolist()))  # with their lengths, so that none runs into the next
            sha.update(f"\n{len(texts)}\n".encode() + "\n".join(f"{len(text)} {text}" for text in texts).encode())
        return sha.hexdigest()

    def digest_with(self, column: str) -> str:
        """The digest of the rows and of what a further column says of them; of the rows alone where there is no such column."""
        return _with_column(self.digest, self.extra, column)

    def digest_with_feature(self, column: str) -> str:
        """The digest of the rows and of a feature of the items; of the rows alone where there is no such feature."""
        return _with_column(self.digest, self.items.features, column)

    def noted(self, line: str) -> Interactions:
        """The same data with one more line in its report."""
        return replace(self, report=(*self.report, line))

    def where(self, mask: np.ndarray) -> Interactions:
        """The rows where ``mask`` is true (or those of these numbers, in this order), under the same vocabularies."""
        return replace(
            self,
            user=self.user[mask],
            item=self.item[mask],
            time=None if self.time is None else self.time[mask],
            fraction=None if self.fraction is None else self.fraction[mask],
            extra=None if self.extra is None else self.extra.iloc[mask].reset_index(drop=True),
        )

    def filtered(
        self,
        *,
        k_core: int | None = None,
        min_rating: float | None = None,
        rating: str | None = None,
        duplicates: Literal["keep", "first", "last", "refuse"] = "keep",
        ties: Literal["file", "random"] = "file",
    ) -> Interactions:
        """What ``data.k_core``, ``data.min_rating``, ... do to data that is read by its name, for a frame. ``report`` tells of each rule.

        Duplicates come first, then the threshold of ratings, the k-core and ties. Raises: ValueError as ``recpref.data.filters.filter_by``.
        """
        from recpref.data.filters import filter_by  # it is made of Interactions

        return filter_by(self, k_core=k_core, min_rating=min_rating, rating=rating, duplicates=duplicates, ties=ties)

    def compact(self) -> Interactions:
        """The same rows, with users and items that have none dropped from the vocabularies and the rest renumbered."""
        kept_users, user = np.unique(self.user, return_inverse=True)
        kept_items, item = np.unique(self.item, return_inverse=True)
        return replace(
            self,
            user=user.astype(np.int64) + 1,
            item=item.astype(np.int64) + 1,
            users=self.users.keep(kept_users - 1),
            items=self.items.keep(kept_items - 1),
        )

    def padded(self, rows: np.ndarray, length: int | None = None) -> Int64[np.ndarray, "B L"]:
        """The items of users ``rows`` (numbers), left-padded, newest last; at most the newest ``length`` of each."""
        return self._left_padded(self.item, rows, length)

    def padded_time(self, rows: np.ndarray, length: int | None = None) -> Int64[np.ndarray, "B L"] | None:
        """Their times in seconds, 0 at padding; None where the data has no clock."""
        return self._left_padded(self.time, rows, length) if self.time is not None and self.clock == "seconds" else None

    def _left_padded(self, values: np.ndarray, rows: np.ndarray, length: int | None) -> Int64[np.ndarray, "B L"]:
        start, stop = self.offsets[rows - 1], self.offsets[rows]
        longest = int((stop - start).max(initial=0))
        columns = np.arange(min(longest, length or longest))
        index = stop[:, None] - len(columns) + columns
        if not len(values):
            return np.zeros(index.shape, dtype=np.int64)
        return np.where(index >= start[:, None], values[index.clip(0, len(values) - 1)], np.int64(0))


def _with_column(digest: str, table: pd.DataFrame | None, column: str) -> str:
    if table is None or column not in table:
        return digest
    texts = list(map(str, table[column].tolist()))
    return hashlib.sha256(f"{digest}\n{len(column)} {column}\n".encode() + "\n".join(texts).encode()).hexdigest()
