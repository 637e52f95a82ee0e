"""Original ids and the numbers the models use: number n stands for ``ids[n - 1]``, and 0 for no id at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int64

from recpref.data.ids import CANONICAL


def _kind(ids: np.ndarray) -> str:
    """``int``, ``str``, or the name of what is neither, whatever the array holds it in."""
    if ids.dtype.kind in "iu":
        return "int"
    if ids.dtype.kind in "UT":
        return "str"
    return {"integer": "int", "string": "str"}.get(found := pd.api.types.infer_dtype(ids, skipna=False), found)


def _plain(value: Any) -> Any:
    """An id as Python writes it, whatever numpy thinks of it."""
    return value.item() if isinstance(value, np.generic) else value


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

        Texts stand for integers where a text among them that is none (``SKU-9``) made texts of the others, and some of those are known.

        Raises: ValueError where the ids are of the other kind, which would make all of them unknown.
        """
        ids = np.asarray(ids)
        kind = _kind(ids)
        if len(ids) and kind != self.kind:
            found = self._among_others(ids) if kind == "str" and self.kind == "int" else None
            if found is not None:
                return found
            mine, known = (_plain(value) for value in (ids[0], self.ids[0]))
            raise ValueError(f"{what} ids are {kind} (such as {mine!r}) but were {self.kind} (such as {known!r}) in training")
        ids = ids.astype(np.int64) if kind == "int" else ids
        return self._index.get_indexer(pd.Index(ids)).astype(np.int64) + 1

    def _among_others(self, texts: np.ndarray) -> Int64[np.ndarray, " n"] | None:
        """The numbers of texts of which some, not all, are written as integers are; None for no such mixture, or where none is known."""
        whole = pc.match_substring_regex(pa.array(texts, pa.large_string()), CANONICAL).to_numpy(zero_copy_only=False)
        if whole.all() or not whole.any():
            return None
        found = np.zeros(len(texts), dtype=np.int64)
        found[whole] = self.numbers(texts[whole].astype(np.int64), "")
        return found if found.any() else None

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
