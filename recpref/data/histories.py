"""Histories of users as models read them: from data at rest to left-padded tensors."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64

from recpref.data.interactions import Interactions
from recpref.types import History


def history_of(data: Interactions, users: Int64[np.ndarray, " B"], *, timed: bool = False) -> History:
    """All that ``data`` has of these users (numbers), newest last. ``timed`` adds the times, where the data has a clock."""
    time = data.padded_time(users) if timed else None
    return History(torch.from_numpy(data.padded(users)), torch.from_numpy(users), None if time is None else torch.from_numpy(time))
