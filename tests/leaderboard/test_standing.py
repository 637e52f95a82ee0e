"""Standings: the best, who is not told apart from it, and who is behind; corrected for how many were compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recpref.leaderboard.rows import rows_of
from recpref.leaderboard.standing import BEHIND, BEST, LEVEL, between, comparable, together, with_standings
from recpref.significance import holm


def hits(share: float, n: int = 200, seed: int = 0) -> np.ndarray:
    """A share of users that are always the same."""
    return (np.random.default_rng(seed).permutation(n) < share * n).astype(float)


def test_best_level_and_behind(make_run) -> None:
    """.5, .495 and .1 of the same users: one user fewer is noise, eighty are not."""
    paths = [make_run(f"model={model}", values=hits(share)) for model, share in (("ease", 0.5), ("markov", 0.495), ("popular", 0.1))]
    best, level, behind = with_standings(rows_of(paths))
    assert [row.standing.place for row in (best, level, behind)] == [BEST, LEVEL, BEHIND]
    assert best.standing.reason == "1 of 2 others are not told apart from it"
    assert behind.standing.comparison.wins == 80
    assert behind.standing.comparison.difference == pytest.approx(0.4)
    assert behind.standing.against == "ease"
    raw = np.array([row.standing.comparison.p_randomisation for row in (level, behind)])
    assert [level.standing.p_holm, behind.standing.p_holm] == list(holm(raw))
    assert behind.standing.p_holm == pytest.approx(2 * raw[1])


def test_a_clear_winner_beats_every_other(make_run) -> None:
    paths = [make_run("model=ease", values=hits(0.9)), make_run("model=popular", values=hits(0.2))]
    assert with_standings(rows_of(paths))[0].standing.reason == "beats every other"


def test_seeds_that_overlap_win_nothing(make_run) -> None:
    """Over users the difference is certain; one seed of the better is below one of the worse."""
    paths = [make_run("model=ease", seed=seed, values=hits(share)) for seed, share in ((1, 0.9), (2, 0.45))]
    paths += [make_run("model=popular", seed=seed, values=hits(share)) for seed, share in ((1, 0.5), (2, 0.5))]
    _, other = with_standings(rows_of(paths))
    assert other.standing.comparison.low > 0
    assert other.standing.place == LEVEL
    assert "the seeds overlap" in other.standing.reason


def test_rows_of_other_protocols_are_not_compared(make_run) -> None:
    """Each is the best of its own, alone."""
    rows = with_standings(rows_of([make_run(values=hits(0.9)), make_run("model=popular", "split.valid_users=9", values=hits(0.1))]))
    assert [row.standing.place for row in rows] == [BEST, BEST]
    assert {row.standing.reason for row in rows} == {"alone"}
    assert comparable(rows[0]) != comparable(rows[1])


def test_the_order_of_rows_and_of_users_does_not_matter(make_run) -> None:
    first, second = make_run("model=ease", values=hits(0.6)), make_run("model=popular", values=hits(0.5, seed=1))
    before = between((first,), (second,), "hr@10")
    frame = pd.read_parquet(second / "per_user.parquet")
    frame.iloc[::-1].to_parquet(second / "per_user.parquet")
    between.cache_clear()
    from recpref.leaderboard.rows import user_values

    user_values.cache_clear()
    assert between((first,), (second,), "hr@10") == before


def test_other_users_do_not_compare(make_run) -> None:
    with pytest.raises(ValueError, match="measured on other users"):
        between((make_run("model=ease", values=[1, 0]),), (make_run(values=[1, 0, 1]),), "hr@10")


def test_without_a_common_cut_off_nobody_stands_anywhere(make_run) -> None:
    first, second = make_run("model=ease"), make_run("model=popular")
    pd.read_parquet(second / "per_user.parquet").rename(columns={"ndcg@10": "ndcg@7"}).to_parquet(second / "per_user.parquet")
    assert [row.standing for row in with_standings(rows_of([first, second]))] == [None, None]


def test_data_of_one_name_that_is_not_the_same_has_tables_of_its_own(make_run) -> None:
    """Two digests under one name: two tables, told apart by them; one digest alone is not mentioned."""
    one, two = (rows_of([make_run(f"model={model}")])[0] for model in ("popular", "markov"))
    assert [(name, [row.label for row in group]) for name, group in together([one, two])] == [("ml_100k", ["popular", "markov"])]
    other = replace(two, data_digest="e" * 64)
    assert [(name, [row.label for row in group]) for name, group in together([one, other])] == [
        ("ml_100k (dddddddd)", ["popular"]),
        ("ml_100k (eeeeeeee)", ["markov"]),
    ]
