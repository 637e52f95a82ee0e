"""The rows of the noise study as a table with intervals and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

CONSTANT = ("BPO", "constant")
COLUMNS = ("ndcg_score", "ndcg_posterior", "flip_auc", "score_auc", "posterior_auc")


def interval(values: pd.Series) -> tuple[float, float]:
    """Mean and half of its 95 % interval over seeds (Student)."""
    n = values.notna().sum()
    half = t.ppf(0.975, n - 1) * values.std() / np.sqrt(n) if n > 1 else float("nan")
    return float(values.mean()), float(half)


def best_constant(place: pd.DataFrame) -> str:
    """The name of the constant (BPO is 0) with the best mean NDCG in this world: the hardest to beat, chosen in hindsight."""
    constant = place[place.variant.str.startswith(CONSTANT)]
    return str(constant.groupby("variant").ndcg_score.mean().idxmax())


def gains(place: pd.DataFrame, variant: str, column: str) -> pd.Series:
    """By how much a variant beats the best constant, seed by seed."""
    of = place[place.variant == variant].set_index("seed")[column]
    constant = place[place.variant == best_constant(place)].set_index("seed").ndcg_score
    return (of - constant).dropna()


def table(rows: pd.DataFrame) -> str:
    """Markdown: a row for each world and variant."""
    lines = ["| world | variant | " + " | ".join(COLUMNS) + " | posterior over best constant |", "|---" * (len(COLUMNS) + 3) + "|"]
    for (by, share), place in rows.groupby(["by", "share"], sort=False):
        for variant, some in place.groupby("variant", sort=False):
            cells = [_cell(*interval(some[column])) for column in COLUMNS]
            gain = interval(gains(place, str(variant), "ndcg_posterior"))
            lines.append(f"| {by} {share} | {variant} | " + " | ".join(cells) + f" | {gain[0]:+.4f} ± {gain[1]:.4f} |")
    return "\n".join([*lines, "", f"{rows.seed.nunique()} seeds; mean ± half of the 95 % interval.", ""])


def _cell(mean: float, half: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.4f} ± {half:.4f}"


def picture(rows: pd.DataFrame, file: Path) -> None:
    """NDCG by the posterior, and the AUC of flips, against the share that is hidden; a panel for who hides."""
    from matplotlib.figure import Figure

    worlds = ["random", "popularity", "user"]
    figure = Figure(figsize=(12, 7), layout="constrained")
    panels = figure.subplots(2, len(worlds), sharey="row", sharex=True)
    for line, column in enumerate(("ndcg_posterior", "flip_auc")):
        for panel, by in zip(panels[line], worlds, strict=True):
            for variant, some in rows[rows.by == by].groupby("variant", sort=False):
                points = [(share, *interval(of[column])) for share, of in some.groupby("share")]
                share, mean, half = zip(*points, strict=True)
                if not np.isnan(mean).all() and np.nanstd(mean) + line > 0:
                    panel.errorbar(share, mean, yerr=half, label=variant, marker=".", capsize=2)
            panel.set(title=f"hidden by {by}" if by != "random" else "hidden at random", xlabel="share hidden")
        panels[line][0].set_ylabel(column)
    panels[1][0].axhline(0.7, color="tab:gray", linestyle=":")
    panels[0][-1].legend(fontsize="small", bbox_to_anchor=(1, 1), loc="upper left")
    figure.savefig(file, dpi=120)
