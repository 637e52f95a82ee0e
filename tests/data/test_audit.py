"""The audit: clean splits pass, and each kind of leak, planted into one, is found and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recpref import components
from recpref.data.audit import audit, checked
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary

EPOCH = 946_684_800  # 2000-01-01T00:00:00Z


def data_of(rows: list[tuple[str, str, int]]) -> Interactions:
    return Interactions.from_dataframe(
        pd.DataFrame([(u, i, EPOCH + t) for u, i, t in rows], columns=["u", "i", "t"]), user="u", item="i", time="t"
    )


DATA = data_of([("a", "p", 1), ("a", "q", 3), ("a", "r", 5), ("a", "s", 7), ("b", "p", 2), ("b", "r", 4), ("b", "t", 8), ("b", "q", 9)])


def loo(data: Interactions = DATA) -> Split:
    return components.find("split", "leave_one_out")()(data)


def joined(one: Interactions, other: Interactions) -> Interactions:
    """Both parts' rows, in order."""
    user, item, time = (np.concatenate([getattr(one, name), getattr(other, name)]) for name in ("user", "item", "time"))
    order = np.lexsort((time, user))
    return replace(one, user=user[order], item=item[order], time=time[order], extra=None)


def test_a_clean_split_by_hand() -> None:
    found = checked(loo(), DATA)
    # train a:1,3 b:2,4; valid a:5 b:8; test a:7 (s) b:9 (q): s is not in training; the median of 7 and 9 is 8
    assert found[:5] == (4, 2, 2, 0, 0)
    assert (found.unseen_share, found.repeat_share, found.tied_share, found.future_share, found.later_share) == (0.5, 0, 0, 0, 0)
    assert found.problems == []
    assert found.notes[0] == "50.0% of test rows name an item that training never saw: misses, unless content is used"


def test_leave_one_out_leaks_across_users_and_global_temporal_does_not() -> None:
    rows = [(u, f"i{n}", start + n) for u, start in (("a", 0), ("b", 3), ("c", 100)) for n in range(8)]
    found = checked(loo(data_of(rows)), data_of(rows))
    # test moments 7, 10, 107: 10 is the median; c's six training rows are later, of 18
    assert found.later_share == pytest.approx(6 / 18)
    assert "leaks across users: 33.3% of training rows" in found.notes[-1]
    rows = [(u, f"i{n}", 2 * n + (u == "b")) for u in "ab" for n in range(10)]
    found = checked(components.find("split", "global_temporal")()(data_of(rows)), data_of(rows))
    assert found.later_share == 0
    assert found.notes[-1].startswith("nothing leaks across users")


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_held_out_row_in_training(part: str) -> None:
    split = loo()
    leaky = split._replace(train=joined(split.train, getattr(split, part).targets))
    problems = audit(leaky, DATA).problems
    assert problems[0].startswith("2 rows too many in training, validation and test: user 'a' and item")
    with pytest.raises(ValueError, match="the split leaks: 2 rows too many"):
        checked(leaky, DATA)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_target_in_its_own_history(part: str) -> None:
    split = loo()
    heldout = getattr(split, part)
    leaky = split._replace(**{part: Heldout(joined(heldout.history, heldout.targets), heldout.targets)})
    where = "the validation history, validation and test" if part == "valid" else "the test history and test"
    assert any(f"2 rows too many in {where}" in problem for problem in audit(leaky, DATA).problems)


def test_a_test_row_in_the_validation_history() -> None:
    split = loo()
    leaky = split._replace(valid=Heldout(joined(split.train, split.test.targets), split.valid.targets))
    problems = audit(leaky, DATA).problems
    assert any("2 rows too many in the validation history" in problem for problem in problems)
    assert any("the validation history has rows later than the targets of the same user (2 users)" in problem for problem in problems)


def test_a_history_later_than_its_target() -> None:
    split = loo()
    swapped = split._replace(test=Heldout(joined(split.train, split.test.targets), split.valid.targets), valid=split.test)
    assert any("the test history has rows later" in problem for problem in audit(swapped, DATA).problems)
    only_training = split._replace(
        valid=Heldout(split.train, DATA.where(np.array([True] + [False] * 7))), train=split.train.where(split.train.item > 1)
    )
    assert any("training has rows later than the targets of the same user (1 users)" in p for p in audit(only_training, DATA).problems)
    assert not any("later" in problem for problem in audit(swapped._replace(ordered=False), DATA).problems)


def test_a_row_that_the_data_does_not_have() -> None:
    split = loo()
    invented = split._replace(train=joined(split.train, replace(split.train, item=split.train.item * 0 + 5)))
    assert "in the data 0 times" in audit(invented, DATA).problems[0]


def test_a_row_used_twice() -> None:
    split = loo()
    twice = split._replace(train=joined(split.train, split.train.where(split.train.user == 2)))
    assert audit(twice, DATA).problems[0].startswith("2 rows too many in training, validation and test: user 'b'")


def test_a_row_that_the_data_has_twice_may_stand_on_both_sides() -> None:
    data = data_of([("a", "p", 1), ("a", "q", 2), ("a", "r", 3), ("a", "r", 3)])
    found = checked(loo(data), data)
    assert (found.repeat_share, found.tied_share) == (1, 1)
    assert any("repeat an item of the user's own history" in note for note in found.notes)
    assert any("of the same time as the row before it" in note for note in found.notes)


def test_other_numbering_order_or_clock() -> None:
    split = loo()
    renumbered = split._replace(train=replace(split.train, items=Vocabulary(split.train.items.ids[::-1])))
    assert audit(renumbered, DATA).problems == ["training and the data number users or items differently"]
    backwards = split._replace(train=split.train.where(np.array([1, 0, 2, 3])))
    assert audit(backwards, DATA).problems == ["the rows of training are not in the order of users and times"]
    unclocked = split._replace(train=replace(split.train, time=None, clock="none"))
    assert audit(unclocked, DATA).problems == ["training has clock=none and the data has clock=seconds"]


def test_lost_rows_and_users_are_counted() -> None:
    split = loo()
    kept = split.train.user == 1
    fewer = Split(split.train.where(kept), *(Heldout(h.where(h.user == 1), t.where(t.user == 1)) for h, t in split[1:3]))
    found = checked(fewer, DATA)
    assert (found.n_lost, found.n_lost_users) == (4, 1)
    assert found.notes[0] == "4 rows are neither trained on nor asked for (1 users have no other)"


def test_a_random_split_says_that_it_sees_the_future() -> None:
    data = data_of([("a", f"i{n}", n) for n in range(40)])
    found = checked(components.find("split", "random")()(data), data)
    assert found.future_share == 1
    assert any("the split does not follow time" in note for note in found.notes)


def test_without_times() -> None:
    frame = pd.DataFrame({"u": ["a"] * 4, "i": ["p", "q", "p", "p"]})
    data = Interactions.from_dataframe(frame, user="u", item="i")
    found = checked(loo(data), data)
    assert (found.tied_share, found.future_share, found.later_share, found.repeat_share) == (None, None, None, 1)
    split = loo(data)
    leaky = split._replace(train=data)
    assert audit(leaky, data).problems[0].startswith("2 rows too many")


def test_nothing_held_out() -> None:
    assert checked(components.find("split", "none")()(DATA), DATA).notes == ["nothing is held out for test"]


@pytest.mark.parametrize(("ruled", "agreeing"), [(True, 1.0), (False, 0.5)])
def test_a_rule_in_the_order_of_ties_is_told(ruled: bool, agreeing: float) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for user in range(300):
        items = rng.choice(20, 6, replace=False).reshape(3, 2)
        rows += [(str(user), f"i{item:02}", moment) for moment, pair in enumerate(items) for item in (sorted(pair) if ruled else pair)]
    found = checked(loo(data_of(rows)), data_of(rows))
    assert found.order_agreement == pytest.approx(agreeing, abs=0.05)
    told = [note for note in found.notes if "follow a rule of the file" in note]
    assert len(told) == ruled
    if ruled:
        assert "in 100% of cases" in told[0]
