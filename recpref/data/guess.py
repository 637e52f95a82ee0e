"""Which column is the user, the item, the time, the rating, where nobody said so: well-known names, and never a guess among two.

Case, underscores, hyphens, dots and blanks do not matter. Names stand in tiers: one of an earlier tier wins (Amazon's 2023
files hold ``parent_asin`` and ``asin``, those of 2014 ``unixReviewTime`` and ``reviewTime``), two of one tier are ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from recpref.data.asked import Asked
from recpref.data.interactions import Columns

TIERS = {
    "user": (
        "user userid uid reviewerid customerid customer visitorid memberid accountid buyerid readerid listenerid playerid",
        "username sessionid session",
    ),
    "item": (
        "item itemid iid movieid movie parentasin businessid productid product sku artistid songid trackid bookid isbn gameid appid "
        "articleid newsid videoid animeid recipeid contentid gmapid",
        "asin",
    ),
    "time": (
        "timestamp unixreviewtime unixtime unixtimestamp datetime ts createdat eventtime epoch",
        "time date reviewtime reviewdate ratingtime ratingdate day",
        "order position",
    ),
    "rating": ("rating ratings", "overall stars star score userrating bookrating"),
}
NO_TIMES = {"rating", "ratings", "stars", "score", "overall", "review", "reviewtext", "text", "summary", "title", "split", "verified"}


def key(name: str) -> str:
    """A name without what does not matter in it."""
    return re.sub(r"[\s_.-]", "", name).lower()


def is_id(name: str) -> bool:
    """Whether a column of that name holds ids, which are to be read as they are written."""
    return _known(name, "user") or _known(name, "item")


def is_time(name: str) -> bool:
    """Whether a column of that name may hold times."""
    return _known(name, "time")


def is_rating(name: str) -> bool:
    """Whether a column of that name may hold ratings."""
    return _known(name, "rating")


def is_kept(name: str, asked: Asked) -> bool:
    """Whether a column that is neither user, item nor time is read where only what is needed is read."""
    return name in asked.also or (asked.rated and is_rating(name))


def _known(name: str, role: str) -> bool:
    return any(key(name) in tier.split() for tier in TIERS[role])


def columns_of(names: Sequence[str], asked: Asked, where: str, *, strict: bool = True) -> tuple[Columns, str]:
    """The columns asked for or guessed, and one line that says which are which.

    Raises: ValueError where an asked column is missing, where two columns could be meant, or where none could. Data of
    users, items and ratings alone may have no time; if it has other columns, ``strict`` wants to be told.
    """
    if asked.may_lack_time and asked.time is not None and asked.time not in names:
        asked = asked._replace(time="none")
    for role, column in zip(Columns._fields, (asked.user, asked.item, None if asked.time == "none" else asked.time), strict=True):
        if column is not None and column not in names:
            raise ValueError(f"{where} has no column {column!r}; it has {_listed(names)}; say data.{role}=NAME")
    user = asked.user or _guessed("user", names, (asked.item, asked.time), where)
    item = asked.item or _guessed("item", names, (user, asked.time), where)
    if user is None or item is None:
        role = "user" if user is None else "item"
        raise ValueError(f"{where}: no column looks like the {role}; it has {_listed(names)}; say data.{role}=NAME")
    time = asked.time or _guessed("time", names, (user, item), where)
    if time is None and strict and (others := [n for n in names if n not in (user, item) and key(n) not in NO_TIMES]):
        raise ValueError(
            f"{where}: no column looks like the time, unless it is among {_listed(others)}; say data.time=NAME or data.time=none"
        )
    found = Columns(user, item, None if time == "none" else time)
    refuse_shared(found, where)
    return found, _line(found, asked)


def refuse_shared(columns: Columns, where: str) -> None:
    """Raises: ValueError where one column is named in two places: every user would have seen himself."""
    roles: dict[str | None, str] = {}
    for role, column in columns._asdict().items():
        if column is not None and roles.setdefault(column, role) != role:
            raise ValueError(f"{where}: the column {column!r} is named as {roles[column]} and as {role}; say a column of its own for each")


def rating_of(names: Sequence[str], rating: str | None, where: str) -> tuple[str, str]:
    """The column of ratings, asked for or guessed among those beside user, item and time, and one line that says which.

    Raises: ValueError where it is missing, where two columns could be meant, or where none could.
    """
    beside = f"beside user, item and time it has {_listed(names)}"
    if rating is not None and rating not in names:
        raise ValueError(f"data.rating={rating}: {where} has no such column; {beside}")
    found = rating or _guessed("rating", names, (), where)
    if found is None:
        raise ValueError(f"data.min_rating needs a column of ratings, and none of {where} looks like it; {beside}; say data.rating=NAME")
    return found, f"columns: rating={found}" + ("" if rating else " (guessed)")


def _guessed(role: str, names: Sequence[str], taken: tuple[str | None, ...], where: str) -> str | None:
    free = [name for name in names if name not in taken]
    for tier in TIERS[role]:
        known = tier.split()
        fitting = [name for name in free if key(name) in known]
        if len(fitting) > 1:
            raise ValueError(f"{where}: {_listed(fitting)} could each be the {role}; say data.{role}=NAME")
        if fitting:
            return fitting[0]
    return None


def _line(found: Columns, asked: Asked) -> str:
    parts = []
    for role, name, said in zip(Columns._fields, found, (asked.user, asked.item, asked.time), strict=True):
        parts.append(f"{role}={name or 'none'}" + ("" if said else " (guessed)" if name else " (none found: the order of the rows)"))
    return "columns: " + ", ".join(parts)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
