"""Standings: the best, who is not told apart from it, and who is behind; corrected for how many were compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recpref.leaderboard.rows import rows_of
from recpref.leaderboard.standing import BEHIND, BEST, LEVEL, between, comparable, strangers, together, told_apart, with_standings
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
    assert [level.standing.p_holm, behind.standing.p_holm] == list(holm(raw, among=3))
    assert behind.standing.p_holm == pytest.approx(3 * raw[1])  # three models are three pairs


def test_of_very_many_rows_one_can_still_be_behind(make_run) -> None:
    """24 rows are 276 pairs: the smallest p of 9,999 draws times that is .055, so more are drawn."""
    paths = [make_run(f"model.last_days={days}", "model=popular", values=hits(0.5 if days > 1 else 0.1)) for days in range(1, 25)]
    *_, worst = with_standings(rows_of(paths))
    assert (worst.standing.place, worst.standing.p_holm) == (BEHIND, pytest.approx(276 * 2 / 30_000))


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


def test_a_row_of_other_users_stands_nowhere_and_the_others_as_without_it(make_run) -> None:
    """It has the best number of all; one line says why it is no winner. Of two rows that share no users neither stands."""
    paths = [make_run("model=ease", values=hits(0.9)), make_run("model=popular", values=hits(0.2))]
    alone = with_standings(rows_of(paths))
    odd = make_run("model=markov", values=np.ones(199))
    rows = with_standings(rows_of([*paths, odd]))
    assert {row.label: row.standing for row in rows} == {"markov": None, **{row.label: row.standing for row in alone}}
    line = f"markov on ml_100k was measured on other users than most of its table, and is compared with none: {odd}"
    assert (strangers(alone), strangers(rows)) == ([], [line])
    assert [row.standing for row in with_standings(rows_of([paths[0], odd]))] == [None, None]


def test_without_a_common_cut_off_nobody_stands_anywhere(make_run) -> None:
    first, second = make_run("model=ease"), make_run("model=popular", columns=("hr@10", "ndcg@7"))
    assert [row.standing for row in with_standings(rows_of([first, second]))] == [None, None]


def test_one_run_of_other_cut_offs_leaves_the_others_their_standing(make_run) -> None:
    """Rows stand by what all of them share; one that shares nothing stands nowhere, and the rest as without it."""
    paths = [make_run("model=ease", values=hits(0.9)), make_run("model=popular", values=hits(0.2))]
    alone = with_standings(rows_of(paths))
    five = make_run("model=markov", values=hits(0.5), columns=("ndcg@5",))
    seven = make_run("model=itemknn", values=hits(0.5), columns=("ndcg@7",))
    assert {row.standing.metric for row in with_standings(rows_of([*paths, five]))} == {"ndcg@5"}
    found = {row.label: row.standing for row in with_standings(rows_of([*paths, seven]))}
    assert found == {"itemknn": None, **{row.label: row.standing for row in alone}}


def test_one_data_set_under_two_paths_is_one_table(make_run) -> None:
    """The digest says what is the same, not the name."""
    one, two = rows_of([make_run(values=hits(0.5))])[0], rows_of([make_run("model=ease", values=hits(0.9))])[0]
    moved = replace(two, plan=two.plan.on("elsewhere/clicks.csv"))
    assert comparable(one) == comparable(moved)
    assert [(name, len(group)) for name, group in together([one, moved])] == [("ml_100k", 2)]


def test_rows_of_one_label_are_told_apart_by_their_options(make_run) -> None:
    """By what not all of them have; a label that is there once stays, in each table by itself."""
    same = ("evaluation.ks=[5,10]",)
    paths = [
        make_run("model=sasrec", *same, epochs=1),
        make_run("model=sasrec", "model.d_model=32", *same, epochs=1),
        make_run("model=sasrec", "loss=bce", "sampler=uniform", *same, epochs=1),
        make_run("model=sasrec", "refit=true", *same, epochs=1),
        make_run("model=popular", *same),
    ]
    found = {row.label for row in told_apart(rows_of(paths))}
    assert found == {"sasrec", "sasrec (model.d_model=32)", "sasrec (loss=bce sampler=uniform)", "popular"}


def test_rows_whose_options_cannot_be_known_are_told_apart_by_their_digests(make_run) -> None:
    rows = rows_of([make_run("model=popular"), make_run("model=popular", "model.last_days=7")])
    unknown = [replace(row, options=[]) for row in rows]
    assert [row.label for row in told_apart(unknown)] == [f"popular ({row.digest})" for row in rows]


def test_data_of_one_name_that_is_not_the_same_has_tables_of_its_own(make_run) -> None:
    """Two digests under one name: two tables, told apart by them; one digest alone is not mentioned."""
    one, two = (rows_of([make_run(f"model={model}")])[0] for model in ("popular", "markov"))
    assert [(name, [row.label for row in group]) for name, group in together([one, two])] == [("ml_100k", ["popular", "markov"])]
    other = replace(two, data_digest="e" * 64)
    assert [(name, [row.label for row in group]) for name, group in together([one, other])] == [
        ("ml_100k (dddddddd)", ["popular"]),
        ("ml_100k (eeeeeeee)", ["markov"]),
    ]
