"""Pictures of results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from recpref.training.stopping import METRIC


def training_curve(
    validations: Sequence[dict[str, float]],
    losses: Sequence[dict[str, float]],
    picture: Path,
    *,
    title: str,
    best_epoch: int,
    metric: str = METRIC,
) -> None:
    """Draws the loss and the validation metric against epochs, and marks the epoch that was kept. The title is shown as it is written.

    A picture that cannot be drawn is told of by a warning: what was trained is not lost for it.
    """
    from matplotlib.figure import Figure  # the object interface: no global state, no display

    try:
        figure = Figure(figsize=(7, 4))
        figure.subplots_adjust(left=0.12, right=0.86, bottom=0.13, top=0.91)
        left = figure.subplots()
        right = left.twinx()
        for axis, rows, column, colour in ((left, losses, "train/loss", "tab:gray"), (right, validations, metric, "tab:blue")):
            if not rows:
                continue
            axis.plot([row["epoch"] for row in rows], [row[column] for row in rows], color=colour, marker="." if axis is right else None)
            axis.set_ylabel(column, color=colour)
        right.axvline(best_epoch, color="tab:green", linestyle=":")
        left.set_xlabel("epoch")
        left.set_title(f"{title}, kept epoch {best_epoch}", parse_math=False)  # two dollars in a name are no formula
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # no font has every name
            figure.savefig(picture, dpi=120)
    except Exception as error:
        warnings.warn(f"{picture.name} of {title!r} could not be drawn: {error}", stacklevel=2)
