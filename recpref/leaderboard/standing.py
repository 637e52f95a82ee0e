"""Where each row stands against the best of its data and protocol, user by user, and whether anybody has won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from math import comb
from pathlib import Path

import numpy as np

from recpref.leaderboard.rows import Row, Standing, headline_of, user_values
from recpref.significance import Comparison, compared, enough, holm, winner

BEST, LEVEL, BEHIND = "best", "not told apart", "behind"


def comparable(row: Row) -> tuple[str, str]:
    """What rows must share to stand in one table: the same data, whatever it is called, trained and measured alike."""
    return row.data_digest, row.protocol


def together(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each table, in their order, with the name of its data. Where data of one name is not the same, its digest is in it."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(comparable(row), []).append(row)
    several = Counter((group[0].data, protocol) for (_, protocol), group in groups.items())
    return [
        (f"{group[0].data} ({digest[:8]})" if several[group[0].data, protocol] > 1 else group[0].data, group)
        for (digest, protocol), group in groups.items()
    ]


def told_apart(rows: Sequence[Row]) -> list[Row]:
    """The same rows in the same order: of those of one table that have one label, each has the options in it that not all of them have."""
    labels: dict[int, str] = {}
    for _, table in together(rows):
        for label, group in groupby(sorted(table, key=_label), key=_label):
            alike = list(group)
            common = set.intersection(*(set(row.options) for row in alike))
            own = [" ".join(option for option in row.options if option not in common) for row in alike]
            own = [row.digest for row in alike] if len({*own}) < len(own) else own  # of parts that are not ours no options are known
            labels |= {id(row): f"{label} ({said})" if said else label for row, said in zip(alike, own, strict=True) if len(alike) > 1}
    return [replace(row, label=labels.get(id(row), row.label)) for row in rows]


def _label(row: Row) -> str:
    return row.label


def with_standings(rows: list[Row]) -> list[Row]:
    """The same rows in the same order. p-values are corrected (Holm) for all pairs of a table's models: the best was found by the values
    that it is tested on, and against the best alone equal models would be told apart in 7 % (three) to 23 % (twenty) of tables."""
    found: dict[int, Standing | None] = {}
    for _, group in groupby(sorted(rows, key=comparable), key=comparable):
        found |= _of_group(list(group))
    return [row.with_standing(found[id(row)]) for row in rows]


def strangers(rows: Iterable[Row]) -> list[str]:
    """A line for each row that was measured on other users than most of its table: it shows its numbers, and stands nowhere."""
    lines = []
    for _, group in together(rows):
        there = {id(row) for row in _of_most_users(group)}
        lines += [
            f"{row.label} on {row.data} was measured on other users than most of its table, and is compared with none: {row.paths[0]}"
            for row in group
            if row.means and id(row) not in there
        ]
    return lines


def _of_most_users(rows: Sequence[Row]) -> list[Row]:
    """The rows with values, of the users that most of them have; of as many, the first ones."""
    measured = [row for row in rows if row.means]
    most = Counter(row.users for row in measured).most_common(1)
    return [row for row in measured if row.users == most[0][0]]


def _of_group(rows: list[Row]) -> dict[int, Standing | None]:
    metric = headline_of(rows)
    nowhere: dict[int, Standing | None] = {id(row): None for row in rows}  # those of other cut-offs, or of other users
    measured = [row for row in _of_most_users(rows) if metric in row.means]
    if not measured or len(measured) == 1 < len(rows):
        return nowhere  # nothing to compare by
    best, *others = sorted(measured, key=lambda row: -row.means[metric])
    pairs = comb(len(measured), 2)
    comparisons = [between(best.paths, row.paths, metric, enough(pairs)) for row in others]
    corrected = holm(np.array([comparison.p_randomisation for comparison in comparisons]), among=pairs)
    standings: dict[int, Standing | None] = {}
    for row, comparison, p in zip(others, comparisons, corrected, strict=True):
        seeds = (best.by_seed[metric], row.by_seed[metric])
        who, why = winner(comparison, p=float(p), seeds=seeds)
        place = BEHIND if who == "first" else LEVEL
        standings[id(row)] = Standing(metric, place, best.label, why, float(p), comparison)
    level = [standing for standing in standings.values() if standing is not None and standing.place == LEVEL]
    reason = f"{len(level)} of {len(others)} others are not told apart from it" if level else "beats every other" if others else "alone"
    return {**nowhere, **standings, id(best): Standing(metric, BEST, reason=reason)}


@lru_cache(maxsize=65536)
def between(first: tuple[Path, ...], second: tuple[Path, ...], metric: str, resamples: int = 9999) -> Comparison:
    """The runs of one row against those of another. Raises: ValueError where they have other users."""
    left, right = user_values(first, metric), user_values(second, metric)
    if not left.index.equals(right.index):
        if len(left) != len(right) or not left.index.isin(right.index).all():
            raise ValueError(f"{first[0]} and {second[0]} were measured on other users and do not compare")
        right = right.loc[left.index]
    return compared(left.to_numpy(), right.to_numpy(), resamples=resamples)
