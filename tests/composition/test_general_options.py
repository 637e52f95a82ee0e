"""The options of no section: defaults that nobody can change, what each may be, and what it may not."""

from __future__ import annotations

import pytest

from recpref.composition.general_options import PLAIN, general_options


def test_what_is_not_said_is_the_default_and_nobodys_to_change() -> None:
    found = general_options({})
    assert found == PLAIN
    found["logger"].append("wandb")
    assert general_options({}) == PLAIN


def test_what_is_said() -> None:
    said = {"seed": "-3", "recipe": "published", "refit": "True", "logger": "[csv, tensorboard]", "out": "a/b", "start": "runs/x"}
    expected = {"seed": -3, "recipe": "published", "refit": True, "logger": ["csv", "tensorboard"], "out": "a/b", "start": "runs/x"}
    assert general_options(said) == expected
    assert general_options({"logger": "none"})["logger"] == []


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("seed", "1.5", "seed=1.5 must be a whole number"),
        ("seed", "9" * 19, "at most 18 digits"),
        ("recipe", "publishd", "did you mean 'published'"),
        ("refit", "1", "refit=1 must be true or false"),
        ("logger", "csw", "unknown logger 'csw'; did you mean 'csv'"),
        ("out", "", "out= must be a folder"),
        ("start", "null", "start=null must be none, base, self, or the folder of a run"),
    ],
)
def test_what_is_none_of_theirs(key: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        general_options({key: text})
