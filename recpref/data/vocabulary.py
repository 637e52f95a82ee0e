"""Original ids and the numbers the models use: number n stands for ``ids[n - 1]``, and 0 for no id at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from jaxtyping import Int64


def _kind(ids: np.ndarray) -> str:
    """``int``, ``str``, or the name of what is neither, whatever the array holds it in."""
    if ids.dtype.kind in "iu":
        return "int"
    if ids.dtype.kind in "UT":
        return "str"
    return {"integer": "int", "string": "str"}.get(found := pd.api.types.infer_dtype(ids, skipna=False), found)


@dataclass(frozen=True)
class Vocabulary:
    """Sorted original ids (integers or strings) with the features of what they name, row-aligned, if there are any.

    Sorted by id, so that the numbering carries nothing of who interacted with what, or how often.
    """

    ids: np.ndarray
    features: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids)

    @property
    def kind(self) -> str:
        """``int`` or ``str``."""
        return "int" if self.ids.dtype.kind in "iu" else "str"

    def numbers(self, ids: np.ndarray | pd.Series, what: str) -> Int64[np.ndarray, " n"]:
        """The numbers of original ids; 0 where an id is unknown.

        Raises: ValueError where the ids are of the other kind, which would make all of them unknown.
        """
        ids = np.asarray(ids)
        kind = _kind(ids)
        if len(ids) and kind != self.kind:
            raise ValueError(f"{what} ids are {kind} (such as {ids[0]!r}) but were {self.kind} (such as {self.ids[0]!r}) in training")
        ids = ids.astype(np.int64) if kind == "int" else ids
        return self._index.get_indexer(pd.Index(ids)).astype(np.int64) + 1

    def originals(self, numbers: np.ndarray) -> np.ndarray:
        """The original ids of numbers ``>= 1``."""
        return self.ids[np.asarray(numbers) - 1]

    @classmethod
    def read(cls, file: Path) -> Vocabulary:
        """As ``write`` left it."""
        table = pq.read_table(file)
        features = table.drop_columns(["id"]).to_pandas() if table.num_columns > 1 else None
        return cls(table.column("id").to_numpy(), features)

    def write(self, file: Path) -> None:
        """As Parquet: the column ``id``, and features beside it."""
        frame = pd.DataFrame({"id": self.ids})
        if self.features is not None:
            frame = pd.concat([frame, self.features.drop(columns="id", errors="ignore")], axis=1)
        frame.to_parquet(file, index=False)

    def keep(self, kept: np.ndarray) -> Vocabulary:
        """The vocabulary of the ids at these (sorted) zero-based places."""
        return Vocabulary(self.ids[kept], None if self.features is None else self.features.iloc[kept].reset_index(drop=True))
