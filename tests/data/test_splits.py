"""Every split: a case by hand, then what must hold of all of them, then what each refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref import components
from recpref.data.audit import audit
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions

EPOCH = 946_684_800  # 2000-01-01T00:00:00Z
SPLITS = ("leave_one_out", "leave_last_n", "global_temporal", "random", "given")


def data_of(rows: list[tuple[str, str, int]], split: list[str] | None = None) -> Interactions:
    frame = pd.DataFrame([(u, i, EPOCH + t) for u, i, t in rows], columns=["u", "i", "t"])
    if split is not None:
        frame["split"] = split
    return Interactions.from_dataframe(frame, user="u", item="i", time="t")


def rows_of(part: Interactions) -> list[str]:
    """``["a:x", ...]``: the rows' original ids."""
    return [f"{u}:{i}" for u, i in zip(part.users.originals(part.user), part.items.originals(part.item), strict=True)]


def split_by(name: str, data: Interactions, **options: object) -> Split:
    return components.find("split", name)(**options)(data)


# a has four rows at 1, 3, 5, 7; b three at 2, 4, 8; c two, at 6 and 9
TEN = [
    ("a", "p", 1),
    ("a", "q", 3),
    ("a", "r", 5),
    ("a", "s", 7),
    ("b", "p", 2),
    ("b", "r", 4),
    ("b", "t", 8),
    ("c", "q", 6),
    ("c", "r", 9),
]


def test_leave_one_out_by_hand() -> None:
    split = split_by("leave_one_out", data_of(TEN))
    assert rows_of(split.train) == ["a:p", "a:q", "b:p", "c:q", "c:r"]  # c has two rows and trains whole
    assert rows_of(split.valid.targets) == ["a:r", "b:r"]
    assert rows_of(split.test.targets) == ["a:s", "b:t"]
    assert rows_of(split.test.history) == ["a:p", "a:q", "a:r", "b:p", "b:r", "c:q", "c:r"]


def test_leave_last_n_by_hand() -> None:
    split = split_by("leave_last_n", data_of(TEN), n_test=2)
    assert rows_of(split.test.targets) == ["a:r", "a:s"]  # 2 + 1 + 1 rows are needed: only a has them
    assert rows_of(split.valid.targets) == ["a:q"]
    assert rows_of(split.train) == ["a:p", "b:p", "b:r", "b:t", "c:q", "c:r"]


def test_leave_last_n_of_one_and_one_is_leave_one_out() -> None:
    for one, other in zip(
        split_by("leave_last_n", data_of(TEN), valid_users=1, seed=3),
        split_by("leave_one_out", data_of(TEN), valid_users=1, seed=3),
        strict=True,
    ):
        assert str(one) == str(other)


def test_without_validation_its_row_is_training() -> None:
    split = split_by("leave_last_n", data_of(TEN), n_valid=0)
    assert not len(split.valid.targets)
    assert rows_of(split.train) == ["a:p", "a:q", "a:r", "b:p", "b:r", "c:q"]


def test_global_temporal_by_hand_with_dates() -> None:
    split = split_by("global_temporal", data_of(TEN), valid_from="2000-01-01T00:00:05", test_from="2000-01-01T00:00:07Z")
    assert rows_of(split.train) == ["a:p", "a:q", "b:p", "b:r"]  # before 5
    assert rows_of(split.valid.targets) == ["a:r"]  # c:q at 6 has no training history
    assert rows_of(split.test.targets) == ["a:s", "b:t", "c:r"]  # c's row at 6 is a history at 7
    assert rows_of(split.test.history) == ["a:p", "a:q", "a:r", "b:p", "b:r", "c:q"]


def test_global_temporal_by_hand_with_quantiles() -> None:
    # nine times 1..9: place ceil(8 * .5) = 4 is time 5; place ceil(8 * .75) = 6 is time 7
    by_share = split_by("global_temporal", data_of(TEN), valid_quantile=0.5, test_quantile=0.75)
    by_date = split_by("global_temporal", data_of(TEN), valid_from="2000-01-01T00:00:05", test_from="2000-01-01T00:00:07")
    assert [rows_of(part) for part in parts(by_share)] == [rows_of(part) for part in parts(by_date)]


def test_a_quantile_between_two_times_is_rounded_up() -> None:
    """Places ceil(8 * .55) = ceil(4.4) = 5 and ceil(8 * .8) = ceil(6.4) = 7: the times 6 and 8."""
    split = split_by("global_temporal", data_of(TEN), valid_quantile=0.55, test_quantile=0.8)
    assert rows_of(split.train) == ["a:p", "a:q", "a:r", "b:p", "b:r"]
    assert rows_of(split.valid.targets) == ["a:s"]
    assert rows_of(split.test.targets) == ["b:t", "c:r"]


def test_items_never_seen_in_training_stay_targets() -> None:
    split = split_by("global_temporal", data_of(TEN), valid_quantile=0.5, test_quantile=0.75)
    assert "b:t" in rows_of(split.test.targets)
    assert audit(split, data_of(TEN)).unseen_share == pytest.approx(2 / 3)  # s and t of s, t, r


def test_given_by_hand() -> None:
    says = ["train", "test", "valid", "train", "train", "train", "test", "train", "test"]
    split = split_by("given", data_of(TEN, says))
    assert rows_of(split.train) == ["a:p", "a:s", "b:p", "b:r", "c:q"]
    assert rows_of(split.valid.targets) == ["a:r"]
    assert rows_of(split.test.targets) == ["a:q", "b:t", "c:r"]


def test_given_without_validation() -> None:
    split = split_by("given", data_of(TEN, ["train", "train", "train", "test"] + ["train"] * 5))
    assert not len(split.valid.targets)
    assert len(split.train) == 8


def test_random_holds_out_rounded_shares() -> None:
    rows = [("a", f"i{n}", n) for n in range(25)] + [("b", f"i{n}", n) for n in range(4)]
    split = split_by("random", data_of(rows), test_share=0.1, valid_share=0.3)
    # a: 2.5 -> 3 test, 7.5 -> 8 valid, 14 train; b: .4 -> 0 test, 1.2 -> 1 valid, 3 train
    assert [np.bincount(part.user, minlength=3).tolist() for part in parts(split)] == [[0, 14, 3], [0, 8, 1], [0, 3, 0]]


def test_random_is_a_function_of_its_seed_and_near_uniform() -> None:
    data = data_of([("a", f"i{n:04}", n) for n in range(1000)])
    one, again, other = (rows_of(split_by("random", data, seed=seed).test.targets) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one) & set(other)) < 30  # 100 and 100 of 1000 share about 10


def test_none_trains_on_everything() -> None:
    data = data_of(TEN)
    split = split_by("none", data)
    assert rows_of(split.train) == rows_of(data)
    assert not len(split.valid.targets)
    assert not len(split.test.targets)


def test_valid_users_gives_the_others_rows_to_training() -> None:
    data = data_of([(f"u{u}", f"i{i}", 10 * u + i) for u in range(50) for i in range(4)])
    all_of_them, some = split_by("leave_one_out", data), split_by("leave_one_out", data, valid_users=10)
    assert len(some.valid.targets) == len(some.valid.users) == 10
    assert rows_of(some.test.targets) == rows_of(all_of_them.test.targets)
    assert len(some.train) == len(all_of_them.train) + 40
    assert len(some.test.history) == len(all_of_them.test.history)
    assert set(rows_of(some.valid.targets)) < set(rows_of(all_of_them.valid.targets))
    other = split_by("leave_one_out", data, valid_users=10, seed=1)
    assert rows_of(other.valid.targets) != rows_of(some.valid.targets)


def test_more_valid_users_than_there_are_is_all_of_them() -> None:
    assert rows_of(split_by("leave_one_out", data_of(TEN), valid_users=99).valid.targets) == ["a:r", "b:r"]


def parts(split: Split) -> list[Interactions]:
    return [split.train, split.valid.targets, split.test.targets]


@st.composite
def any_data(draw: st.DrawFn) -> Interactions:
    rows = draw(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("pqrst"), st.integers(0, 20)), min_size=1, max_size=40))
    return data_of(rows, draw(st.lists(st.sampled_from(["train", "valid", "test"]), min_size=len(rows), max_size=len(rows))))


@pytest.mark.parametrize("name", [*SPLITS, "none"])
@settings(max_examples=40, deadline=None)
@given(data=any_data())
def test_a_split_is_a_partition_without_leaks(name: str, data: Interactions) -> None:
    try:
        split = split_by(name, data)
    except ValueError:
        return  # nothing to hold out
    found = audit(split, data)
    assert found.problems == []
    used = sorted(row for part in parts(split) for row in rows_of(part))
    whole = sorted(rows_of(data))
    if name in ("leave_one_out", "leave_last_n", "random", "none"):
        assert used == whole
    assert found.n_lost == len(whole) - len(used) >= 0
    for heldout in (split.valid, split.test):
        assert set(heldout.users.tolist()) <= set(heldout.history.user.tolist())


@pytest.mark.parametrize("name", ["leave_one_out", "leave_last_n", "global_temporal"])
@settings(max_examples=40, deadline=None)
@given(data=any_data())
def test_targets_are_no_earlier_than_histories(name: str, data: Interactions) -> None:
    try:
        split = split_by(name, data)
    except ValueError:
        return
    for heldout in (split.valid, split.test):
        for user in heldout.users:
            assert heldout.history.time[heldout.history.user == user].max() <= heldout.targets.time[heldout.targets.user == user].min()


@settings(max_examples=40, deadline=None)
@given(data=any_data())
def test_global_temporal_leaks_nothing_across_users(data: Interactions) -> None:
    try:
        split = split_by("global_temporal", data)
    except ValueError:
        return
    assert split.train.time.max() < split.valid.targets.time.min()
    assert split.test.history.time.max() < split.test.targets.time.min()


@settings(max_examples=40, deadline=None)
@given(data=any_data())
def test_random_keeps_a_training_row_of_every_user(data: Interactions) -> None:
    try:
        split = split_by("random", data, test_share=0.6, valid_share=0.39)
    except ValueError:
        return
    assert set(split.train.user.tolist()) == set(data.user.tolist())


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("leave_one_out", {"valid_users": 0}, "valid_users=0"),
        ("leave_last_n", {"n_test": 0}, "n_test=0"),
        ("leave_last_n", {"n_valid": -1}, "n_valid=-1"),
        ("leave_last_n", {"valid_users": 0}, "valid_users=0"),
        ("leave_last_n", {"n_test": 9}, "at least 11 interactions"),
        ("global_temporal", {"valid_quantile": 0.9}, "0 < valid < test < 1"),
        ("global_temporal", {"valid_from": "soon"}, "'soon' is no date"),
        ("global_temporal", {"valid_from": "2001-01-01"}, "not before the test"),
        ("global_temporal", {"valid_from": "1999-01-01"}, "no training row"),
        ("global_temporal", {"test_from": "2001-01-01"}, "no test target"),
        ("random", {"test_share": 0.0}, "test_share=0.0 and .* leave some to training"),
        ("random", {"test_share": 0.5, "valid_share": 0.5}, "leave some to training"),
        ("random", {"test_share": 0.01}, "holds out nothing"),
        ("given", {}, "needs a column 'split'"),
    ],
)
def test_what_is_refused(name: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        split_by(name, data_of(TEN), **options)


def test_given_refuses_other_values() -> None:
    with pytest.raises(ValueError, match="holds 'dev'; it may hold train, valid and test"):
        split_by("given", data_of(TEN, ["dev"] + ["train"] * 8))
    with pytest.raises(ValueError, match="nothing to test"):
        split_by("given", data_of(TEN, ["train"] * 9))
    with pytest.raises(ValueError, match="nothing to train on"):
        split_by("given", data_of(TEN, ["test"] * 9))
    with pytest.raises(ValueError, match="1 missing values"):
        split_by("given", data_of(TEN, ["train"] * 7 + ["test", None]))


def test_global_temporal_needs_a_clock() -> None:
    frame = pd.DataFrame({"u": [1, 1], "i": [1, 2], "order": [1, 2]})
    with pytest.raises(ValueError, match="clock=order"):
        split_by("global_temporal", Interactions.from_dataframe(frame, user="u", item="i", time="order"))
    with pytest.raises(ValueError, match="clock=none"):
        split_by("global_temporal", Interactions.from_dataframe(frame, user="u", item="i"))
