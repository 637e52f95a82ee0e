"""The simulator of hidden positives: how many, whose, and what is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recpref.data.audit import audit
from recpref.data.interactions import Interactions
from recpref.data.splits.hidden import Hidden

RNG = np.random.default_rng(0)
WEIGHT = 1 / np.arange(1, 61)
ROWS = [(u, i) for u in range(300) for i in RNG.choice(60, 25, replace=False, p=WEIGHT / WEIGHT.sum())]
DATA = Interactions.from_dataframe(pd.DataFrame(ROWS, columns=["u", "i"]), user="u", item="i")


@pytest.mark.parametrize("by", ["random", "popularity", "user"])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_the_share_is_kept_whoever_hides(by, share):
    """Of 7,500 rows; the two rows of each user that stay take at most 8 % of the hidden ones away."""
    split = Hidden(share=share, by=by)
    assert split.probability(DATA).mean() == pytest.approx(share, abs=1e-9)
    assert 0.85 * share < split.rows(DATA).mean() < 1.06 * share


def test_who_hides():
    """At random nothing tells hidden rows apart; else it is the unpopular items, or some users, and nothing else."""
    popularity = DATA.item_counts[DATA.item]
    shares = {}
    for by in ("random", "popularity", "user"):
        hidden = Hidden(share=0.3, by=by).rows(DATA)
        of_user = np.bincount(DATA.user, hidden)[1:] / np.bincount(DATA.user)[1:]
        shares[by] = (popularity[hidden].mean() / popularity[~hidden].mean(), of_user.std())
    assert 0.95 < shares["random"][0] < 1.05
    assert 0.95 < shares["user"][0] < 1.05
    assert shares["popularity"][0] < 0.7
    assert shares["random"][1] < 0.11 < 0.25 < shares["user"][1]


def test_hidden_rows_are_asked_for_and_not_trained_on():
    split = Hidden(share=0.3, by="popularity", test_share=0.1, valid_share=0.1)
    parts = split(DATA)
    hidden = split.rows(DATA)
    held_out = len(parts.test.targets) - hidden.sum()
    assert len(parts.train) + len(parts.valid.targets) + len(parts.test.targets) == len(DATA)
    assert 0.05 < held_out / len(DATA) < 0.08  # a tenth of what is not hidden, less what stays
    assert (np.bincount(parts.train.user)[1:] >= 2).all()
    tested = set(zip(parts.test.targets.user.tolist(), parts.test.targets.item.tolist(), strict=True))
    assert set(zip(DATA.user[hidden].tolist(), DATA.item[hidden].tolist(), strict=True)) <= tested
    assert parts.test.history is parts.train
    assert audit(parts, DATA).problems == []


def test_two_rows_of_every_user_stay_and_no_more():
    """Of 25 rows each nine in ten are hidden and half of the others validate: of 300 users some keep two and nobody fewer."""
    kept = np.bincount(Hidden(share=0.9, test_share=0.0, valid_share=0.5)(DATA).train.user)[1:]
    assert (len(kept), kept.min()) == (300, 2)


def test_a_share_of_what_is_left_validates():
    """Of 7,500 rows nothing is hidden, a tenth tests, 600 stay and a fifth of the others validates: 1,242, within four errors of 32."""
    parts = Hidden(share=0.0, test_share=0.1, valid_share=0.2)(DATA)
    assert abs(len(parts.valid.targets) - 0.2 * (0.9 * (7500 - 600))) < 4 * 32


def test_the_same_seed_hides_the_same_rows():
    assert (Hidden(seed=1).rows(DATA) == Hidden(seed=1).rows(DATA)).all()
    assert (Hidden(seed=1).rows(DATA) != Hidden(seed=2).rows(DATA)).any()


def test_nothing_hidden_is_a_random_split():
    parts = Hidden(share=0.0, test_share=0.2, valid_share=0.0)(DATA)
    assert 0.16 < len(parts.test.targets) / len(DATA) < 0.21


@pytest.mark.parametrize(
    ("options", "says"),
    [({"share": 1.0}, r"split.share=1.0 must lie in \[0, 1\)"), ({"share": 0.0, "test_share": 0.0}, "leave nothing to test")],
)
def test_bad_shares_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Hidden(**options)


def test_where_every_row_must_stay_there_is_nothing_to_test():
    small = Interactions.from_dataframe(pd.DataFrame({"u": [1, 1], "i": [1, 2]}), user="u", item="i")
    with pytest.raises(ValueError, match="leaves nothing to test"):
        Hidden()(small)
