"""Ties: which rows they are, whether their order is a rule's, and an order that is nobody's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.data.audit import audit
from recpref.data.cards import open_data
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.data.ties import agreement, at_random, follows, tied_rows

START = 946_684_800  # 2000-01-01T00:00:00Z


def sessions(order: str, *, n_users: int = 300, seed: int = 0, timed: bool = True) -> Interactions:
    """Each user likes six of twenty items, three at a time, put into the file in that order."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        items = rng.choice(20, 6, replace=False).reshape(2, 3)
        for moment, chosen in enumerate(items):
            chosen = {"rule": sorted(chosen), "reversed": sorted(chosen)[::-1], "none": chosen}[order]
            rows += [(user, item, START + moment) for item in chosen]
    df = pd.DataFrame(rows, columns=["u", "i", "t"])
    return Interactions.from_dataframe(df, user="u", item="i", time="t" if timed else None)


FINE = {
    "milliseconds": [1000 * START + n for n in (0, 100, 100, 300)],
    "fractions of seconds": [START + n / 8 for n in (0, 1, 1, 3)],
    "fractions of an order": [n / 8 for n in (0, 1, 1, 3)],
    "dates": pd.to_datetime([1000 * START + n for n in (0, 100, 100, 300)], unit="ms"),
    "texts": [f"2024-01-01T00:00:00.{n}" for n in (0, 1, 1, 3)],
}


@pytest.mark.parametrize("kind", FINE)
def test_rows_of_one_second_are_not_of_one_moment_where_times_are_finer(kind: str) -> None:
    """Four rows of one second, the second and third of one moment: only these are tied, whatever looks at it, and only these move."""
    df = pd.DataFrame({"u": 1, "i": [4, 3, 2, 1], "t": FINE[kind]})
    data = Interactions.from_dataframe(df, user="u", item="i", time="t")
    assert len(set(data.time.tolist())) == 1
    assert data.tied().tolist() == [False, True, False]
    assert data.tied_share == pytest.approx(1 / 3)
    assert tied_rows(data)[0].tolist() == [1, 2]
    moved = at_random(data)
    assert moved.item[[0, 3]].tolist() == [4, 1]
    assert sorted(moved.item[[1, 2]].tolist()) == [2, 3]
    assert audit(LeaveOneOut()(data), data).tied_share == 0
    whole = Interactions.from_dataframe(df.assign(t=START), user="u", item="i", time="t")
    assert audit(LeaveOneOut()(whole), whole).tied_share == 1
    assert data.digest != whole.digest


def test_tied_rows_by_hand() -> None:
    df = pd.DataFrame({"u": list("aaabb"), "i": list("pqrpq"), "t": [START, START, START + 1, START + 1, START + 1]})
    rows, moment = tied_rows(Interactions.from_dataframe(df, user="u", item="i", time="t"))
    assert rows is not None
    assert moment is not None
    assert rows.tolist() == [0, 1, 3, 4]
    assert moment[0] == moment[1]
    assert moment[2] == moment[3]
    assert moment[0] != moment[2]
    assert tied_rows(sessions("none", timed=False)) == (None, None)


@pytest.mark.parametrize("order", ["rule", "reversed"])
def test_a_rule_of_the_file_is_found(order: str) -> None:
    assert agreement(sessions(order)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_ties_without_an_order_agree_half_of_the_time(seed: int) -> None:
    # 1,200 neighbours, about six of each pair of items: the deviation of the estimate is about 0.5 / sqrt(1200 * 5 / 2)
    assert agreement(sessions("none", seed=seed)) == pytest.approx(0.5, abs=0.04)


def test_agreement_counts_pairs_of_occurrences() -> None:
    """Of n occurrences, k one way: the share of their pairs that agree, weighted by occurrence."""
    rows = [(user, item, START) for user in range(100) for item in ("pq" if user < 70 else "qp")]
    rows += [(100 + user, item, START) for user in range(50) for item in "rs"]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    first = (70 * 69 + 30 * 29) / (100 * 99)
    assert agreement(data) == pytest.approx((100 * first + 50 * 1) / 150)


def test_too_little_to_say() -> None:
    assert agreement(sessions("rule", timed=False)) is None
    assert agreement(sessions("rule", n_users=5)) is None


def test_a_random_order_moves_tied_rows_only_and_is_always_the_same() -> None:
    ruled = sessions("rule")
    data = at_random(ruled)
    assert np.array_equal(data.user, ruled.user)
    assert np.array_equal(data.time, ruled.time)
    assert sorted(zip(data.user, data.item, data.time, strict=True)) == sorted(zip(ruled.user, ruled.item, ruled.time, strict=True))
    assert agreement(data) == pytest.approx(0.5, abs=0.04)
    assert np.array_equal(at_random(ruled).item, data.item)
    assert data.report[-1] == "ties=random: 1,800 of 1,800 rows share user and time with another one"


def test_other_columns_move_with_their_rows(tmp_path: Path) -> None:
    df = pd.DataFrame({"user": np.repeat(range(50), 4), "item": np.tile(range(4), 50), "time": START})
    df.assign(rating=df.user * 10 + df.item).to_csv(tmp_path / "own.csv", index=False)
    data = open_data(str(tmp_path / "own.csv"), ties="random")
    file = open_data(str(tmp_path / "own.csv"))
    assert data.extra is not None
    assert not np.array_equal(data.item, file.item)
    user, item = (vocabulary.ids[number - 1].astype(int) for vocabulary, number in ((data.users, data.user), (data.items, data.item)))
    assert (data.extra["rating"].to_numpy() == user * 10 + item).all()
    assert np.array_equal(np.sort(data.extra["rating"]), np.sort(df.user * 10 + df.item))


def test_data_without_times_stays() -> None:
    data = sessions("rule", timed=False)
    assert np.array_equal(at_random(data).item, data.item)
    assert at_random(data).report[-1] == "ties=random: there are no times, and so no ties"


def test_only_an_agreement_above_three_fifths_follows_a_rule() -> None:
    """What is not known follows none."""
    assert [follows(agreement) for agreement in (None, 0.5, 0.6, 0.61, 1.0)] == [False, False, False, True, True]
