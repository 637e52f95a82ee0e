"""Approximate retrieval for catalogues that are too large to score whole: an index of faiss, and how much it finds.

Inner products become a search among vectors with the item's bias as one more coordinate (the user's is 1). Source: Malkov and
Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small world graphs" (TPAMI
2020); Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs" (2019) for the inverted file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recpref.suggest import unknown
from recpref.types import PAD, MultiRound, Query, Ranking, Retriever

KINDS = ("hnsw", "ivf")
COMPARED = 2**26  # pairs of what was found and what is not wanted that are compared at once: 64 MB


class Approximate:
    """Answers ``recommend`` as ``TopK`` does, from an index: ``hnsw`` is a graph, ``ivf`` lists of neighbours, which are built faster.

    ``breadth`` is how much of the index is looked at: more finds more and takes longer. With ``hnsw`` it is the length of the queue
    (faiss's efSearch), never shorter than the list asked for; with ``ivf`` the number of lists of about sqrt(V). Excluded items
    are found and then left out. Say what it finds: ``found``.

    Raises: ValueError for a model that does not score by inner products, another kind, a breadth below 1, or where faiss is not installed.
    """

    def __init__(self, model: Any, *, kind: str = "hnsw", breadth: int = 128):
        if isinstance(model, MultiRound) or not isinstance(model, Retriever):
            raise ValueError(f"{type(model).__name__} does not score by one inner product an item; rank it exactly")
        if kind not in KINDS:
            raise ValueError(unknown("search", kind, ("exact", *KINDS)))
        if breadth < 1:
            raise ValueError(f"breadth={breadth} must be at least 1")
        self.model, self.kind, self.breadth = model, kind, breadth
        self.needs_time = bool(getattr(model, "needs_time", False))
        self.index, self.kept = built(model, kind)

    @torch.inference_mode()
    def recommend(self, query: Query, k: int) -> Ranking:
        """Shapes: [B, k]; PAD and -inf fill places for which the index found nothing.

        Raises: ValueError for k < 1, or candidates or items that nobody gets, of which an index knows nothing.
        """
        if k < 1:
            raise ValueError(f"k={k} must be at least 1")
        if query.candidates is not None or query.never is not None:
            raise ValueError("an index cannot be asked for the best of some candidates; rank them exactly")
        state = self.model.state(query.history)
        asked = torch.cat([state, state.new_ones(len(state), 1)], 1).float().cpu().numpy()
        unwanted = 0 if query.exclude is None else _longest(query.exclude)
        wanted = min(k + unwanted, len(self.kept))
        self._look(max(self.breadth, wanted) if self.kind == "hnsw" else self.breadth)
        scores, rows = self.index.search(asked, wanted)
        items = np.where(rows >= 0, self.kept[rows], PAD)
        return _left(torch.from_numpy(items), torch.from_numpy(scores), query.exclude, k)

    def _look(self, breadth: int) -> None:
        if self.kind == "hnsw":
            self.index.hnsw.efSearch = breadth
        else:
            self.index.nprobe = breadth

    def found(self, exact: Ranking, query: Query) -> float:
        """The share of an exact ranking's items that the index finds, too: its recall."""
        k = exact.items.shape[1]
        mine = self.recommend(query, k).items
        real = exact.items.cpu() != PAD
        hit = (exact.items.cpu()[:, :, None] == mine[:, None, :]).any(2) & real
        return float(hit.sum() / real.sum().clamp(min=1))


def built(model: Retriever, kind: str) -> tuple[Any, Int[np.ndarray, " n"]]:
    """The index, and the item of each of its rows: those that may be recommended. Raises: ValueError where faiss is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise ValueError("an index needs faiss: pip install 'recpref[ann]'") from error
    vectors, bias = (part.detach() for part in model.table())
    kept = torch.nonzero(bias > -torch.inf)[:, 0]
    kept = kept[kept != PAD]
    rows = torch.cat([vectors[kept], bias[kept, None]], 1).float().cpu().numpy()
    index: Any
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 128
    else:
        lists = max(1, int(len(rows) ** 0.5))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(rows.shape[1]), rows.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # small catalogues are no reason for a warning
        index.train(rows)
    index.add(rows)
    return index, kept.cpu().numpy()


def _longest(exclude: Int[Tensor, "B E"]) -> int:
    """How many items at most somebody does not want."""
    return int((exclude != PAD).sum(1).max()) if exclude.numel() else 0


def _left(items: Int[Tensor, "B W"], scores: Float[Tensor, "B W"], exclude: Int[Tensor, "B E"] | None, k: int) -> Ranking:
    """The first k of each row that are not excluded."""
    keep = items != PAD
    if exclude is not None:
        rows = max(1, COMPARED // max(1, items.shape[1] * exclude.shape[1]))
        parts = zip(items.split(rows), exclude.cpu().split(rows), strict=True)
        keep &= ~torch.cat([(found[:, :, None] == unwanted[:, None, :]).any(2) for found, unwanted in parts])
    order = (~keep).int().argsort(dim=1, stable=True)[:, :k]
    items, scores, keep = (part.gather(1, order) for part in (items, scores, keep))
    fill = (0, max(0, k - items.shape[1]))
    items, scores = items.masked_fill(~keep, PAD), scores.masked_fill(~keep, -torch.inf)
    return Ranking(torch.nn.functional.pad(items, fill), torch.nn.functional.pad(scores, fill, value=-torch.inf))
