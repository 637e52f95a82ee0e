"""Where data comes from, and what it is known by."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recpref.composition import compose
from recpref.source import identity, opened

COLUMNS = ("data.user=u", "data.item=i", "data.time=none")


def rows(path: Path, parts: str) -> Path:
    """Two users of three items, each row with a part."""
    pd.DataFrame({"u": [1, 1, 1, 2, 2, 2], "i": [1, 2, 3, 1, 2, 3], "part": list(parts)}).replace(
        {"part": {"r": "train", "v": "valid", "e": "test"}}
    ).to_csv(path, index=False)
    return path


def test_a_column_that_divides_belongs_to_the_data(tmp_path: Path) -> None:
    """Under ``split=given`` only, and only the column that it reads."""
    one, other = rows(tmp_path / "one.csv", "rrerre"), rows(tmp_path / "other.csv", "rrerer")
    for split, differ in ((("split=given", "split.column=part"), True), (("split=leave_one_out",), False), (("split=given",), False)):
        plans = [compose(["model=popular", f"data={path}", *COLUMNS, *split]) for path in (one, other)]
        found = [identity(plan, opened(plan.data)) for plan in plans]
        assert (found[0] != found[1]) is differ
        assert identity(plans[0], opened(plans[0].data)) == found[0]


def test_what_is_nowhere_to_be_opened() -> None:
    with pytest.raises(ValueError, match="no data was named"):
        opened(compose(["model=popular"]).data)
    with pytest.raises(ValueError, match="trained on a frame"):
        opened(compose(["model=popular"]).on("frame", frame=True).data)
