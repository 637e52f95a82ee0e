"""Evaluation: a recommender against held-out users, over the full catalogue, with every user's values kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from recpref.consumed import distinct
from recpref.data.heldout import Heldout
from recpref.data.histories import history_of
from recpref.data.interactions import Interactions
from recpref.types import PAD, Query, Ranking, Recommender

Metric = Callable[[Tensor, Tensor, int], Tensor]


class Question(NamedTuple):
    """A query and its answers: ``targets`` [B, T] are the relevant items, PAD where a user has fewer than T."""

    query: Query
    targets: Int[Tensor, "B T"]


class Report(NamedTuple):
    """``per_user`` has a row a user: ``user`` (the original id), then a column a metric such as ``ndcg@10``.

    ``lists`` [U, K] are what was recommended, row by row: item numbers, best first, PAD where nothing was left.
    ``seconds`` is what the recommender took for all of them.
    """

    per_user: pd.DataFrame
    lists: Int[Tensor, "U K"] | None = None
    seconds: float | None = None

    @property
    def means(self) -> dict[str, float]:
        """Each metric's mean over users."""
        return {column: float(self.per_user[column].mean()) for column in self.per_user.columns[1:]}


class Evaluation:
    """The protocol: which metrics at which cut-offs, and whether items already seen may be recommended again.

    ``beyond`` names what else is said of the lists (see ``recpref.beyond``): all but ``diversity``, which may take longer than the
    evaluation. ``alike_by``: the item feature by whose words diversity compares items; by default it compares their users.
    ``sampled`` asks for a second report on sampled candidates (see ``recpref.evaluation.sampled``), labelled as such.

    Raises: ValueError for a cut-off, batch size or number of negatives below 1, or an empty list.
    """

    def __init__(
        self,
        metrics: dict[str, Metric],
        *,
        ks: tuple[int, ...] = (1, 5, 10, 20),
        filter_seen: bool = True,
        batch_size: int = 256,
        sampled: Literal["none", "uniform", "popularity"] = "none",
        n_negatives: int = 100,
        beyond: tuple[str, ...] = ("arp", "coverage", "gini", "novelty", "tail"),
        alike_by: str | None = None,
    ):
        if isinstance(ks, Integral):
            raise ValueError(f"evaluation.ks={ks} must be a list of cut-offs, such as [{ks}]")
        if not ks or min(ks) < 1:
            raise ValueError(f"evaluation.ks={list(ks)} must be cut-offs of at least 1")
        if batch_size < 1:
            raise ValueError(f"evaluation.batch_size={batch_size} must be at least 1")
        if n_negatives < 1:
            raise ValueError(f"evaluation.n_negatives={n_negatives} must be at least 1")
        self.sampled, self.n_negatives = sampled, n_negatives
        self.beyond, self.alike_by = tuple(beyond), alike_by
        self.metrics, self.ks, self.filter_seen, self.batch_size = metrics, tuple(ks), filter_seen, batch_size

    def questions(self, heldout: Heldout, *, timed: bool = False) -> Iterator[Question]:
        """The held-out users in batches of similar history length; ``order`` names the users, ``timed`` adds times."""
        for users in self.order(heldout):
            yield question(heldout.history, heldout.targets, users, filter_seen=self.filter_seen, timed=timed)

    def order(self, heldout: Heldout) -> list[np.ndarray]:
        """The user numbers of each batch, shortest history first."""
        users = heldout.users
        length = np.diff(heldout.history.offsets)[users - 1]
        ordered = users[np.argsort(length, kind="stable")]
        return [ordered[i : i + self.batch_size] for i in range(0, len(ordered), self.batch_size)]

    @staticmethod
    def hits(ranking: Ranking, targets: Int[Tensor, "B T"]) -> Bool[Tensor, "B K"]:
        """Which places of the ranking hold a target."""
        return ((ranking.items[:, :, None] == targets[:, None, :]) & (targets[:, None, :] != PAD)).any(2)

    def measure(self, hits: Bool[Tensor, "U K"], relevant: Int[Tensor, " U"]) -> dict[str, Tensor]:
        """Every metric at every cut-off, a value a user, under keys such as ``ndcg@10``."""
        return {f"{name}@{k}": metric(hits, relevant, k) for name, metric in self.metrics.items() for k in self.ks}

    def __call__(self, recommender: Recommender, heldout: Heldout, *, device: str | torch.device = "cpu") -> Report:
        """Ranks the whole catalogue for every held-out user. Users come out in the order of their numbers.

        A recommender whose ``needs_time`` is true is given the times of the histories, where the data has a clock.

        Results do not depend on the batch size. Raises: ValueError where no user is held out.
        """
        batches = self.order(heldout)
        if not batches:
            raise ValueError(f"nothing is held out to evaluate on: {heldout.targets!r}")
        hits, relevant, lists, seconds = [], [], [], 0.0
        for asked in self.questions(heldout, timed=getattr(recommender, "needs_time", False)):
            began = time.perf_counter()
            ranking = recommender.recommend(moved(asked.query, device), max(self.ks))
            items = ranking.items.cpu()  # waits for the device
            seconds += time.perf_counter() - began
            hits.append(self.hits(Ranking(items, ranking.scores.cpu()), asked.targets))
            lists.append(items.int())
            relevant.append((asked.targets != PAD).sum(1))
        numbers = np.concatenate(batches)
        values = self.measure(torch.cat(hits), torch.cat(relevant))
        frame = pd.DataFrame({"user": heldout.targets.users.originals(numbers), **{k: v.numpy() for k, v in values.items()}})
        order = np.argsort(numbers)
        return Report(frame.iloc[order].reset_index(drop=True), torch.cat(lists)[torch.from_numpy(order)], seconds)


def question(history: Interactions, targets: Interactions, users: np.ndarray, *, filter_seen: bool, timed: bool = False) -> Question:
    """What these users (numbers) may be asked: their history, what to exclude, and their targets."""
    known = history_of(history, users, timed=timed)
    asked = Query(known, exclude=known.items if filter_seen else None)
    return Question(asked, distinct(torch.from_numpy(targets.padded(users))))


def moved(query: Query, device: str | torch.device) -> Query:
    """The query on another device."""

    def there(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.to(device)

    history = query.history
    history = history._replace(items=history.items.to(device), user=history.user.to(device), time=there(history.time))
    return Query(history, exclude=there(query.exclude), candidates=there(query.candidates), never=there(query.never))
