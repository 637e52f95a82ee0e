"""Rankings that others made, measured by our evaluation: ``evaluate(frame, data)``.

The frame goes through the very evaluation that our own models go through, as a recommender that looks its answers up.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from recpref import components
from recpref.data.cards import open_data
from recpref.data.frames import refuse_twice
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.data.multiset import among
from recpref.evaluation.protocol import Evaluation, Report
from recpref.types import Query, Ranking


class LookUp:
    """A recommender that answers from a table of items [U + 1, K], row by user number; 0 is a place without an item."""

    def __init__(self, items: np.ndarray):
        self.items = torch.from_numpy(items)

    def recommend(self, query: Query, k: int) -> Ranking:
        """The first k places of each user's row; the scores only fall. What the query excludes is not looked at."""
        items = self.items[query.history.user.cpu(), :k]
        return Ranking(items, -torch.arange(items.shape[1]).double().expand(items.shape))


def evaluate(
    rankings: Any,
    data: Interactions | str | Path,
    *,
    split: str | Split = "leave_one_out",
    user: str = "user",
    item: str = "item",
    rank: str | None = None,
    score: str | None = None,
    ks: tuple[int, ...] = (1, 5, 10, 20),
    filter_seen: bool = True,
) -> Report:
    """Every metric of a pandas or polars frame of ``user``, ``item`` and a ``rank`` (1 is best) or ``score``, with original ids.

    ``data`` may be a card's name or a path; ``split`` names one with its defaults, or is one. With neither ``rank`` nor
    ``score`` named, the column ``rank`` is used, else ``score``. Ranks need not be consecutive; equal scores are ordered by
    the permutation that ``TopK(seed=0)`` uses.
    ``filter_seen`` first removes the items of a user's history, and those below move up. An item that the data does not
    have keeps its place and is a miss, as is every place after the end of a list that is shorter than k.

    A warning counts what was removed, users of the frame that are not held out (ignored), and held-out users that the
    frame lacks (every place is a miss), and names the ks that no list reaches.

    Returns: a report; ``means["ndcg@10"]`` and its like are its metrics, ``per_user`` is a frame of them, a row a held-out user.
    Raises: FileNotFoundError where the data is not there; ValueError for a missing column or value, two columns of one name, ids of the
    wrong kind, a pair of user and item or of user and rank that stands there twice, rank *and* score named, data that is none, a split
    that was made of other users or items than those of ``data``, or ks as ``Evaluation``.
    """
    frame = _frame(rankings)
    data = data if isinstance(data, Interactions) else open_data(_named(data))
    column, by_score = _order_column(frame, user, item, rank, score)
    _refuse_doubtful(frame, user, item, column, by_score)
    evaluation = Evaluation({name: components.find("metric", name) for name in components.names("metric")}, ks=ks, filter_seen=filter_seen)
    heldout = (components.find("split", split)()(data) if isinstance(split, str) else split).test
    _refuse_other_data(heldout, data)
    places = _placed(frame, heldout, (user, item, column), -1 if by_score else 1)
    places = _asked(places, heldout)
    _tell_of_short_lists(places, heldout.history, ks, filter_seen=filter_seen)
    if filter_seen:
        places = _unseen(places, heldout.history)
    if len(places) and not among(places["user"].to_numpy(), places["item"].to_numpy(), heldout.targets).any():
        warnings.warn(
            "no list holds any held-out item, so every metric is 0: were they made from histories that include the held-out rows?",
            stacklevel=2,
        )
    return evaluation(LookUp(_table(places, data.n_users, max(ks))), heldout)


def _frame(rankings: Any) -> pd.DataFrame:
    if not isinstance(rankings, pd.DataFrame) and not hasattr(rankings, "__arrow_c_stream__"):
        raise ValueError(f"a {type(rankings).__name__} is no data frame; pass a pandas or polars frame or an Arrow table")
    frame = rankings if isinstance(rankings, pd.DataFrame) else pa.table(rankings).to_pandas()
    refuse_twice(map(str, frame.columns), "the rankings")
    return frame


def _named(data: Any) -> str:
    if not isinstance(data, str | Path):
        kind = type(data).__name__
        raise ValueError(
            f"data is a {kind}; pass recpref.Interactions.from_dataframe(data, user=..., item=..., time=...), a name or a path"
        )
    return str(data)


def _refuse_other_data(heldout: Heldout, data: Interactions) -> None:
    made_of = heldout.targets
    if not all(np.array_equal(a.ids, b.ids) for a, b in ((made_of.users, data.users), (made_of.items, data.items))):
        raise ValueError(
            f"the split was made of other data ({made_of.n_users:,} users, {made_of.n_items:,} items) than {data.name} ({data.n_users:,} "
            f"users, {data.n_items:,} items), or of other ids; pass the data that it was made of"
        )


def _order_column(frame: pd.DataFrame, user: str, item: str, rank: str | None, score: str | None) -> tuple[str, bool]:
    """The column that orders, and whether it is a score."""
    if rank is not None and score is not None:
        raise ValueError(f"name rank={rank!r} or score={score!r}, not both")
    column = rank or score or next((name for name in ("rank", "score") if name in frame), "rank")
    for name in (user, item, column):
        if name not in frame:
            raise ValueError(f"the rankings have no column {name!r}; they have {', '.join(map(repr, frame.columns)) or 'none'}")
    return column, column == score or (rank is None and column == "score")


def _refuse_doubtful(frame: pd.DataFrame, user: str, item: str, column: str, by_score: bool) -> None:
    for name in (user, item, column):
        if frame[name].isna().any():
            raise ValueError(f"column {name!r} of the rankings has {frame[name].isna().sum()} missing values")
    if not pd.api.types.is_numeric_dtype(frame[column]):
        raise ValueError(f"column {column!r} of the rankings holds {frame[column].dtype}; ranks and scores are numbers")
    for pair in ([user, item], *([] if by_score else [[user, column]])):
        if (twice := frame.duplicated(pair).to_numpy()).any():
            example = frame.iloc[int(twice.argmax())]
            raise ValueError(
                f"{twice.sum()} rows repeat a {pair[0]} and {pair[1]}, such as {_shown(example[pair[0]])} and {_shown(example[pair[1]])}"
            )


def _shown(value: Any) -> str:
    """An id as it would be written in Python, whatever numpy thinks of it."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _placed(frame: pd.DataFrame, heldout: Heldout, columns: tuple[str, str, str], sign: int) -> pd.DataFrame:
    """Numbers of user and item, every user's best first."""
    targets = heldout.targets
    number = targets.users.numbers(frame[columns[0]], "user"), targets.items.numbers(frame[columns[1]], "item")
    among_equals = torch.randperm(targets.n_items + 1, generator=torch.Generator().manual_seed(0)).argsort().numpy()
    order = np.lexsort((among_equals[number[1]], sign * frame[columns[2]].to_numpy(dtype=np.float64), number[0]))
    return pd.DataFrame({"user": number[0][order], "item": number[1][order]})


def _asked(places: pd.DataFrame, heldout: Heldout) -> pd.DataFrame:
    """The places of users that are held out."""
    users = heldout.users
    asked = np.isin(places["user"], users)
    if not asked.all():
        warnings.warn(f"{(~asked).sum()} of {len(asked)} rows rank items for users that are not held out and were ignored", stacklevel=3)
    lacking = len(users) - places.loc[asked, "user"].nunique()
    if lacking:
        warnings.warn(f"{lacking} of {len(users)} held-out users have no ranking, and everything is a miss for them", stacklevel=3)
    return places[asked]


def _tell_of_short_lists(places: pd.DataFrame, history: Interactions, ks: tuple[int, ...], *, filter_seen: bool) -> None:
    """Warns of the ks that no list reaches, though the catalogue has as many items that might have been recommended."""
    if places.empty:
        return
    length = np.bincount(places["user"], minlength=history.n_users + 1)
    seen = np.unique(history.user * (history.n_items + 1) + history.item) // (history.n_items + 1)
    room = history.n_items - filter_seen * np.bincount(seen, minlength=len(length))[length > 0].min()
    short = [k for k in ks if length.max() < min(k, room)]
    if short:
        warnings.warn(
            f"no list has more than {length.max()} items, so that metrics at {', '.join(map(str, short))} count places that no list has; "
            f"recommend k={max(short)}, or say ks= without them",
            stacklevel=3,
        )


def _unseen(places: pd.DataFrame, history: Interactions) -> pd.DataFrame:
    """The places without the items of the users' histories."""
    seen = among(places["user"].to_numpy(), places["item"].to_numpy(), history)
    if seen.any():
        warnings.warn(
            f"{seen.sum()} of {len(seen)} rows rank items that the user has already seen and were removed; filter_seen=False keeps them",
            stacklevel=3,
        )
    return places[~seen]


def _table(places: pd.DataFrame, n_users: int, k: int) -> np.ndarray:
    """Shapes: [U + 1, K], 0 where there is no known item."""
    user = places["user"].to_numpy()
    place = np.arange(len(user)) - np.searchsorted(user, user)
    table = np.zeros((n_users + 1, k), dtype=np.int64)
    table[user[place < k], place[place < k]] = places["item"].to_numpy()[place < k]
    return table
