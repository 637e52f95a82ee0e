"""The audit of a split: what must not be (problems, which are leaks) and what a reader must know (notes).

It reads each row a few times and sorts almost none, so that it can run with every experiment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recpref.data.blocks import each, edges
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions
from recpref.data.multiset import Tally, among, excesses, tally
from recpref.data.ties import agreement, follows
from recpref.data.vocabulary import Vocabulary


class Audit(NamedTuple):
    """Counts of rows, shares of test rows (or users), and what they mean in words.

    ``n_lost``: rows neither trained on nor asked for; ``n_lost_users``: users without any other. ``unseen_share`` of test
    rows name an item without training row; ``repeat_share`` one from the user's own history. ``tied_share`` of test users
    have a test row of the same time as the newest row of their history; ``future_share`` have a later one there.
    ``later_share`` of training rows are later than the median test moment. ``order_agreement``: how often the same two items,
    tied, stand in the same order (``ties.agreement``; 0.5 means that ties have none). None: cannot be known without times.
    """

    n_train: int
    n_valid: int
    n_test: int
    n_lost: int
    n_lost_users: int
    unseen_share: float
    repeat_share: float
    tied_share: float | None
    future_share: float | None
    later_share: float | None
    order_agreement: float | None
    problems: list[str]
    notes: list[str]


def checked(split: Split, data: Interactions) -> Audit:
    """The audit of a split that has no leaks. Raises: ValueError that lists the leaks."""
    found = audit(split, data)
    if found.problems:
        raise ValueError("the split leaks: " + "; ".join(found.problems))
    return found


def audit(split: Split, data: Interactions) -> Audit:
    """What is wrong with the split and what is to know about it. ``data`` is what was split; nothing is raised.

    A row is (user, item, time). One that the data holds twice may stand on both sides: whether it is kept twice is for the
    duplicate policy to say. Where rows are out of order or numbered otherwise, nothing else is looked at.
    """
    sizes = len(split.train), len(split.valid.targets), len(split.test.targets)
    if problems := _unreadable(split, data):
        return Audit(*sizes, 0, 0, 0.0, 0.0, None, None, None, None, problems, [])
    used = np.sum([np.diff(part.offsets) for part in (split.train, split.valid.targets, split.test.targets)], axis=0)
    test = split.test.targets
    tied, future = _borders(split.test.history, test)
    found = Audit(
        *sizes,
        n_lost=len(data) - sum(sizes),
        n_lost_users=int(((np.diff(data.offsets) > 0) & (used == 0)).sum()),
        unseen_share=_share(split.train.item_counts[test.item] == 0),
        repeat_share=_share(among(test.user, test.item, split.test.history)),
        tied_share=None if tied is None else _share(tied),
        future_share=None if future is None else _share(future),
        later_share=_later_share(split),
        order_agreement=agreement(data),
        problems=[*_reused(split, data), *_late(split)],
        notes=[],
    )
    return found._replace(notes=_notes(found, split))


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def _unreadable(split: Split, data: Interactions) -> list[str]:
    """What forbids any comparison of rows."""
    named = {"training": split.train, "the validation history": split.valid.history, "the validation targets": split.valid.targets,
             "the test history": split.test.history, "the test targets": split.test.targets}  # fmt: skip
    in_order = {key: _sorted(rows) for key, rows in {id(rows): rows for rows in named.values()}.items()}  # some are one and the same
    problems = []
    for name, rows in named.items():
        if not (_same(rows.users, data.users) and _same(rows.items, data.items)):
            problems.append(f"{name} and the data number users or items differently")
        elif rows.clock != data.clock:
            problems.append(f"{name} has clock={rows.clock} and the data has clock={data.clock}")
        elif not in_order[id(rows)]:
            problems.append(f"the rows of {name} are not in the order of users and times")
    return problems


def _same(one: Vocabulary, other: Vocabulary) -> bool:
    return one.ids is other.ids or np.array_equal(one.ids, other.ids)


def _sorted(rows: Interactions) -> bool:
    if not len(rows):
        return True
    if not (rows.user[0] >= 1 and rows.user[-1] <= rows.n_users):
        return False

    def ordered(one: int, other: int) -> bool:
        """Each row and the one after it, if there is one."""
        user = rows.user[one : other + 1]
        later = user[1:] > user[:-1]
        if rows.time is None:
            return bool((later | (user[1:] == user[:-1])).all())
        time = rows.time[one : other + 1]
        return bool((later | ((user[1:] == user[:-1]) & (time[1:] >= time[:-1]))).all())

    return all(each(edges(len(rows)), ordered))


def _reused(split: Split, data: Interactions) -> list[str]:
    """Rows that stand in two places that must not share any, or that were never in the data."""
    tallies: dict[int, Tally] = {}

    def tallied(rows: Interactions) -> Tally:
        return tallies[id(rows)] if id(rows) in tallies else tallies.setdefault(id(rows), tally(rows))

    valid, test = split.valid.targets, split.test.targets
    checks = {
        "training, validation and test": [split.train, valid, test],
        "the validation history, validation and test": [split.valid.history, valid, test],
        "the test history and test": [split.test.history, test],
    }
    if split.valid.history is split.train:
        del checks["the validation history, validation and test"]
    problems = []
    for places, parts in checks.items():
        for excess in excesses(data, parts, tallied):
            where = f"user {data.users.ids[excess.user - 1]!r} and item {data.items.ids[excess.item - 1]!r}"
            often = " + ".join(map(str, excess.counts[1:]))
            problems.append(
                f"{excess.n} rows too many in {places}: {where} stand there {often} times and in the data {excess.counts[0]} times"
            )
    return problems


def _late(split: Split) -> list[str]:
    """Rows later than what they help to predict, where the split promises that there are none."""
    if not split.ordered:
        return []
    valid, test = split.valid, split.test
    problems = []
    for name, known, targets in (
        ("the validation history", valid.history, valid.targets),
        ("the test history", test.history, test.targets),
        ("training", split.train, valid.targets),
        ("training", split.train, test.targets),
    ):
        _, late = _borders(known, targets)
        if late is not None and late.any():
            problems.append(f"{name} has rows later than the targets of the same user ({late.sum()} users)")
    return list(dict.fromkeys(problems))


def _borders(known: Interactions, targets: Interactions) -> tuple[np.ndarray | None, np.ndarray | None]:
    """For each user with both: is the newest known row as old as the oldest target, and is it newer? None without times."""
    if known.time is None or targets.time is None:
        return None, None
    both = (np.diff(known.offsets) > 0) & (np.diff(targets.offsets) > 0)
    newest, oldest = known.offsets[1:][both] - 1, targets.offsets[:-1][both]
    same, later = known.time[newest] == targets.time[oldest], known.time[newest] > targets.time[oldest]
    if known.fraction is None or targets.fraction is None:
        return same, later
    later |= same & (known.fraction[newest] > targets.fraction[oldest])
    return same & (known.fraction[newest] == targets.fraction[oldest]), later


def _later_share(split: Split) -> float | None:
    """The share of training rows later than the median test moment."""
    train, test = split.train.time, split.test.targets.time
    if train is None or test is None or not len(test) or split.train.clock != "seconds":
        return None
    moment = np.median(test)
    later = each(edges(len(train)), lambda one, other: np.count_nonzero(train[one:other] > moment))
    return sum(later) / len(train) if len(train) else 0.0


def _notes(found: Audit, split: Split) -> list[str]:
    """The counts in words; what is zero is not mentioned, except leaks across users."""
    train, test = split.train, split.test.targets
    if not len(test):
        return ["nothing is held out for test"]
    notes = []
    if found.n_lost:
        notes.append(f"{found.n_lost:,} rows are neither trained on nor asked for ({found.n_lost_users:,} users have no other)")
    if found.unseen_share:
        notes.append(f"{found.unseen_share:.1%} of test rows name an item that training never saw: misses, unless content is used")
    if found.repeat_share:
        notes.append(
            f"{found.repeat_share:.1%} of test rows repeat an item of the user's own history: misses where seen items are filtered"
        )
    if found.tied_share and split.ordered:
        notes.append(f"{found.tied_share:.1%} of test users have a test row of the same time as the row before it: file order decides")
    if follows(found.order_agreement):
        notes.append(
            f"rows of equal time follow a rule of the file: two such items stand in the same order in {found.order_agreement:.0%} of cases "
            "(50% without a rule). Models learn it and gain by it; data.ties=random shows how much"
        )
    if found.future_share:
        notes.append(f"{found.future_share:.1%} of test users have history later than a test row: the split does not follow time")
    if found.later_share is None:
        notes.append("leaks across users cannot be counted without a clock")
    elif train.time is not None and test.time is not None and train.time.max(initial=test.time.min()) > test.time.min():
        notes.append(f"leaks across users: {found.later_share:.1%} of training rows are later than the median test moment")
    else:
        notes.append("nothing leaks across users: no training row is later than any test row")
    return notes
