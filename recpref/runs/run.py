"""A saved run: loaded, it recommends with the user's own ids. safetensors, JSON, YAML and Parquet; never pickle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from recpref import components
from recpref.data.frames import arrow_table
from recpref.data.histories import history_of
from recpref.data.interactions import Columns, Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.label_noise.posterior import Posterior
from recpref.plan import Plan
from recpref.retrieval.approximate import Approximate
from recpref.retrieval.asked import refuse_no_count, refuse_no_truth
from recpref.retrieval.restricted import Restriction
from recpref.retrieval.similar import similar
from recpref.retrieval.topk import TopK
from recpref.runs.lacking import tell_of_low_ratings, tell_of_no_times
from recpref.runs.saving import OBJECTIVE, complete
from recpref.types import Query, Ranking


class Trained(NamedTuple):
    """How the weights came about; a model that only counts has no epochs."""

    parameters: int
    seconds: float
    epochs: int = 0
    best_epoch: int = 0
    interrupted: bool = False
    underfit: bool = False


@dataclass(frozen=True)
class Run:
    """A trained model with all that is known of how it came about.

    ``path``: its folder. ``experiment``: the plan, names and values of every option. ``metrics``: ``test/ndcg@10`` and its like, and
    ``train/...``. ``model``: the model itself, on the CPU and in evaluation mode. ``items``: original ids of its items, by number.
    """

    path: Path
    experiment: Plan
    metrics: dict[str, Any]
    model: Any
    items: Vocabulary

    def __repr__(self) -> str:
        shown = [
            f"{name} {self.metrics[f'test/{name.lower()}']:.4f}" for name in ("NDCG@10", "HR@10") if f"test/{name.lower()}" in self.metrics
        ]
        return f"Run({self.experiment.model.name} on {self.experiment.data.name}, {', '.join([*shown, str(self.path)])})"

    @classmethod
    def load(cls, path: str | Path, *, trust: str | tuple[str, ...] | None = None) -> Run:
        """Reads a run's folder. A model, base or table that is not ours (``their.package:Thing``) is imported only if ``trust`` names it.

        Raises: FileNotFoundError where there is no run; ValueError where it is incomplete, of another format, or not trusted.
        """
        path = Path(path)
        written = complete(path)
        trusted = (trust,) if isinstance(trust, str) else trust or ()
        theirs = [name for kind, name in components.foreign(written.plan).items() if kind in components.BUILT]
        if strange := [name for name in theirs if name not in trusted]:
            said, made = theirs[0] if len(theirs) == 1 else tuple(theirs), " and ".join(strange)
            raise ValueError(f"{path} was made by {made}, which is not part of recpref; if you trust that code, say trust={said!r}")
        with torch.random.fork_rng():  # initial weights that are replaced at once cost the caller no random numbers
            model = components.model_of(written.plan, written.facts._asdict())
        try:
            model.load_state_dict(load_file(path / "model.safetensors"))
        except (RuntimeError, OSError, ValueError, SafetensorError) as error:
            raise ValueError(f"{path}/model.safetensors does not fit its experiment: {str(error).splitlines()[0]}") from error
        metrics = json.loads((path / "metrics.json").read_text())
        return cls(path, written.plan, metrics, model.eval(), Vocabulary.read(path / "items.parquet"))

    @cached_property
    def per_user(self) -> pd.DataFrame:
        """The test metrics of every user: ``user``, then a column a metric."""
        return pd.read_parquet(self.path / "per_user.parquet")

    @property
    def trained(self) -> Trained:
        """What the metrics say of training; what an objective logs stands in ``metrics`` alone."""
        return Trained(**{name: self.metrics[key] for name in Trained._fields if (key := f"train/{name}") in self.metrics})

    @cached_property
    def audit(self) -> dict[str, Any]:
        """What the leakage audit of the split found: counts, and ``notes`` in words."""
        return dict(json.loads((self.path / "audit.json").read_text()))

    @cached_property
    def objective_state(self) -> dict[str, Tensor]:
        """What the objective learned beside the model (of the refit, where one was finished); empty where it learns nothing."""
        places = [self.path] if self.trained.interrupted else [self.path / "refit", self.path]
        found = [place / OBJECTIVE for place in places if (place / OBJECTIVE).is_file()]
        return load_file(found[0]) if found else {}

    def posterior(self) -> Run:
        """The same run of ``objective=nbpo``, whose lists are ranked by how likely an item that a user did not touch is liked all the same:
        what ``benchmarks/noise`` measures as the posterior. Scores are its logits.

        Raises: ValueError for a run of another objective, and for a model that answers in rounds.
        """
        return replace(self, model=Posterior.of(self.model, self.experiment.objective.options, self.objective_state))

    def similar(self, items: Any, k: int = 10) -> pd.DataFrame:
        """The k items most alike to each of ``items`` (original ids) by the cosine of their vectors, or by the model's weights between
        items, itself left out.

        Returns: a frame ``item, similar, rank, score``.
        Raises: ValueError for items that are unknown or were never seen in training, and for a model to which all are alike (popular).
        """
        counts = pd.read_parquet(self.path / "item_counts.parquet", columns=["count"]).to_numpy()[:, 0]
        model = self.model.model if isinstance(self.model, Posterior) else self.model
        return similar(model, self.items, items, k, known=np.append(False, counts > 0))

    @property
    def columns(self) -> Columns:
        """What the columns were called in the training data; no time where the order of its rows was taken."""
        found = Columns(**{name: self.experiment.data.options[name] for name in Columns._fields})
        return found if found.time != "none" else found._replace(time=None)

    def histories(
        self, frame: Any, *, user: str | None = None, item: str | None = None, time: str | None = None, name: str = "the frame of histories"
    ) -> Interactions:
        """The histories in a frame, whose columns are called as in training where they are not named. ``time="none"``: there is no time.

        The rows of a frame without the times of training are taken to be in order, which a warning says where a user has several. Every row
        is taken: the filters of training (``data.min_rating``, ``data.duplicates``) do not hold here, and a warning counts ratings that are
        too low for training. ``recommend data=FILE`` reads files by them.

        Raises: ValueError for a missing column, and as ``Interactions.from_dataframe``.
        """
        table = arrow_table(frame)
        there = ", ".join(map(repr, table.column_names)) or "none"
        wanted = Columns(user or self.columns.user, item or self.columns.item, time or self.columns.time)
        timed = wanted.time in table.column_names
        needed = wanted if time not in (None, "none") else wanted._replace(time=None)
        for role, column in needed._asdict().items():
            if column is not None and column not in table.column_names:
                raise ValueError(
                    f"{name} has no column {column!r}; it has {there}; say run.histories(frame, {role}=NAME), or recommend data.{role}=NAME"
                )
        tell_of_low_ratings(name, table, self.experiment.data.options)
        found = Interactions.from_dataframe(table, user=wanted.user, item=wanted.item, time=wanted.time if timed else None, name=name)
        if time is None and wanted.time is not None and not timed and len(found) > found.n_users:  # one row is in order
            tell_of_no_times(name, wanted.time, there, "run.histories(frame, time=NAME), or recommend data.time=NAME", stacklevel=4)
        return found

    def recommend(
        self,
        histories: Any,
        k: int = 10,
        *,
        filter_seen: bool | None = None,
        batch_size: int = 256,
        search: Literal["exact", "hnsw", "ivf"] = "exact",
        breadth: int = 128,
        items: Any = None,
        exclude_items: Any = None,
    ) -> pd.DataFrame:
        """The k best items for every user of a frame of histories (columns as in training) or of Interactions.

        Users may be new. Items that the model does not know are counted, reported by a warning and skipped; a user with
        no known item gets no rows and is counted, too. ``histories`` names the columns of a frame that has others, and says what
        a frame without times is taken for.

        ``filter_seen``: whether the items of a user's history are left out; None as the run was evaluated (``evaluation.filter_seen``).
        ``batch_size`` users are served at once. ``items``: only these ids may be recommended; ``exclude_items``: these may not. Ids
        that the model does not know are counted and skipped. Both need ``search="exact"``. ``search`` other than
        ``exact`` looks in an index of faiss, ``breadth`` wide (see ``Approximate``), and the frame's ``attrs["found"]`` is the share of the
        exact lists of its first batch that it found.

        Returns: a frame ``user, item, rank, score`` in the order of user ids; rank 1 is best. Users get fewer than ``k``
        rows where the catalogue has no more items to offer. ``score`` is what the model gives the item: no probability, not comparable
        between models nor, where one answers in rounds, between its rounds.
        Raises: ValueError for k < 1, as ``histories``, ``Restriction.of`` and ``Approximate``.
        """
        _refuse(k, batch_size, search, filter_seen, restricted=items is not None or exclude_items is not None)
        restricted = Restriction.of(self.items, items, exclude_items)
        known = self._known(histories if isinstance(histories, Interactions) else self.histories(histories))
        exact = TopK(self.model, seed=self.experiment.seed, still=True)
        topk = exact if search == "exact" else Approximate(self.model, kind=search, breadth=breadth)
        parts: list[pd.DataFrame] = []
        found: float | None = None
        for users, query in self._queries(known, restricted, batch_size, filter_seen, timed=topk.needs_time):
            ranking = topk.recommend(query, k)
            if found is None and isinstance(topk, Approximate):
                found = topk.found(exact.recommend(query, k), query)
            parts.append(_frame(ranking, users, self.items))
        frame = _joined(parts, known)
        if found is not None:
            frame.attrs["found"] = found
        return frame

    def rerank(
        self, histories: Any, candidates: Any, k: int | None = None, *, filter_seen: bool = False, batch_size: int = 256
    ) -> pd.DataFrame:
        """Each user's own candidates in the model's order: lists that others made, or given pairs to be scored.

        ``candidates``: a frame of users and items (columns as in training) or Interactions; rows that stand twice count once. Whoever has
        none gets no rows. ``k``: only the best; None for all. Everything else is as in ``recommend``, but that seen items are kept.

        Returns: as ``recommend``. Raises: as ``recommend``; ValueError where the ids of users are of different kinds.
        """
        _refuse(1 if k is None else k, batch_size, "exact", filter_seen, restricted=True)
        known = self._known(histories if isinstance(histories, Interactions) else self.histories(histories))
        if not isinstance(candidates, Interactions):
            candidates = self.histories(candidates, time="none", name="the frame of candidates")
        restricted = Restriction(own=self._known(candidates))
        topk = TopK(self.model, seed=self.experiment.seed, still=True)
        parts = []
        for users, query in self._queries(restricted.served(known), restricted, batch_size, filter_seen, timed=topk.needs_time):
            most = query.candidates.shape[1]  # type: ignore[union-attr]  # they are its own
            ranking = topk.recommend(query, most if k is None else min(k, most))
            parts.append(_frame(ranking, users, self.items))
        return _joined(parts, known)

    def _queries(
        self, known: Interactions, restricted: Restriction, batch_size: int, filter_seen: bool | None, *, timed: bool
    ) -> Iterator[tuple[np.ndarray, Query]]:
        """The users who have an interaction, so many at a time, and what is asked for them."""
        filter_seen = self.experiment.evaluation.get("filter_seen", True) if filter_seen is None else filter_seen
        numbers = np.unique(known.user)
        for first in range(0, len(numbers), batch_size):
            users = known.users.originals(numbers[first : first + batch_size])
            asked = history_of(known, numbers[first : first + batch_size], timed=timed)
            query = Query(asked._replace(user=self._numbers(users)), exclude=asked.items if filter_seen else None)
            yield users, restricted(query, users)

    def recommend_batches(self, batches: Any, k: int = 10, *, filter_seen: bool | None = None) -> Iterator[Any]:
        """``recommend`` over Arrow record batches (or a table) in which every user's rows are together, batch by batch: what Spark's
        ``mapInArrow`` and Ray Data's ``map_batches`` call. Yields record batches of user, item, rank and score.

        Raises: as ``recommend``, and ValueError for a user whose rows come again after another user's.
        """
        from recpref.runs.arrow_batches import recommend_batches

        return recommend_batches(self, batches, k, filter_seen=filter_seen)

    def _numbers(self, ids: np.ndarray) -> Tensor:
        """Whoever they are in training, users are nobody here, number 0; but for a model that learned something of each."""
        if not (hasattr(self.model, "asked_only") or hasattr(self.model, "needs_numbers")):
            return torch.zeros(len(ids), dtype=torch.long)
        return torch.from_numpy(self._users.numbers(ids, "user"))

    @cached_property
    def _users(self) -> Vocabulary:
        """The users of training."""
        return Vocabulary.read(self.path / "users.parquet")

    def _known(self, data: Interactions) -> Interactions:
        """The same histories under the model's item numbers, without items that it does not know."""
        number = self.items.numbers(data.items.ids, "item")[data.item - 1]
        unknown = number == 0
        if unknown.any():
            strange = data.items.ids[np.unique(data.item[unknown])[:3] - 1]
            without = data.n_users - len(np.unique(data.user[~unknown]))
            warnings.warn(
                f"{unknown.sum()} of {len(data)} interactions name items that the model does not know (such as "
                f"{', '.join(map(repr, strange.tolist()))}) and were skipped; {without} users have no other and get no recommendations",
                stacklevel=3,
            )
        kept = data.where(~unknown)
        return replace(kept, item=number[~unknown], extra=None, items=self.items)


def _refuse(k: int, batch_size: int, search: str, filter_seen: bool | None, *, restricted: bool) -> None:
    refuse_no_count(k=k, batch_size=batch_size)
    refuse_no_truth(filter_seen=filter_seen)
    if search != "exact" and restricted:
        raise ValueError(f"items and exclude_items restrict an exact search, and search={search!r} looks in an index of all; leave one out")


def _frame(ranking: Ranking, users: np.ndarray, vocabulary: Vocabulary) -> pd.DataFrame:
    items, scores = ranking.items.numpy(), ranking.scores.numpy()
    row, column = np.nonzero(items)
    return pd.DataFrame(
        {"user": users[row], "item": vocabulary.originals(items[row, column]), "rank": column + 1, "score": scores[row, column]}
    )


def _joined(parts: list[pd.DataFrame], known: Interactions) -> pd.DataFrame:
    """The lists of all users; where there is nobody, a frame of the same columns without rows."""
    nobody = Ranking(torch.zeros(0, 1, dtype=torch.long), torch.zeros(0, 1, dtype=torch.float64))
    return pd.concat(parts or [_frame(nobody, known.users.ids[:0], known.items)], ignore_index=True)
