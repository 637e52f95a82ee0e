"""TopK: the one way in which a model that scores the catalogue, by inner products, in rounds or itself, becomes a recommender."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recpref.types import PAD, Catalogue, History, MultiRound, Query, Ranking, Retriever


class TopK:
    """Exact retrieval. Ties are broken by a seeded permutation of the items, so that a model which
    scores everything alike is at chance and not at "the first ids".

    A model that answers in rounds fills ``per_round`` places with the best of its first round, as many with the best of its second that
    are not there yet, and so on. Places after the last round's are filled with the next best of that round. The place in the list is
    what counts: scores of different rounds do not compare.

    ``order`` [V + 1] gives each item its place among equals. ``needs_time`` is the model's.
    """

    def __init__(self, model: Retriever | Catalogue, *, seed: int = 0):
        self.model, self.needs_time = model, bool(getattr(model, "needs_time", False))
        n_columns = len(model.table()[1]) if isinstance(model, Retriever) else model.n_items + 1
        self.order = torch.randperm(n_columns, generator=torch.Generator().manual_seed(seed))

    @torch.inference_mode()
    def recommend(self, query: Query, k: int) -> Ranking:
        """Shapes: [B, k]; PAD and -inf fill places for which no item is left.

        Raises: ValueError for k < 1 and FloatingPointError where the model returns NaN.
        """
        if k < 1:
            raise ValueError(f"k={k} must be at least 1")
        if isinstance(self.model, MultiRound):
            return self._in_rounds(self.model, query, k)
        return self._best(_allowed(self.scores(query), query), k)

    def _in_rounds(self, model: MultiRound, query: Query, k: int) -> Ranking:
        vectors, bias = model.table()
        parts: list[Ranking] = []
        for number, state in enumerate(model.rounds(query.history), 1):
            scores = _allowed(_finite(torch.addmm(bias, state, vectors.T)), query)
            for part in parts:
                scores.scatter_(1, part.items, -torch.inf)
            left = k - sum(part.items.shape[1] for part in parts)
            parts.append(self._best(scores, left if number == model.n_rounds else min(left, model.per_round)))
            if left <= model.per_round:
                break
        return Ranking(torch.cat([part.items for part in parts], 1), torch.cat([part.scores for part in parts], 1))

    def scores(self, query: Query, items: Int[Tensor, "B C"] | None = None) -> Float[Tensor, "B C"]:
        """The scores of ``items``, or of the whole catalogue (C = V + 1); in the first round, where there are several."""
        scores = _finite(self._catalogue(query.history))
        return scores if items is None else scores.gather(1, items)

    def _catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        if not isinstance(self.model, Retriever):
            return self.model.catalogue(history)
        vectors, bias = self.model.table()
        return torch.addmm(bias, self.model.state(history), vectors.T)

    def _best(self, scores: Float[Tensor, "B V1"], k: int) -> Ranking:
        order = self.order.to(scores.device)
        shuffled = scores[:, order]
        width = min(k, shuffled.shape[1])
        best = shuffled.topk(width, dim=1)
        # topk leaves open which of several equal scores it takes: where the last place is tied, sort the whole row
        tied = (shuffled >= best.values[:, -1:]).sum(1) > width
        places = best.indices.where(~tied[:, None], 0)
        places[tied] = shuffled[tied].argsort(dim=1, descending=True, stable=True)[:, :width]
        places = places.sort(1).values  # then order equal scores by place
        by_score = shuffled.gather(1, places).argsort(dim=1, descending=True, stable=True)
        items = order[places.gather(1, by_score)]
        values = scores.gather(1, items)
        items = items.masked_fill(values == -torch.inf, PAD)
        fill = (0, k - width)
        return Ranking(torch.nn.functional.pad(items, fill), torch.nn.functional.pad(values, fill, value=-torch.inf))


def _finite(scores: Float[Tensor, "B V1"]) -> Float[Tensor, "B V1"]:
    if bool(scores.isnan().any()):
        raise FloatingPointError("the model returned NaN scores; its training has diverged")
    return scores


def _allowed(scores: Float[Tensor, "B V1"], query: Query) -> Float[Tensor, "B V1"]:
    """The scores, -inf where the query does not want the item. ``scores`` is changed."""
    if query.exclude is not None:
        scores.scatter_(1, query.exclude, -torch.inf)
    if query.candidates is not None:
        allowed = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, query.candidates, True)
        scores.masked_fill_(~allowed, -torch.inf)
    scores[:, PAD] = -torch.inf
    return scores
