"""What is done to data before it is split, in this order: duplicates, the rating threshold, the k-core, ties. All of it is reported."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from recpref.data.guess import rating_of
from recpref.data.interactions import Interactions
from recpref.data.ties import at_random
from recpref.suggest import unknown

Duplicates = Literal["keep", "first", "last", "refuse"]
Ties = Literal["file", "random"]


def filter_by(
    data: Interactions,
    *,
    k_core: int | None = None,
    min_rating: float | None = None,
    rating: str | None = None,
    duplicates: Duplicates = "keep",
    ties: Ties = "file",
) -> Interactions:
    """Each rule that is asked for, with a line of the report. A user's last word counts, so duplicates come before the threshold.

    ``rating``: the column that ``min_rating`` is held against, guessed where it is None.
    ``ties``: the order of rows of one user and one time, that of the file or a random one (always the same).

    Raises: ValueError for another order of ties, a column of ratings without a threshold, and as the rules.
    """
    if rating is not None and min_rating is None:
        raise ValueError(f"data.rating={rating} is the column that data.min_rating is held against; say that, too, or leave it out")
    if ties not in get_args(Ties):
        raise ValueError(unknown("data.ties", str(ties), get_args(Ties)))
    data = without_duplicates(data, duplicates)
    data = data if min_rating is None else at_least(data, min_rating, rating)
    data = data if k_core is None else only_k_core(data, k_core)
    return at_random(data) if ties == "random" else data


def repeats(data: Interactions) -> Bool[np.ndarray, " n"]:
    """Which rows name a user and an item that an earlier row names."""
    return _again(data.user * (data.n_items + 1) + data.item)


def _again(pair: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    again = np.ones(len(pair), dtype=bool)
    again[np.unique(pair, return_index=True)[1]] = False
    return again


def without_duplicates(data: Interactions, policy: str) -> Interactions:
    """Of the rows of one user and one item: all (``keep``), the ``first`` or the ``last`` in time, or an error (``refuse``).

    Raises: ValueError for another policy, or, with ``refuse``, naming the first pair that stands there twice.
    """
    if policy not in get_args(Duplicates):
        raise ValueError(unknown("data.duplicates", str(policy), get_args(Duplicates)))
    if policy == "keep":
        return data
    again = repeats(data) if policy != "last" else _again((data.user * (data.n_items + 1) + data.item)[::-1])[::-1]
    if policy == "refuse" and again.any():
        row = int(again.argmax())
        user, item = data.users.ids[data.user[row] - 1], data.items.ids[data.item[row] - 1]
        raise ValueError(
            f"data.duplicates=refuse: {again.sum():,} rows of {data.name} repeat a user and item, such as user {user!r} and item "
            f"{item!r}; data.duplicates may be keep, first or last"
        )
    return _kept(data, ~again, f"duplicates={policy}") if again.any() else data.noted(f"duplicates={policy}: there are none")


def only_k_core(data: Interactions, k: int) -> Interactions:
    """Drops users and items with fewer than ``k`` interactions, again and again until none is left, and renumbers.

    Raises: ValueError for ``k < 1`` or when nothing is left.
    """
    if k < 1:
        raise ValueError(f"data.k_core={k} must be at least 1, which keeps everything")
    kept = np.ones(len(data), dtype=bool)
    while True:
        users = np.bincount(data.user[kept], minlength=data.n_users + 1)
        items = np.bincount(data.item[kept], minlength=data.n_items + 1)
        thin = kept & ((users[data.user] < k) | (items[data.item] < k))
        if not thin.any():
            break
        kept &= ~thin
    return _kept(data, kept, f"k_core={k}")


def at_least(data: Interactions, least: float, column: str | None = None) -> Interactions:
    """Keeps interactions with a rating of ``least`` or more, and renumbers. The ratings are in ``column``, or in one that is guessed.

    Raises: ValueError where there are no ratings, where they are no numbers, or where nothing is left.
    """
    extra = pd.DataFrame() if data.extra is None else data.extra
    column, line = rating_of(list(extra.columns), column, data.name)
    ratings = extra[column]
    if not pd.api.types.is_numeric_dtype(ratings):
        raise ValueError(f"data.min_rating={least} needs numbers in column {column!r}, and row 0 holds {ratings.iloc[0]!r}")
    return _kept(data.noted(line), ratings.to_numpy(dtype=np.float64, na_value=np.nan) >= least, f"min_rating={least:g}")


def _kept(data: Interactions, kept: Bool[np.ndarray, " n"], rule: str) -> Interactions:
    """The rows that a rule keeps, renumbered, with the rule in the report."""
    if not kept.any():
        raise ValueError(f"data.{rule} leaves nothing of {data!r}")
    rest = data.where(kept).compact()
    return rest.noted(
        f"{rule}: {len(data) - len(rest):,} of {len(data):,} rows dropped, {data.n_users - rest.n_users:,} users and "
        f"{data.n_items - rest.n_items:,} items with them"
    )
