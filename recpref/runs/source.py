"""Where the data of a plan comes from, and what it is known by."""

from __future__ import annotations

from recpref.data.cards import open_data
from recpref.data.interactions import Interactions
from recpref.plan import DataPart, Plan


def opened(part: DataPart) -> Interactions:
    """The data that a plan names.

    Raises: ValueError where it names none, or a frame, which is nowhere to be read again.
    """
    if part.name is None:
        raise ValueError("no data was named; say data=ml_100k or data=path/to/interactions.csv")
    if part.frame:
        raise ValueError(f"the run was trained on a frame ({part.name}), which is not kept with it; pass it again as data")
    return open_data(part.name, **part.options)


def opened_again(part: DataPart) -> Interactions:
    """The data that a run was trained on. Raises: as ``opened``; FileNotFoundError that says how to name a file that is elsewhere now."""
    try:
        return opened(part)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}, of which the run was made; say data=PATH where it is now") from error


def seen(plan: Plan, data: Interactions) -> str:
    """``identity``, and where the item table is made of a feature of the items, what that says, too: all that an experiment learns from."""
    column = plan.table.options.get("column") if plan.table is not None else None
    return identity(plan, data) + (data.digest_with_feature(column) if column else "")


def identity(plan: Plan, data: Interactions) -> str:
    """The digest of the data, and of the column that divides it where there is one: what a run was trained and asked on."""
    return data.digest_with(plan.split.options["column"]) if plan.split.name == "given" else data.digest
