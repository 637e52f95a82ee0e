"""TopK: the one way in which a model that scores the catalogue, by inner products, in rounds or itself, becomes a recommender."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recpref.types import PAD, Catalogue, History, MultiRound, Query, Ranking, Retriever

HELD = 2**26  # scores held at once: 256 MB
BLOCK = 32  # neighbouring scores of which first only the highest is looked at
WIDE = 2**14  # columns from which on that pays


class TopK:
    """Exact retrieval. Ties are broken by a seeded permutation of the items, so that a model which
    scores everything alike is at chance and not at "the first ids".

    A model that answers in rounds fills ``per_round`` places with the best of its first round, as many with the best of its second that
    are not there yet, and so on. Places after the last round's are filled with the next best of that round. The place in the list is
    what counts: scores of different rounds do not compare.

    ``order`` [V + 1] gives each item its place among equals. ``needs_time`` is the model's. ``still`` promises that the model does not
    learn while this one lives: item vectors that are made of others are then made once.
    """

    def __init__(self, model: Retriever | Catalogue, *, seed: int = 0, still: bool = False):
        self.model, self.needs_time, self.still = model, bool(getattr(model, "needs_time", False)), still
        self.made: tuple[Tensor, Tensor] | None = None
        n_columns = len(model.table()[1]) if isinstance(model, Retriever) else model.n_items + 1
        self.order = shuffled(n_columns, seed)
        self.place = self.order.argsort()
        self.held: Tensor | None = None

    @torch.inference_mode()
    def recommend(self, query: Query, k: int) -> Ranking:
        """Shapes: [B, k]; PAD and -inf fill places for which no item is left.

        Raises: ValueError for k < 1, or for more than a model keeps; FloatingPointError where the model returns NaN.
        """
        if k < 1:
            raise ValueError(f"k={k} must be at least 1")
        if hasattr(self.model, "most") and (k > self.model.most or query.candidates is not None):
            asked = f"k={k}" if query.candidates is None else "the best of some candidates"
            raise ValueError(f"{asked}: {type(self.model).__name__} keeps the best {self.model.most} items of each user, and no more")
        if isinstance(self.model, MultiRound):
            rows = max(1, HELD // len(self.order))
            starts = range(0, max(1, len(query.history.items)), rows)
            return _together([self._in_rounds(self.model, _part(query, slice(start, start + rows)), k) for start in starts])
        if not isinstance(self.model, Retriever):
            return self._best(_allowed(self.model.catalogue(query.history), query), k)
        vectors, bias = self._table(self.model)
        state = self.model.state(query.history)
        rows = max(1, HELD // len(bias))
        parts = []
        for start in range(0, max(1, len(state)), rows):
            here = slice(start, start + rows)
            scores = _scored(state[here], vectors, bias, self._room(state[here], bias))
            parts.append(self._best(_allowed(scores, query, here), k))
        return _together(parts)

    def _table(self, model: Retriever | MultiRound) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        if not self.still:
            return model.table()
        self.made = self.made or model.table()
        return self.made

    def _room(self, state: Float[Tensor, "B D"], bias: Float[Tensor, " V1"]) -> Float[Tensor, "B V1"]:
        """Memory for the scores of a batch: the same for every batch, because fresh memory costs as much as the scores."""
        size = len(state) * len(bias)
        if self.held is None or self.held.numel() < size or self.held.device != bias.device or self.held.dtype != bias.dtype:
            self.held = bias.new_empty(size)
        return self.held[:size].view(len(state), len(bias))

    def _in_rounds(self, model: MultiRound, query: Query, k: int) -> Ranking:
        vectors, bias = self._table(model)
        parts: list[Ranking] = []
        for number, state in enumerate(model.rounds(query.history), 1):
            scores = _allowed(_scored(state, vectors, bias, self._room(state, bias)), query)
            for part in parts:
                scores.scatter_(1, part.items, -torch.inf)
            left = k - sum(part.items.shape[1] for part in parts)
            parts.append(self._best(scores, left if number == model.n_rounds else min(left, model.per_round)))
            if left <= model.per_round:
                break
        return Ranking(torch.cat([part.items for part in parts], 1), torch.cat([part.scores for part in parts], 1))

    def scores(self, query: Query, items: Int[Tensor, "B C"] | None = None) -> Float[Tensor, "B C"]:
        """The scores of ``items``, or of the whole catalogue (C = V + 1); in the first round, where there are several."""
        scores = known(self._catalogue(query.history))
        return scores if items is None else scores.gather(1, items)

    def _catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        if not isinstance(self.model, Retriever):
            return self.model.catalogue(history)
        vectors, bias = self._table(self.model)
        return _scored(self.model.state(history), vectors, bias)

    def _best(self, scores: Float[Tensor, "B V1"], k: int) -> Ranking:
        found = best(scores, k, self.place)
        known(found.scores)
        return found


def shuffled(n_columns: int, seed: int) -> Int[Tensor, " V1"]:
    """Columns in the order in which equal ones are listed."""
    return torch.randperm(n_columns, generator=torch.Generator().manual_seed(seed))


def best(scores: Float[Tensor, "B C"], k: int, place: Int[Tensor, " C"]) -> Ranking:
    """The k best columns of each row, equals by their ``place``; PAD and -inf fill places for which none is left. A NaN comes first."""
    width = min(k, scores.shape[1])
    values, items = largest(scores, width + 1)
    last = values[:, width - 1]
    # which of several equal scores are among the largest is open: where the last place is tied, sort the whole row
    tied = (values[:, width:] == last[:, None]).any(1) & (last > -torch.inf)
    values, items = values[:, :width], items[:, :width]
    place = place.to(scores.device)
    if bool(tied.any()):
        order = place.argsort()
        reordered = scores[tied][:, order]
        places = reordered.argsort(dim=1, descending=True, stable=True)[:, :width]
        items[tied] = order[places]
        values[tied] = reordered.gather(1, places)
    found = in_order(Ranking(items, values), place)
    items, values = found.items.masked_fill(found.scores == -torch.inf, PAD), found.scores
    fill = (0, k - width)
    return Ranking(torch.nn.functional.pad(items, fill), torch.nn.functional.pad(values, fill, value=-torch.inf))


def in_order(found: Ranking, place: Int[Tensor, " C"]) -> Ranking:
    """Highest score first, and equal ones by their items' places."""
    first = place[found.items].argsort(1)
    by_score = first.gather(1, found.scores.gather(1, first).argsort(dim=1, descending=True, stable=True))
    return Ranking(found.items.gather(1, by_score), found.scores.gather(1, by_score))


def largest(scores: Float[Tensor, "B C"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """The ``min(k, C)`` largest of each row, highest first, and their columns. Which of several equal ones, is open.

    The largest k lie in the k blocks of the largest maxima; only these are searched in a wide row. The exact values are those of
    ``scores.topk(k)``, NaN counting as the largest.
    """
    rows, columns = scores.shape
    n_blocks = columns // BLOCK
    if columns < WIDE or k >= n_blocks:
        best = scores.topk(min(k, columns), dim=1)
        return best.values, best.indices
    blocks = scores[:, : n_blocks * BLOCK].unflatten(1, (n_blocks, BLOCK))
    chosen = blocks.amax(2).topk(k, dim=1).indices
    inside = (chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=scores.device)).flatten(1)
    rest = torch.arange(n_blocks * BLOCK, columns, device=scores.device).expand(rows, -1)  # too few for a block
    candidates = torch.cat([inside, rest], 1)
    best = scores.gather(1, candidates).topk(k, dim=1)
    return best.values, candidates.gather(1, best.indices)


def known(scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """The same scores. Raises: FloatingPointError for a NaN among them."""
    if bool(scores.isnan().any()):
        raise FloatingPointError("the model returned NaN scores; its training has diverged")
    return scores


def _part(query: Query, rows: slice) -> Query:
    """The same request of some users."""
    items, user, time, told = query.history
    some = History(items[rows], user[rows], None if time is None else time[rows], None if told is None else told[rows])
    exclude, candidates = (None if part is None else part[rows] for part in (query.exclude, query.candidates))
    return query._replace(history=some, exclude=exclude, candidates=candidates)


def _together(parts: list[Ranking]) -> Ranking:
    return Ranking(torch.cat([part.items for part in parts]), torch.cat([part.scores for part in parts]))


def _scored(
    state: Float[Tensor, "B D"], vectors: Float[Tensor, "V1 D"], bias: Float[Tensor, " V1"], out: Float[Tensor, "B V1"] | None = None
) -> Float[Tensor, "B V1"]:
    """Every item's score, in the precision of the table even where training is mixed: in half of it, many would be equal."""
    with torch.autocast(state.device.type, enabled=False):
        return torch.addmm(bias, state.to(vectors.dtype), vectors.T, out=out)


def _allowed(scores: Float[Tensor, "B V1"], query: Query, rows: slice = slice(None)) -> Float[Tensor, "B V1"]:
    """The scores of these rows of the query, -inf where it does not want the item. ``scores`` is changed."""
    if query.exclude is not None:
        scores.scatter_(1, query.exclude[rows], -torch.inf)
    if query.never is not None:
        scores.index_fill_(1, query.never, -torch.inf)
    if query.candidates is not None:
        allowed = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, query.candidates[rows], True)
        scores.masked_fill_(~allowed, -torch.inf)
    scores[:, PAD] = -torch.inf
    return scores
