"""A model of RecBole, trained by RecBole in a process of its own: ``model=recbole model.algorithm=GRU4Rec``.

What is kept are its answers to the questions of the split, and nothing that could answer another one. RecBole's Python is the one
that RECPREF_RECBOLE_PYTHON names: it is a fact about a machine, and loading a run needs none.

Source: Zhao et al., "RecBole: Towards a Unified, Comprehensive and Efficient Framework for Recommendation Algorithms" (CIKM 2021),
https://recbole.io, version 1.2.1; see ``recpref.bridges.recbole``.
"""

from __future__ import annotations

from hashlib import blake2b
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recpref.bridges import recbole
from recpref.bridges.answers import Answers
from recpref.data.heldout import Heldout, Split
from recpref.types import PAD, History

__all__ = ["RecBole"]
NO_ANSWER = (
    "it keeps RecBole's answers for users of its split, with their histories as they were at validation and at test, and for no others"
)


class RecBole(nn.Module):
    """The best items of the users of a split, as RecBole scored them, enough for lists of ``k`` after all that was seen is filtered.

    ``algorithm`` is the name of RecBole's model, ``config`` its own options (``{hidden_size: 128, MAX_ITEM_LIST_LENGTH: 200}``; the
    latter is 50 by default), ``epochs`` the most that it trains; it stops by its NDCG@10 on our validation targets.

    A row is a user's question: ``user``, the ``history`` it was asked with (a hash), and the answers ``offsets[r]:offsets[r + 1]``.

    Raises: ValueError for a model that cannot be run, numbers below 1, and for a question that was not asked when it was trained.
    """

    asked_only = True  # knows users by their numbers and answers what it was asked; what everybody else promises, it cannot
    user: Tensor
    history: Tensor
    offsets: Tensor
    items: Tensor
    scores: Tensor

    def __init__(self, n_items: int, *, algorithm: str = "", epochs: int = 100, k: int = 100, config: dict[str, Any] | None = None):
        super().__init__()
        if not algorithm:
            raise ValueError("model=recbole runs a model of RecBole; say which, such as model.algorithm=SASRec (docs/recbole.md)")
        recbole.refuse(algorithm, **{"model.epochs": epochs, "model.k": k})
        self.n_items, self.algorithm, self.epochs, self.most, self.config = n_items, algorithm, epochs, k, config
        for name in ("user", "history", "offsets"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.long))
        self.register_buffer("items", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("scores", torch.zeros(0))
        self.register_load_state_dict_pre_hook(_make_room)

    def fit(self, split: Split, seed: int) -> dict[str, Any]:
        """Trains elsewhere and keeps the answers. Returns what is to stand among the metrics of a run."""
        trained = recbole.fit(self.algorithm, split.train, split=split, epochs=self.epochs, k=self.most, seed=seed, config=self.config)
        self.keep([(split.valid, trained.valid), (split.test, trained.test)])
        return facts(trained.report)

    def keep(self, parts: list[tuple[Heldout, Answers]]) -> None:
        """Of each user as many of the best as ``most`` and the history's length together."""
        user = np.concatenate([asked.users for asked, _ in parts])
        history = [fingerprint(row) for asked, _ in parts for row in _histories(asked)]
        found = [(answers.items[asked.users], answers.scores[asked.users], _lengths(asked)) for asked, answers in parts]
        kept = [(items != PAD) & (torch.arange(items.shape[1]) < (self.most + length)[:, None]) for items, _, length in found]
        self.user, self.history = torch.from_numpy(user), torch.tensor(history, dtype=torch.long)
        self.offsets = torch.cat([torch.zeros(1, dtype=torch.long), *(mask.sum(1) for mask in kept)]).cumsum(0)
        self.items = torch.cat([items[mask] for (items, _, _), mask in zip(found, kept, strict=True)]).int()
        self.scores = torch.cat([scores[mask] for (_, scores, _), mask in zip(found, kept, strict=True)])

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """Shapes: [B, V + 1]; -inf for column 0 and for what was not among the best. On the CPU, moved to where the history is."""
        scores = torch.full((len(history.items), self.n_items + 1), -torch.inf)
        for number, row in enumerate(self._rows(history)):
            here = slice(*self.offsets[row : row + 2].tolist())
            scores[number, self.items[here].long()] = self.scores[here]
        return scores.to(history.items.device)

    def _rows(self, history: History) -> list[int]:
        """The row of each question."""
        items, users = history.items.cpu(), history.user.cpu()
        asked = torch.tensor([fingerprint(row[row != PAD].numpy()) for row in items], dtype=torch.long)
        same = (self.user == users[:, None]) & (self.history == asked[:, None])
        if not bool((there := same.any(1)).all()):
            first = int((~there).nonzero()[0, 0])
            who = f"user number {int(users[first])} with this history of {int((items[first] != PAD).sum())} items"
            raise ValueError(f"model=recbole has no answer for {who if users[first] else 'a user who is not of its split'}: {NO_ANSWER}")
        return [int(row) for row in same.int().argmax(1)]


def facts(report: dict[str, Any]) -> dict[str, Any]:
    """What RecBole says of itself, under the names of our metrics where it is the same thing, and its own metrics under its own."""
    said = SimpleNamespace(**report)
    ours = {f"train/{name}": getattr(said, name) for name in ("epochs", "best_epoch", "parameters")}
    own = {f"recbole/{name}": getattr(said, name) for name in ("version", "device", "seconds")}
    return {**ours, **own, **{f"recbole/{part}/{name}": value for part in ("valid", "test") for name, value in getattr(said, part).items()}}


def fingerprint(items: Int[np.ndarray, " L"]) -> int:
    """64 bits of a hash of a history, the same everywhere: of ten million different ones, two are alike once in 370,000 times."""
    return int.from_bytes(blake2b(np.ascontiguousarray(items, "<i8").tobytes(), digest_size=8).digest(), "little", signed=True)


def _histories(asked: Heldout) -> list[Int[np.ndarray, " L"]]:
    starts, stops = asked.history.offsets[asked.users - 1], asked.history.offsets[asked.users]
    return [asked.history.item[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _lengths(asked: Heldout) -> Int[Tensor, " n"]:
    return torch.from_numpy(np.diff(asked.history.offsets)[asked.users - 1])


def _make_room(model: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Before loading: as many rows and answers as are to come."""
    for name, buffer in list(model.named_buffers(recurse=False)):
        if prefix + name in state:
            setattr(model, name, buffer.new_empty(state[prefix + name].shape))
