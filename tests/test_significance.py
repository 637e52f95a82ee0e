"""Paired tests over users: sums by hand, scipy's values on the same vectors, and winners refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recpref.significance import Comparison, compared, detectable, enough, holm, interval, overlap, randomisation, resampled_means, winner


def pair(n: int = 200, shift: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two models' NDCG of the same users: most are 0, the others 1 / log2(rank + 1)."""
    rng = np.random.default_rng(seed)

    def values(found: float) -> np.ndarray:
        return np.where(rng.random(n) < found, 1 / np.log2(rng.integers(1, 11, n) + 1), 0.0)

    return values(0.3 + shift), values(0.3)


def test_a_comparison_by_hand() -> None:
    """Differences 1 1 1 0 -1: mean .4; all eight exchanges of the four that moved but those of sum 4 or -4 are as extreme or less.

    Of 16 sign patterns the sums 4, 2, 0, -2, -4 come 1, 4, 6, 4, 1 times; at least 2: 5 of 16, so p = 2 * 5 / 16.
    """
    found = compared(np.array([1.0, 1, 1, 0, 0]), np.array([0.0, 0, 0, 0, 1]))
    assert (found.wins, found.ties, found.losses, found.n_users) == (3, 1, 1, 5)
    assert found.difference == pytest.approx(0.4)
    assert found.p_randomisation == pytest.approx(10 / 16)
    deviation = np.sqrt((3 * 0.6**2 + 0.4**2 + 1.4**2) / 4)
    assert found.effect == pytest.approx(0.4 / deviation)
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * deviation / np.sqrt(5), rel=1e-5)
    assert found.low <= 0 <= found.high


def test_p_values_are_scipys() -> None:
    """The t and Wilcoxon tests exactly; the exhaustive randomisation exactly; the drawn one within the noise of drawing."""
    first, second = pair()
    found = compared(first, second, resamples=20_000)
    assert found.p_t == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-9)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(np.round(first - second, 12)).pvalue, rel=1e-9)
    few = (first - second)[first != second][:11]
    scipys = stats.permutation_test((few,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True).pvalue
    assert compared(few, np.zeros(11)).p_randomisation == pytest.approx(scipys, abs=1e-12)
    drawn = stats.permutation_test((first - second,), np.mean, permutation_type="samples", n_resamples=20_000, vectorized=True, rng=1)
    error = np.sqrt(drawn.pvalue * (1 - drawn.pvalue) / 20_000)
    assert 0.01 < drawn.pvalue < 0.9
    assert found.p_randomisation == pytest.approx(drawn.pvalue, abs=8 * error)


def test_intervals_are_scipys() -> None:
    """Percentile bootstrap of a mean, and of a difference: the ends agree within the noise of resampling."""
    first, second = pair(400)
    for values, (low, high) in (
        (first, interval(first, resamples=20_000)),
        (first - second, (lambda c: (c.low, c.high))(compared(first, second, resamples=20_000))),
    ):
        scipys = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
        width = scipys.high - scipys.low
        assert low == pytest.approx(scipys.low, abs=0.02 * width)
        assert high == pytest.approx(scipys.high, abs=0.02 * width)


def test_resampled_means_are_those_of_users_drawn_one_by_one() -> None:
    """Mean and variance of the resampled means: those of the sample, the latter over n; in blocks as at once."""
    values = np.repeat([0.0, 0.5, 1.0], [50, 30, 20])
    means = resampled_means(values, resamples=50_000, rng=np.random.default_rng(0))
    assert means.shape == (50_000,)
    assert means.mean() == pytest.approx(values.mean(), abs=0.001)
    assert means.var() == pytest.approx(values.var() / 100, rel=0.03)


def test_blocks_change_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of draws is kept, and the p-value too, within the noise."""
    first, second = pair()
    whole = compared(first, second)
    monkeypatch.setattr("recpref.significance.BLOCK", 500)
    parts = compared(first, second)
    assert parts.p_randomisation == pytest.approx(whole.p_randomisation, abs=0.03)
    assert len(resampled_means(first, resamples=777, rng=np.random.default_rng(0))) == 777


class Counting(np.random.Generator):
    """A generator that tells what was drawn by it."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self.asked: set[str] = set()

    def multinomial(self, *args: object, **options: object) -> np.ndarray:
        self.asked.add("multinomial")
        return super().multinomial(*args, **options)

    def binomial(self, *args: object, **options: object) -> np.ndarray:
        self.asked.add("binomial")
        return super().binomial(*args, **options)

    def integers(self, *args: object, **options: object) -> np.ndarray:
        self.asked.add("integers")
        return super().integers(*args, **options)


@pytest.mark.parametrize(("decimals", "dear", "cheap"), [(1, "integers", {"multinomial", "binomial"}), (6, "binomial", {"integers"})])
def test_users_are_drawn_where_their_values_are_mostly_distinct(
    decimals: int, dear: str, cheap: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way is taken where it is the quicker one, and the other one says the same but for the noise of drawing."""
    rng = np.random.default_rng(5)
    first, second = (np.round(rng.random(400) + shift, decimals) for shift in (0.03, 0.0))
    found = []
    for price in (None, {"binomial": 0, "integers": 1000}[dear]):
        if price is not None:
            monkeypatch.setattr("recpref.significance.DEAR", price)
        drawn = Counting(0)
        means = resampled_means(first, resamples=20_000, rng=drawn)
        p = randomisation(np.round(first - second, 12), resamples=20_000, rng=drawn)
        assert (drawn.asked == cheap) == (price is None)
        found.append((means, p))
    (means, p), (others, q) = found
    assert means.mean() == pytest.approx(others.mean(), abs=5 * first.std() / np.sqrt(400 * 20_000) * np.sqrt(2))
    assert means.var() == pytest.approx(others.var(), rel=0.05)
    assert 0.01 < q < 0.9
    assert p == pytest.approx(q, abs=8 * np.sqrt(q * (1 - q) / 20_000))


def test_false_winners_are_as_rare_as_promised() -> None:
    """Of 300 pairs that do not differ, about one in twenty has p below .05 by either test."""
    found = [compared(*pair(80, 0.0, seed), resamples=500) for seed in range(300)]
    for p in ("p_randomisation", "p_bootstrap"):
        rate = np.mean([getattr(comparison, p) < 0.05 for comparison in found])
        assert 0.02 < rate < 0.09, p


def test_the_detectable_difference_is_detected_in_four_of_five() -> None:
    """Normal differences shifted by exactly it: the t-test finds them with probability .8."""
    rng = np.random.default_rng(3)
    shift = detectable(0.2, 150)
    found = [stats.ttest_1samp(rng.normal(shift, 0.2, 150), 0).pvalue < 0.05 for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_holm_by_hand() -> None:
    """.01 .04 .03 .005: times 4, 3, 2, 1 in rising order, never falling: .005 * 4, .01 * 3, .03 * 2, and .04 raised to .06."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.2])) == pytest.approx([0.2])
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1.0, 1.0])
    assert len(holm(np.array([]))) == 0


def test_holm_among_more_comparisons_by_hand() -> None:
    """.01 .004 of three: .004 * 3, .01 * 2; the third is not looked at."""
    assert holm(np.array([0.01, 0.004]), among=3) == pytest.approx([0.02, 0.012])
    with pytest.raises(ValueError, match="among=1 must be at least the number of p-values, 2"):
        holm(np.array([0.01, 0.004]), among=1)


@pytest.mark.parametrize("models", [2, 3, 8, 20])
def test_a_best_that_was_found_by_the_same_values_beats_equals_as_rarely_as_promised(models: int) -> None:
    """Exact p of m equal models' means: corrected for all pairs, any is behind in at most 5 % of tables; for m - 1, in more from 3 on."""
    tables, rng = 4000, np.random.default_rng(models)
    means = np.sort(rng.standard_normal((tables, models)), axis=1)
    p = 2 * stats.norm.sf((means[:, -1:] - means[:, :-1]) / np.sqrt(2))
    error = 3 * np.sqrt(0.05 * 0.95 / tables)
    pairs = models * (models - 1) // 2
    assert np.mean([holm(one, among=pairs).min() < 0.05 for one in p]) < 0.05 + error
    if models > 2:
        assert np.mean([holm(one).min() < 0.05 for one in p]) > 0.05 + error


def test_enough_resamples_for_any_number_of_comparisons() -> None:
    """The smallest p there can be, times the number, stays below a half of alpha; few comparisons are drawn for as before."""
    assert [enough(number) for number in (0, 1, 125, 126, 1225)] == [9999, 9999, 9999, 19_999, 99_999]
    assert all(2 / (enough(number) + 1) * number <= 0.025 for number in range(1, 2000))


def test_nothing_wins_against_itself() -> None:
    """No difference: every p is 1, the interval is a point, and nobody wins."""
    first, _ = pair()
    found = compared(first, first)
    assert (found.p_bootstrap, found.p_randomisation, found.p_t, found.p_wilcoxon) == (1, 1, 1, 1)
    assert (found.low, found.high, found.ties, found.effect) == (0, 0, 200, 0)
    assert winner(found)[0] == "neither"


def test_a_constant_difference_and_a_single_user() -> None:
    """Twenty users who all gain .5 differ; one user shows nothing."""
    found = compared(np.full(20, 0.5), np.zeros(20))
    assert found.p_randomisation < 0.001
    assert (found.p_t, found.effect) == (0, 0)
    assert winner(found)[0] == "first"
    alone = compared(np.array([1.0]), np.array([0.0]))
    assert alone.p_randomisation == alone.p_t == 1
    assert winner(alone)[0] == "neither"


def test_no_p_is_below_what_so_many_draws_can_show() -> None:
    """Of 99 draws for twenty users who all gain .5 none is as extreme; with the one that was observed p is 2 x 1 / 100 by either test."""
    found = compared(np.full(20, 0.5), np.zeros(20), resamples=99)
    assert (found.p_bootstrap, found.p_randomisation) == pytest.approx((0.02, 0.02), abs=1e-12)


def a_comparison(**changes: float) -> Comparison:
    certain = compared(np.full(40, 0.5) + np.arange(40) / 1000, np.zeros(40))
    return certain._replace(**changes)


def test_a_winner_is_refused_for_every_kind_of_noise() -> None:
    """An interval with zero in it, a corrected p, seeds that overlap; and it goes to the right one otherwise."""
    certain = a_comparison()
    assert winner(certain, seeds=([0.31, 0.33], [0.2, 0.3])) == ("first", f"p = {certain.p_randomisation:.3f}")
    assert winner(a_comparison(difference=-0.5, low=-0.6, high=-0.4))[0] == "second"
    assert winner(a_comparison(low=-0.1))[1].startswith("within the noise")
    assert winner(certain, p=0.05)[0] == "neither"
    assert winner(certain, seeds=([0.31, 0.33], [0.2, 0.32])) == (
        "neither",
        f"the seeds overlap, although p = {certain.p_randomisation:.3f} over users",
    )
    assert "one seed each" in winner(certain, seeds=([0.3], [0.2]))[1]


def test_seeds_overlap() -> None:
    """Ranges that touch overlap; a single seed on both sides has no range, on one side it is a point."""
    assert overlap([1.0, 3.0], [3.0, 4.0])
    assert not overlap([1.0, 2.0], [3.0, 4.0])
    assert overlap([2.0], [1.0, 3.0])
    assert not overlap([2.0], [2.0])
    assert not overlap([], [1.0, 2.0])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([1.0], [1.0, 2.0], "got 1 and 2"), ([], [], "got 0 and 0"), ([np.nan, 1], [0.0, 0], "1 of 2 users have no value")],
)
def test_what_cannot_be_paired_is_refused(first: list[float], second: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compared(np.array(first), np.array(second))


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="resamples=0"):
        compared(np.ones(3), np.ones(3), resamples=0)
    with pytest.raises(ValueError, match="needs users"):
        interval(np.array([]))


def test_a_hundred_thousand_users_are_quick() -> None:
    """Counts are drawn, not users: the draws are as many as distinct values."""
    rng = np.random.default_rng(0)
    first, second = (np.where(rng.random(140_000) < share, 1 / np.log2(rng.integers(2, 12, 140_000)), 0.0) for share in (0.3, 0.29))
    found = compared(first, second)
    assert found.p_randomisation < 0.01
    assert randomisation(first - second, resamples=999, rng=rng) < 0.01


def test_one_difference_for_all_has_no_effect_size_made_of_rounding() -> None:
    """.63093 less 0 for a thousand users: numpy's deviation of that is 1e-16 and not 0."""
    found = compared(np.full(1000, 1 / np.log2(3)), np.zeros(1000))
    assert (found.effect, found.detectable) == (0.0, 0.0)
    assert found.wins == 1000
    assert found.p_randomisation < 0.001
