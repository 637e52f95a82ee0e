"""Whether two recommenders differ: paired tests over users, and what a number of users can show at all.

The bootstrap and the randomisation test draw sums over users. Per-user metrics take few distinct values (after leave-one-out at
most k + 1), so how often each value is drawn is drawn, by multinomial and binomial counts: the same distributions as drawing
users one by one, for a hundredth of the time. Where values are mostly distinct (several targets a user), users are drawn, which is then
three to six times as fast. Where few users differ, every exchange is enumerated (by scipy).

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile interval; Smucker, Allan and Carterette (CIKM
2007), randomisation test for paired metrics; Holm (1979). The smallest detectable difference is that of a two-sided test.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

ALPHA = 0.05
POWER = 0.8
FEW = 13  # users that differ: their 2^13 exchanges are fewer than we would draw
BLOCK = 4_000_000  # draws at a time
DEAR = 8  # what a count costs, in draws of a user
DECIMALS = 12  # values are told apart by: means over seeds carry rounding errors


class Comparison(NamedTuple):
    """The first against the second, user by user. ``difference`` is the mean of first minus second, ``low`` and ``high`` its 95 %
    bootstrap interval, ``effect`` that mean over the standard deviation (Cohen's d of pairs), ``detectable`` the smallest
    difference that this many users show in four of five studies."""

    n_users: int
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float
    p_t: float
    p_wilcoxon: float
    wins: int
    ties: int
    losses: int
    effect: float
    detectable: float


def compared(first: Float[np.ndarray, " U"], second: Float[np.ndarray, " V"], *, resamples: int = 9999, seed: int = 0) -> Comparison:
    """Every test on the values of the same users. ``p_t`` and ``p_wilcoxon`` are scipy's; without any difference all p are 1.

    Raises: ValueError for vectors of different or no users, for NaN, or resamples below 1.
    """
    difference = _differences(first, second, resamples)
    rng = np.random.default_rng(seed)
    means = resampled_means(difference, resamples=resamples, rng=rng)
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    deviation = float(difference.std(ddof=1)) if np.ptp(difference) else 0.0  # of equal numbers it may be a rounding error above 0
    mean = float(difference.mean())
    return Comparison(
        n_users=len(difference),
        difference=mean,
        low=float(low),
        high=float(high),
        p_bootstrap=_two_sided(means, 0.0),
        p_randomisation=randomisation(difference, resamples=resamples, rng=rng),
        p_t=_p_t(difference, deviation),
        p_wilcoxon=float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0,
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
        effect=mean / deviation if deviation else 0.0,
        detectable=detectable(deviation, len(difference)),
    )


def _differences(first: Float[np.ndarray, " U"], second: Float[np.ndarray, " V"], resamples: int) -> Float[np.ndarray, " U"]:
    if len(first) != len(second) or not len(first):
        raise ValueError(f"a paired test needs the same users twice, and got {len(first)} and {len(second)}")
    if resamples < 1:
        raise ValueError(f"resamples={resamples} must be at least 1")
    difference = np.round(np.asarray(first, dtype=np.float64) - second, DECIMALS)
    if np.isnan(difference).any():
        raise ValueError(f"{np.isnan(difference).sum()} of {len(difference)} users have no value")
    return difference + 0.0  # no negative zeros


def _p_t(difference: Float[np.ndarray, " U"], deviation: float) -> float:
    if deviation == 0:
        return 0.0 if difference.any() and len(difference) > 1 else 1.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def _two_sided(drawn: Float[np.ndarray, " R"], at: float) -> float:
    """Twice the smaller share of draws on either side, the observed one counted as drawn, too: as scipy's resampling tests."""
    slack = 1e-9 * abs(at) + 1e-12  # equal sums may differ by rounding
    smaller = min((drawn <= at + slack).sum(), (drawn >= at - slack).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(drawn) + 1)))


def enough(comparisons: int) -> int:
    """Resamples whose smallest p, 2 / (resamples + 1), times the number of comparisons is at most half of ``ALPHA``: 9999 up to 125."""
    return 10_000 * max(1, -(-comparisons // 125)) - 1


def resampled_means(values: Float[np.ndarray, " U"], *, resamples: int, rng: np.random.Generator) -> Float[np.ndarray, " R"]:
    """The means of samples of U users, drawn with replacement. Shapes: [resamples]."""
    distinct, counts = np.unique(np.round(values, DECIMALS), return_counts=True)
    n = len(values)
    if DEAR * len(distinct) > n:
        return np.concatenate([values[rng.integers(n, size=(size, n))].mean(axis=1) for size in _blocks(resamples, n)])
    sizes = _blocks(resamples, len(distinct))
    return np.concatenate([rng.multinomial(n, counts / n, size=size) @ distinct for size in sizes]) / n


def _blocks(resamples: int, width: int) -> list[int]:
    """How many resamples of so many numbers each are drawn at a time."""
    rows = max(1, BLOCK // width)
    return [min(rows, resamples - done) for done in range(0, resamples, rows)]


def interval(values: Float[np.ndarray, " U"], *, resamples: int = 1999, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean over users. Raises: ValueError without users."""
    if not len(values):
        raise ValueError("an interval needs users, and there are none")
    means = resampled_means(np.asarray(values, dtype=np.float64), resamples=resamples, rng=np.random.default_rng(seed))
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def randomisation(difference: Float[np.ndarray, " U"], *, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p that the two are exchangeable for every user: signs of the differences are drawn anew."""
    moved = difference[difference != 0]
    if len(moved) < 2:
        return 1.0  # both signs of a single difference are as extreme as each other
    if len(moved) <= FEW:
        exact = stats.permutation_test((moved,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True)
        return float(exact.pvalue)
    size, counts = np.unique(np.abs(moved), return_counts=True)
    if DEAR * len(size) > len(moved):
        n = len(moved)
        sums = [(2.0 * rng.integers(2, size=(block, n), dtype=np.int8) - 1) @ moved for block in _blocks(resamples, n)]
    else:
        blocks = _blocks(resamples, len(size))
        sums = [(2 * rng.binomial(counts, 0.5, size=(block, len(size))) - counts) @ size for block in blocks]
    return _two_sided(np.concatenate(sums), float(moved.sum()))


def holm(p: Float[np.ndarray, " M"], *, among: int | None = None) -> Float[np.ndarray, " M"]:
    """p-values adjusted so that the chance of any false winner among M comparisons stays below alpha.

    ``among``: the M were picked from so many comparisons by the same values, such as those of the best of m models from all
    m (m - 1) / 2 pairs. The rest count as larger than each of the M, which is on the safe side. Raises: ValueError below M.
    """
    among = len(p) if among is None else among
    if among < len(p):
        raise ValueError(f"among={among} must be at least the number of p-values, {len(p)}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((among - np.arange(len(p))) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def detectable(deviation: float, n_users: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest true difference that a paired test of ``n_users`` finds with probability ``power``."""
    return float((stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) * deviation / np.sqrt(n_users))


def winner(
    comparison: Comparison, *, p: float | None = None, seeds: tuple[list[float], list[float]] = ([], []), alpha: float = ALPHA
) -> tuple[Literal["first", "second", "neither"], str]:
    """Who is better, and why or why not. ``p`` is the randomisation test's, corrected where several models were compared;
    ``seeds`` are the means of each seed, of the first and of the second.

    Nobody wins where the interval holds zero, p is not below ``alpha``, or the seeds of the two overlap.
    """
    p = comparison.p_randomisation if p is None else p
    least = f"{comparison.n_users:,} users show differences from {comparison.detectable:.4f} on"
    if comparison.low <= 0 <= comparison.high or p >= alpha:
        return "neither", f"within the noise (p = {p:.3f}; {least})"
    if overlap(*seeds):
        return "neither", f"the seeds overlap, although p = {p:.3f} over users"
    lone = " (one seed each: their spread is not known)" if max(map(len, seeds)) == 1 else ""
    return ("first" if comparison.difference > 0 else "second"), f"p = {p:.3f}{lone}"


def overlap(first: list[float], second: list[float]) -> bool:
    """Whether the ranges of two lists of seeds' means touch; a single value each has no range."""
    if not first or not second or max(len(first), len(second)) < 2:
        return False
    return bool(max(first) >= min(second) and max(second) >= min(first))
