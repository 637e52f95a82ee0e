"""Similar items: the nearest in a model's item table, by cosine, or what the model itself holds to be alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from recpref.data.vocabulary import Vocabulary
from recpref.retrieval.asked import ids_of, refuse_no_count
from recpref.retrieval.topk import HELD, best
from recpref.types import PAD, Catalogue, History, Retriever

BATCH = 256
Scored = Callable[[Tensor], Tensor]  # item numbers [n] -> scores of all items [n, V + 1]


@torch.inference_mode()
def similar(
    model: Retriever | Catalogue, items: Vocabulary, ids: Any, k: int = 10, *, known: Bool[np.ndarray, " V1"] | None = None
) -> pd.DataFrame:
    """The k nearest items of each of ``ids`` (one id or several, original), never the item itself.

    Biases say how popular an item is, not what it is like, and are ignored. ``known`` [V + 1] says which items have training
    rows (``item_counts > 0``): the vector of another one is noise, so it is neither asked for nor answered with, and neither
    is a vector of zeros. A model of weights between items (EASE, ItemKNN, Markov) has no vectors: its score is that of a
    history of the one item, where it is above zero. One with a number for each item (Popular) says how large an item is: all
    would be alike.

    Returns: a frame ``item, similar, rank, score`` in the order of ``ids``; rank 1 is nearest, score is the cosine. Equal
    scores are in the order of item ids. Fewer than k rows where there are no more items.
    Raises: ValueError for k < 1, a table of ids, an unknown id, an item without a usable vector, or a model to which all items are alike.
    """
    refuse_no_count(k=k)
    scored, usable = _cosine(model) if isinstance(model, Retriever) else _weight(model)
    numbers = _numbers(items, ids_of(ids, "items"), usable.numpy(), known)
    usable &= torch.ones_like(usable) if known is None else torch.from_numpy(known)
    rows = min(BATCH, max(1, HELD // len(usable)))
    parts = [_nearest(scored, usable, torch.from_numpy(numbers[i : i + rows]), k, items) for i in range(0, len(numbers), rows)]
    return pd.concat(parts, ignore_index=True)


def _cosine(model: Retriever) -> tuple[Scored, Tensor]:
    """Between item vectors; usable are those that are not zero. Raises: ValueError where they are of one number, which has no direction."""
    vectors = model.table()[0].detach().cpu().double()
    if vectors.shape[1] < 2:
        raise ValueError(
            f"{type(model).__name__} has one number for each item, to which all are alike: similar items are those of models with item "
            "vectors (bert4rec, bprmf, ...) or weights between items (ease, itemknn, markov)"
        )
    length = vectors.norm(dim=1)
    unit = vectors / length.clamp(min=torch.finfo(length.dtype).tiny)[:, None]
    return lambda numbers: (unit[numbers] @ unit.T).clamp_(-1, 1), (length > 0).index_fill(0, torch.tensor([0]), False)


def _weight(model: Catalogue) -> tuple[Scored, Tensor]:
    """Scores of histories of one item, of which those above zero say that two items have to do with each other; usable are all."""
    usable = torch.ones(model.n_items + 1, dtype=torch.bool).index_fill(0, torch.tensor([0]), False)

    def related(numbers: Tensor) -> Tensor:
        scores = model.catalogue(History(numbers[:, None], torch.zeros_like(numbers))).cpu().double()
        return scores.masked_fill(scores <= 0, -torch.inf)

    return related, usable


def _numbers(items: Vocabulary, ids: np.ndarray, usable: np.ndarray, known: np.ndarray | None) -> Int64[np.ndarray, " n"]:
    if not len(ids):
        raise ValueError("no item was named")
    numbers = items.numbers(ids, "item")
    if (numbers == 0).any():
        raise ValueError(f"unknown items: {', '.join(map(repr, ids[numbers == 0][:3].tolist()))} ({(numbers == 0).sum()} of {len(ids)})")
    for mask, what in ((known, "was never seen in training"), (usable, "has a vector of zeros, which is like nothing")):
        if mask is not None and not mask[numbers].all():
            raise ValueError(f"item {ids[~mask[numbers]].tolist()[0]!r} {what}")
    return numbers


def _nearest(scored: Scored, usable: Bool[Tensor, " V1"], numbers: Tensor, k: int, items: Vocabulary) -> pd.DataFrame:
    score = scored(numbers).masked_fill_(~usable, -torch.inf)
    score.scatter_(1, numbers[:, None], -torch.inf)
    found = best(score, k, torch.arange(score.shape[1]))
    row, place = (found.items != PAD).nonzero(as_tuple=True)
    return pd.DataFrame({
        "item": items.originals(numbers[row].numpy()),
        "similar": items.originals(found.items[row, place].numpy()),
        "rank": place.numpy() + 1,
        "score": found.scores[row, place].numpy(),
    })  # fmt: skip
