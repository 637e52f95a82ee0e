"""What to know about data before training on it: counts, lengths of histories, and what to beware of."""

from __future__ import annotations

import numpy as np

from recpref.data.filters import repeats
from recpref.data.forms import SPLITS
from recpref.data.interactions import Interactions

QUANTILES = (0, 0.25, 0.5, 0.75, 0.95, 1)
LEAST = 3  # leave-one-out: one to train on, one to validate, one to test
CORE = 5
OWN = "split"  # the column of data that somebody divided already; a folder of train and test files has it, too


def facts(data: Interactions) -> list[list[str]]:
    """Rows of a table: what, and how much of it."""
    lengths = np.diff(data.offsets)
    at = ", ".join(f"{quantile:.0%}: {value:,.0f}" for quantile, value in zip(QUANTILES, np.quantile(lengths, QUANTILES), strict=True))
    return [
        ["users", f"{data.n_users:,}"],
        ["items", f"{data.n_items:,}"],
        ["interactions", f"{len(data):,}"],
        [
            "clock",
            data.clock if data.clock != "seconds" or data.time is None else f"{_day(data.time.min())} to {_day(data.time.max())}",
        ],
        ["tied neighbours", f"{data.tied_share:.1%}"],
        ["rows that repeat a user and item", f"{repeats(data).sum():,}"],
        ["lengths of histories", at],
        ["users too short for leave-one-out", f"{(lengths < LEAST).sum():,}"],
        [f"items with fewer than {CORE} interactions", f"{(data.item_counts[1:] < CORE).sum():,}"],
        ["user features", _names(data.users.features)],
        ["item features", _names(data.items.features)],
    ]


def warnings(data: Interactions) -> list[str]:
    """What may spoil an experiment, each with the option that helps."""
    lengths, n_repeats = np.diff(data.offsets), int(repeats(data).sum())
    rare = float((data.item_counts[1:] < CORE).mean())
    found = [] if (own := unused_split(data)) is None else [own]
    if data.clock == "none":
        found.append("there is no time: a user's rows are taken to be in order, and splits by time are refused")
    if data.tied_share > 0.1:
        found.append(f"{data.tied_share:.0%} of neighbours carry the same time: only the order of the file orders them")
    if n_repeats:
        found.append(f"{n_repeats:,} rows repeat a user and an item; data.duplicates=first or last keeps one of each")
    if (short := (lengths < LEAST).mean()) > 0:
        found.append(f"{short:.1%} of users have fewer than {LEAST} interactions: leave-one-out trains on them and asks nothing")
    if rare > 0.2:
        found.append(f"{rare:.0%} of items have fewer than {CORE} interactions; data.k_core={CORE} leaves them out")
    if data.n_items < 50:
        found.append(f"{data.n_items} items are few: metrics at 10 and 20 are high for any model")
    return found


def unused_split(data: Interactions, split: str = "leave_one_out") -> str | None:
    """What is said of data that are divided already, where another split than ``given`` divides them; else None."""
    if split == "given" or data.extra is None or OWN not in data.extra:
        return None
    values = set(map(str, data.extra[OWN].unique()))
    named = [name for name in SPLITS if name in values]
    if len(named) < len(values) or "train" not in named or len(named) < 2:
        return None
    return f"the data has a column {OWN!r} ({', '.join(named)}) that split={split} does not use; split=given does"


def _names(features: object) -> str:
    return ", ".join(map(str, getattr(features, "columns", []))) or "none"


def _day(moment: np.int64) -> str:
    return str(np.datetime64(int(moment), "s"))[:10]
