"""Score the positives of a batch against sampled candidates, at exactly the positions that carry loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from recpref.layers.reading import encoded_at
from recpref.losses import sampler_needed
from recpref.samplers.catalogue import Catalogue
from recpref.types import PAD, Batch, Candidates, History, Loss, Sampler, Scorer, Step

__all__ = ["Score"]

WORTH_GATHERING = 32  # items of the catalogue for each negative: below, scoring all and picking is faster (4 times at 13)


class Score:
    """Examples, sampler and loss put together: the objective of every model that has none of its own.

    Over the catalogue a loss that offers ``fused`` never sees M x V scores. A model that answers in rounds is compared in each of
    them with the same positives and negatives, and its losses are added with the weights of its rounds.

    ``recency`` below 1 weighs a position by ``recency ** age``, where the newest place of a row has age 0, and then so that the weights
    of a row's positions sum to their number. Source: Petrov and Macdonald, "Effective and efficient training for sequential
    recommendation using recency sampling" (RecSys 2022), section 4.2, the exponential importance (0.8 there), which draws targets;
    divergence: these are weights, its expectation, and every position is still learned from. A cross-entropy over the catalogue then
    needs a second pass for its gradients.

    Raises: ValueError for a loss of sampled negatives where nothing is sampled, or a recency outside (0, 1].
    """

    def __init__(self, sampler: Sampler, loss: Loss, *, recency: float = 1.0):
        if isinstance(sampler, Catalogue) and getattr(loss, "needs_negatives", False):
            raise ValueError(sampler_needed(loss))
        if not 0 < recency <= 1:
            raise ValueError(f"objective.recency={recency} must lie in (0, 1]; 1 weighs all positions alike")
        self.sampler, self.loss, self.recency = sampler, loss, recency

    def __call__(self, model: Scorer, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The summed loss and the number of positions it was taken at. Shapes: scalars."""
        carries_loss = batch.targets != PAD
        candidates = self.sampler(batch, step.rng)
        weights, states = zip(*encodings(model, batch.history, carries_loss), strict=True)
        found = self.values(model, states, candidates)
        if self.recency < 1:
            by_age = weights_by_age(carries_loss, self.recency)
            found = [values * by_age for values in found]
        sums = [weight * values.sum() for weight, values in zip(weights, found, strict=True)]
        return torch.stack(sums).sum(), carries_loss.sum(), {}

    def values(self, model: Scorer, states: Sequence[Float[Tensor, "M D"]], candidates: Candidates) -> list[Float[Tensor, " M"]]:
        """The loss of each position, for each of several states."""
        if candidates.negatives is not None:
            return [self.loss(scores, candidates) for scores in scores_of_each(states, Source.of(model), candidates)]
        table, over_shards = divided_table(model), getattr(self.loss, "over_shards", None)
        if table is not None and over_shards is not None:
            return [over_shards(h_MD, table, candidates.positive) for h_MD in states]
        fused = getattr(self.loss, "fused", None)
        if fused is None:
            return [self.loss(model.score(h_MD), candidates) for h_MD in states]
        return [fused(h_MD, *model.table(), candidates.positive) for h_MD in states]


def divided_table(model: Scorer) -> Any:
    """The table of a model, where its rows are divided over processes (``table=sharded``); else None."""
    table = getattr(model, "items", None)
    return None if getattr(table, "shards", None) is None else table


def weights_by_age(where: Bool[Tensor, "B L"], recency: float) -> Float[Tensor, " M"]:
    """What each of these positions weighs, row-major: the newer of a row the more, and as much together as there are."""
    age = torch.arange(where.shape[1] - 1, -1, -1, device=where.device)
    shares = (age * math.log(recency)).expand(where.shape).masked_fill(~where, -torch.inf).softmax(1)
    return (shares * where.sum(1, keepdim=True))[where]


def encodings(model: Scorer, history: History, where: Bool[Tensor, "B L"]) -> Iterator[tuple[float, Float[Tensor, "M D"]]]:
    """What the model encodes at these positions and what a loss of it weighs: once, or once a round of a model that has rounds."""
    if hasattr(model, "rounds_at"):
        yield from model.rounds_at(history, where)
    else:
        yield 1.0, encoded(model, history, where)


def encoded(model: Scorer, history: History, where: Bool[Tensor, "B L"]) -> Float[Tensor, "M D"]:
    """What the model encodes at these positions, row-major."""
    return encoded_at(model, model.embed(history.items), history, where)


class Source(NamedTuple):
    """Where a model's scores come from: the whole table, or some rows of it. A ``whole`` table is made only if it is asked for, and never
    where ``by_rows``: its gradient would be of all rows, or no process has them.
    """

    n_rows: int
    whole: Callable[[], tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]]
    rows: Callable[[Tensor], tuple[Tensor, Tensor]]
    by_rows: bool = False

    def worth_scoring(self, n: int) -> bool:
        """Whether all items are scored sooner than ``n`` for each position are gathered."""
        return self.n_rows <= WORTH_GATHERING * n and not self.by_rows

    @classmethod
    def of(cls, model: Scorer) -> Source:
        """By ``rows(items)`` where a model, or its base, has it: the vectors and biases of these items, out of its table ``items``."""
        reader: Any = model if hasattr(model, "rows") else getattr(model, "base", None)
        if hasattr(reader, "rows") and hasattr(reader, "items"):
            by_rows = bool(getattr(reader.items, "sparse", False)) or divided_table(reader) is not None
            return cls(reader.items.num_embeddings, model.table, reader.rows, by_rows)
        return cls.table(*model.table())

    @classmethod
    def table(cls, vectors_VD: Float[Tensor, "V1 D"], bias_V: Float[Tensor, " V1"]) -> Source:
        """A table and biases that are there already."""
        return cls(len(bias_V), lambda: (vectors_VD, bias_V), lambda items: (F.embedding(items, vectors_VD), bias_V[items]))


def scores_of_each(states: Sequence[Float[Tensor, "M D"]], source: Source, candidates: Candidates) -> list[Float[Tensor, "M C"]]:
    """``candidate_scores`` of several states; what has to be gathered is gathered once."""
    negatives = candidates.negatives
    assert negatives is not None
    if len(states) == 1 or len(negatives) == 1 or source.worth_scoring(1 + negatives.shape[1]):
        return [candidate_scores(h_MD, source, candidates) for h_MD in states]
    vectors, bias = source.rows(torch.cat([candidates.positive[:, None], negatives], 1))
    scores = torch.bmm(vectors, torch.stack(list(states), 2)) + bias[:, :, None]
    return [_without_hits(part, candidates) for part in scores.unbind(2)]


def candidate_scores(h_MD: Float[Tensor, "M D"], source: Source, candidates: Candidates) -> Float[Tensor, "M C"]:
    """Scores of the positive (column 0) and its negatives; accidental positives at -inf. Shapes: [M, 1 + N].

    Shared negatives cost one matrix product. Others are gathered, unless the catalogue is so small that all of it is scored.
    """
    positive, negatives = candidates.positive, candidates.negatives
    assert negatives is not None
    if len(negatives) == 1:
        n = len(positive)
        vectors, bias = source.rows(torch.cat([positive, negatives[0]]))
        scores = (h_MD * vectors[:n]).sum(1, keepdim=True) + bias[:n, None]
        scores = torch.cat([scores, h_MD @ vectors[n:].T + bias[n:]], 1)
    else:
        items = torch.cat([positive[:, None], negatives], 1)
        if source.worth_scoring(items.shape[1]):
            table_VD, bias_V = source.whole()
            scores = (h_MD @ table_VD.T).gather(1, items) + bias_V[items]
        else:
            vectors, bias = source.rows(items)
            scores = torch.bmm(vectors, h_MD[:, :, None])[:, :, 0] + bias
    return _without_hits(scores, candidates)


def _without_hits(scores: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, "M C"]:
    if candidates.hit is None:
        return scores
    return torch.cat([scores[:, :1], scores[:, 1:].masked_fill(candidates.hit, -torch.inf)], 1)
