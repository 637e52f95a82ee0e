"""Pictures of results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recpref.callbacks import METRIC


def training_curve(log: Path, picture: Path, *, title: str, best_epoch: int) -> None:
    """Draws the loss and the validation metric of a CSV log against epochs, and marks the epoch that was kept."""
    from matplotlib.figure import Figure  # the object interface: no global state, no display

    frame = pd.read_csv(log)
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    for axis, column, colour in ((left, "train/loss", "tab:gray"), (right, METRIC, "tab:blue")):
        if column in frame:
            values = frame[["epoch", column]].dropna()
            axis.plot(values["epoch"] + 1, values[column], color=colour, marker="." if axis is right else None)
        axis.set_ylabel(column, color=colour)
    right.axvline(best_epoch, color="tab:green", linestyle=":")
    left.set(xlabel="epoch", title=f"{title}, kept epoch {best_epoch}")
    figure.savefig(picture, dpi=120)
