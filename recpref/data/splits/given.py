"""Given: a column of the data says which rows train, validate and test, as whoever published the data divided them.

What it leaks is what its author's split leaks; the audit counts it. Rows without validation are fine.
"""

from __future__ import annotations

import pandas as pd

from recpref.data.heldout import Split, divided
from recpref.data.interactions import Interactions

__all__ = ["Given"]

PARTS = ("train", "valid", "test")


class Given:
    """``column`` holds ``train``, ``valid`` or ``test`` in every row.

    ``valid_known=false`` keeps validation rows out of the histories at test, where they may then be recommended and count as
    wrong: the protocol of papers that forget them.
    """

    def __init__(self, *, column: str = "split", valid_known: bool = True):
        self.column, self.valid_known = column, valid_known

    def __call__(self, data: Interactions) -> Split:
        """Raises: ValueError without that column, for another value in it, or where nothing is to be trained on or tested."""
        columns = [] if data.extra is None else list(data.extra.columns)
        if data.extra is None or self.column not in columns:
            known = ", ".join(map(repr, columns)) or "no further columns"
            raise ValueError(f"split=given needs a column {self.column!r} with train, valid or test, and {data.name} has {known}")
        code, values = pd.factorize(data.extra[self.column])
        if strange := sorted(set(map(str, values)) - set(PARTS)):
            raise ValueError(f"column {self.column!r} holds {', '.join(map(repr, strange[:3]))}; it may hold train, valid and test")
        if (code < 0).any():
            raise ValueError(f"column {self.column!r} has {(code < 0).sum()} missing values; every row must say train, valid or test")
        part = [list(map(str, values)).index(name) if name in map(str, values) else len(values) for name in PARTS]
        split = divided(data, code == part[1], code == part[2], ordered=False, valid_known=self.valid_known)
        for name, rows in (("train on", split.train), ("test", split.test.targets)):
            if not len(rows):
                raise ValueError(
                    f"split=given leaves nothing to {name}: column {self.column!r} of {data.name} says {sorted(map(str, values))}"
                )
        return split
