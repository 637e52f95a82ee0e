"""Where data comes from, and what it is known by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.experiment import located
from recpref.runs.source import identity, opened, seen

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


def test_the_feature_that_items_are_made_of_belongs_to_the_experiment_and_not_to_the_data(tmp_path: Path) -> None:
    """Other codes are another experiment, which stands in the table of the same data; without such a table nobody looks at them."""
    frame = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 3, 1, 2, 3]})
    data = Interactions.from_dataframe(frame, user="user_id", item="item_id")
    coded = [replace(data, items=Vocabulary(data.items.ids, pd.DataFrame({"codes": codes}))) for codes in ([0, 1, 2], [0, 2, 1], [0, 1, 2])]
    made = compose(["model=sasrec", "table=semantic_ids", "table.n_levels=1", f"out={tmp_path}"])
    paths = [located(made, each)[1] for each in coded]
    assert paths[0] == paths[2] != paths[1]
    assert len({identity(made, each) for each in coded}) == 1
    plain = compose(["model=sasrec", f"out={tmp_path}"])
    assert seen(plain, coded[0]) == seen(plain, coded[1]) == data.digest


def test_a_column_of_ratings_named_or_guessed_is_one_experiment(tmp_path: Path) -> None:
    file = tmp_path / "rated.csv"
    pd.DataFrame({"u": [1, 1, 1, 2, 2, 2], "i": [1, 2, 3, 1, 2, 3], "rating": 5}).to_csv(file, index=False)
    said = [compose(["model=popular", f"data={file}", *COLUMNS, "data.min_rating=3", *more]) for more in ([], ["data.rating=rating"])]
    assert len({located(plan, opened(plan.data))[1] for plan in said}) == 1
