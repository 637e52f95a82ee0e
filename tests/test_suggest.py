"""The wording of "unknown name" errors."""

from __future__ import annotations

import pytest

from recpref.suggest import unknown

LOSSES = ["top1", "gbce", "bpr", "bce"]


def test_the_nearest_name_first_then_all_of_them_sorted() -> None:
    """``gbcee`` is one letter from ``gbce``; the known names come in alphabetical order."""
    assert unknown("loss", "gbcee", LOSSES) == "unknown loss 'gbcee'; did you mean 'gbce'? known: bce, bpr, gbce, top1"


def test_no_suggestion_where_nothing_is_near() -> None:
    """A wrong guess is worse than none."""
    assert unknown("loss", "xyzzy", LOSSES) == "unknown loss 'xyzzy'; known: bce, bpr, gbce, top1"


def test_the_hint_ends_the_sentence() -> None:
    """What else would be legal stands after the names."""
    assert unknown("data set", "q", ["ml_1m"], hint="or a path") == "unknown data set 'q'; known: ml_1m, or a path"


def test_nothing_known() -> None:
    """An empty registry says so instead of ending in the air."""
    assert unknown("card", "ml_1m", []) == "unknown card 'ml_1m'; known: none"


def test_any_iterable_of_names_will_do() -> None:
    """A generator may be read only once."""
    assert unknown("loss", "bprr", (name for name in LOSSES)).endswith("did you mean 'bpr'? known: bce, bpr, gbce, top1")


@pytest.mark.parametrize("name", LOSSES)
def test_one_dropped_letter_finds_the_name(name: str) -> None:
    """The nearest name of each name without its last letter is that name."""
    assert f"did you mean {name!r}?" in unknown("loss", name[:-1], LOSSES)


def test_capitals_do_not_hide_the_nearest() -> None:
    assert unknown("model", "SASRec", ["bert4rec", "sasrec"]) == "unknown model 'SASRec'; did you mean 'sasrec'? known: bert4rec, sasrec"
