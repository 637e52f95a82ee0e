"""The training curve is a valid picture, with and without validations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from matplotlib import image

from recpref.training.curve import training_curve
from recpref.training.stopping import METRIC

LOSSES = [{"epoch": float(epoch), "train/loss": 3.0 / epoch} for epoch in range(1, 9)]
VALIDATIONS = [{"epoch": 4.0, METRIC: 0.1}, {"epoch": 8.0, METRIC: 0.2}]


@pytest.mark.parametrize(("validations", "losses"), [(VALIDATIONS, LOSSES), ([], LOSSES), (VALIDATIONS[:1], [])])
def test_the_curve_is_a_picture(tmp_path: Path, validations: list[dict[str, float]], losses: list[dict[str, float]]) -> None:
    """7 x 4 inches at 120 dots, readable by matplotlib, and not blank."""
    training_curve(validations, losses, tmp_path / "curve.png", title="sasrec on toy", best_epoch=8)
    pixels = image.imread(tmp_path / "curve.png")
    assert pixels.shape[:2] == (480, 840)
    assert pixels.std() > 0.01
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_other_values_give_another_picture(tmp_path: Path) -> None:
    """The curve shows the numbers: other validations, another kept epoch."""
    other = [{"epoch": 4.0, METRIC: 0.2}, {"epoch": 8.0, METRIC: 0.1}]
    asked = [
        (VALIDATIONS, LOSSES, "a", 8),
        (other, LOSSES, "a", 8),
        (VALIDATIONS, LOSSES, "a", 4),
    ]
    pictures = set()
    for validations, losses, title, best in asked:
        training_curve(validations, losses, tmp_path / "curve.png", title=title, best_epoch=best)
        pictures.add(image.imread(tmp_path / "curve.png").tobytes())
    assert len(pictures) == len(asked)


@pytest.mark.parametrize("name", ["$a$b", "$\\frac{$", "\u96fb\u5f71", "a\\b_c^d"])
def test_a_title_is_shown_as_it_is_written(tmp_path: Path, name: str) -> None:
    """Two dollars are no formula, and a character that the font lacks is nothing to warn of: warnings are errors here."""
    training_curve(VALIDATIONS, LOSSES, tmp_path / "curve.png", title=f"sasrec on {name}", best_epoch=8)
    assert image.imread(tmp_path / "curve.png").std() > 0.01


def test_what_cannot_be_drawn_is_told_and_no_error(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="^curve.png of 'x' could not be drawn: .*nowhere"):
        training_curve(VALIDATIONS, LOSSES, tmp_path / "nowhere" / "curve.png", title="x", best_epoch=8)


def test_no_display_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyplot, with its global state and its windows, is never imported."""
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    training_curve(VALIDATIONS, LOSSES, tmp_path / "curve.png", title="x", best_epoch=1)
    assert "matplotlib.pyplot" not in sys.modules
