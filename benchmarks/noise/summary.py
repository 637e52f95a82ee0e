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
    lines = ["| world | variant | seeds | " + " | ".join(COLUMNS) + " | posterior over best constant |", "|---" * (len(COLUMNS) + 4) + "|"]
    for (by, share), place in rows.groupby(["by", "share"], sort=False):
        if not place.variant.str.startswith(CONSTANT).any():
            continue  # not far enough yet
        for variant, some in place.groupby("variant", sort=False):
            cells = [_cell(*interval(some[column])) for column in COLUMNS]
            gain = interval(gains(place, str(variant), "ndcg_posterior"))
            lines.append(f"| {by} {share} | {variant} | {len(some)} | " + " | ".join(cells) + f" | {gain[0]:+.4f} ± {gain[1]:.4f} |")
    return "\n".join([*lines, "", "Mean ± half of the 95 % interval over seeds.", ""])


def _cell(mean: float, half: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.4f} ± {half:.4f}"


def picture(rows: pd.DataFrame, file: Path) -> None:
    """By how much each variant's posterior beats the best constant, and how well its flips know who hides: a panel for who hides, a colour
    for each share."""
    from matplotlib.figure import Figure

    worlds, shares = ["random", "popularity", "user"], sorted(rows.share.unique())
    variants = list(rows.variant.unique())[::-1]
    figure = Figure(figsize=(12, 8), layout="constrained")
    panels = figure.subplots(2, len(worlds), sharey=True, sharex="row")
    for line, (name, mark) in enumerate((("NDCG@20 above the best constant", 0.0), ("AUC of flips, hidden against observed", 0.7))):
        for panel, by in zip(panels[line], worlds, strict=True):
            for number, share in enumerate(shares):
                place = rows[(rows.by == by) & (rows.share == share)]
                if not place.variant.str.startswith(CONSTANT).any():
                    continue
                found = [interval(gains(place, v, "ndcg_posterior") if line == 0 else place[place.variant == v].flip_auc) for v in variants]
                mean, half = zip(*found, strict=True)
                height = np.arange(len(variants)) + 0.2 * (number - (len(shares) - 1) / 2)
                panel.errorbar(mean, height, xerr=half, fmt="o", capsize=2, label=f"{share:.0%} hidden", color=f"C{number}")
            panel.axvline(mark, color="tab:gray", linestyle=":")
            panel.set(title="hidden at random" if by == "random" else f"hidden by {by}", xlabel=name)
            panel.set_yticks(range(len(variants)), variants)
        panels[line][0].set_xlim(*((-0.12, 0.12) if line == 0 else (0.4, 1.0)))
    panels[0][0].legend(fontsize="small", loc="lower left")
    figure.savefig(file, dpi=110)
