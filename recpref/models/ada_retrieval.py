"""Ada-Retrieval: a model of any kind retrieves in rounds, and each round knows what those before it have found.

Source: Li et al., "Ada-Retrieval: an adaptive multi-round retrieval paradigm for sequential recommendations" (AAAI 2024), and
the authors' code. Round r adapts the items of the history by the lists of rounds 1 to r - 1 and the user by the vectors of those
rounds (see ``recpref.layers.adapters``); round 1 is the model itself. Divergences, each on purpose and each an option where it changes
numbers:

* lists hold nothing of the history (``exclude_history``): what is recommended does not either, unless ``evaluation.filter_seen=false``.
  The authors' lists may hold it. They are the best of the whole catalogue, even where some candidates only are to be ranked;
* padding keeps the vector that it has in round 1 (``mask_padding``). Theirs becomes ``LN(mean of the lists)``, which reaches every
  backbone that does not mask padding itself, as all of recpref's do;
* adapted vectors keep the length of what they replace (``keep_scale``, see ``recpref.layers.adapters``);
* lists are chosen without gradients, which ids do not carry, and each is filtered and read once, not in every later round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recpref.layers.adapters import ItemAdapter, ListFilter, UserAdapter
from recpref.layers.reading import encoded_at, last_column
from recpref.layers.transformer import positive
from recpref.types import PAD, Group, History, Reader, Scorer

__all__ = ["AdaRetrieval"]

IN_CACHE = 64  # users whose scores of some ten thousand items are still in a processor's cache when the best are looked for


class AdaRetrieval(nn.Module):
    """``base`` answers in ``n_rounds`` rounds of ``per_round`` items; all rounds share every weight.

    In training, round r's loss weighs ``loss_decay ** (r - 1)``. What is read is one place a row (``one_place``), because the lists
    belong to it: ``prefix`` examples, or ``cloze`` ones that hide the last item only. ``embed``, ``encode``, ``state``, ``score`` and
    ``table`` are the base's, so what takes a single vector of a user takes that of round 1.

    ``base_lr``: the base learns at so many times the rate of the adapters, as the authors' does at 1. At 0 it stays as it is: round 1
    is then the base that was trained before, and whatever is gained is the later rounds' doing.

    Raises: ValueError for sizes below 1, more places than items, a negative ``loss_decay`` or ``base_lr``, a base that cannot be
    wrapped, or where nothing is left to learn.
    """

    one_place = True

    def __init__(
        self,
        n_items: int,
        base: Scorer,
        *,
        n_rounds: int = 5,
        per_round: int = 20,
        loss_decay: float = 0.3,
        base_lr: float = 1.0,
        dropout: float = 0.1777,
        exclude_history: bool = True,
        mask_padding: bool = True,
        keep_scale: bool = True,
    ):
        super().__init__()
        positive(n_rounds=n_rounds, per_round=per_round)
        if n_rounds * per_round > n_items:
            fits = f"say model.per_round={n_items // n_rounds} or less" if n_items >= n_rounds else f"say model.n_rounds={n_items} or less"
            raise ValueError(f"n_rounds={n_rounds} times per_round={per_round} are more than the {n_items} items there are; {fits}")
        if not 0 <= loss_decay < math.inf:
            raise ValueError(f"loss_decay={loss_decay} must not be negative, nor infinite")
        if not 0 <= base_lr < math.inf:
            raise ValueError(f"base_lr={base_lr} must not be negative, nor infinite")
        if base_lr == 0 and (n_rounds == 1 or loss_decay == 0):
            raise ValueError(f"base_lr=0 keeps the base, and with n_rounds={n_rounds} and loss_decay={loss_decay} no adapter learns either")
        if not (isinstance(base, nn.Module) and isinstance(base, Scorer) and isinstance(base, Reader)):
            raise ValueError(
                f"base={type(base).__name__} cannot be wrapped: it must be a module that embeds, encodes and scores, and says what it reads"
            )
        self.base, self.causal, self.needs_time = base, base.causal, bool(getattr(base, "needs_time", False))
        if hasattr(base, "mask_id"):
            self.mask_id = base.mask_id
        self.n_rounds, self.per_round, self.loss_decay, self.base_lr = n_rounds, per_round, loss_decay, base_lr
        if base_lr == 0:
            base.requires_grad_(False)
        self.exclude_history, self.mask_padding = exclude_history, mask_padding
        d_model = base.table()[0].shape[1]
        self.list_filter = ListFilter(d_model, per_round, dropout=dropout, keep_scale=keep_scale)
        self.item_adapter = ItemAdapter(d_model, dropout=dropout, keep_scale=keep_scale)
        self.user_adapter = UserAdapter(d_model, dropout=dropout, keep_scale=keep_scale)

    def groups(self) -> list[Group]:
        """The base, where it learns at a rate of its own."""
        return [] if self.base_lr in (0, 1) else [Group(list(self.base.parameters()), lr_scale=self.base_lr, weight_decay=None)]

    def rounds(self, history: History) -> Iterator[Float[Tensor, "B D"]]:
        """The user in each round. Lists leave out all of ``history``, not only what the base has room for."""
        read = self.base.reads(history)
        return self._rounds(read, last_column(read.items), history.items)

    def rounds_at(self, history: History, where: Bool[Tensor, "B L"]) -> Iterator[tuple[float, Float[Tensor, "B D"]]]:
        """What training compares in each round, and what its loss weighs. Rounds that weigh nothing are left out.

        Raises: ValueError unless each row is read at one place.
        """
        if not bool((where.sum(1) == 1).all()):
            raise ValueError("each row must be read at one place; use examples=prefix, or examples=cloze examples.last_ratio=1")
        for number, h_MD in enumerate(self._rounds(history, where, history.items)):
            yield self.loss_decay**number, h_MD
            if self.loss_decay == 0:
                return

    def _rounds(self, history: History, where: Bool[Tensor, "B L"], seen: Int[Tensor, "B S"]) -> Iterator[Float[Tensor, "B D"]]:
        x, real = self.base.embed(history.items), (history.items != PAD)[:, :, None]
        padded = self.mask_padding and not bool(real.all())
        found, reading, memory = seen.new_zeros(len(seen), 0), None, None
        user = encoded_at(self.base, x, history, where)
        yield user
        for _ in range(1, self.n_rounds):
            best = self.retrieved(user, found, seen)
            found = torch.cat([found, best], 1)
            reading = self.item_adapter.read(x, self.list_filter(self.base.embed(best)), reading)
            adapted = self.item_adapter(x, reading)
            memory = self.user_adapter.remember(user, memory)
            h_MD = encoded_at(self.base, torch.where(real, adapted, x) if padded else adapted, history, where)
            user = self.user_adapter(h_MD, memory)
            yield user

    @torch.no_grad()
    def retrieved(self, user: Float[Tensor, "B D"], found: Int[Tensor, "B F"], seen: Int[Tensor, "B S"]) -> Int[Tensor, "B K"]:
        """The ``per_round`` best items that are not among ``found``; items of the history only where there are no others."""
        rows = IN_CACHE if user.device.type == "cpu" else max(1, len(user))
        parts = zip(user.split(rows), found.split(rows), seen.split(rows), strict=True)
        return torch.cat([self._best(*part) for part in parts])

    def _best(self, user: Float[Tensor, "b D"], found: Int[Tensor, "b F"], seen: Int[Tensor, "b S"]) -> Int[Tensor, "b K"]:
        scores = self.base.score(user)
        if self.exclude_history:
            scores.scatter_(1, seen.where(seen < scores.shape[1], PAD), torch.finfo(scores.dtype).min)  # [MASK] has no column
        scores.scatter_(1, found, -torch.inf)
        scores[:, PAD] = -torch.inf
        return scores.topk(self.per_round, dim=1).indices

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        return self.base.embed(items)

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        return self.base.encode(x, history)

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The user in round 1."""
        return self.base.state(history)

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        return self.base.score(h, items)

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.base.table()

    @staticmethod
    def unused(*, n_rounds: int, **_: Any) -> dict[str, str]:
        """Options that change nothing beside the others, each with why."""
        adapters = ("loss_decay", "dropout", "exclude_history", "mask_padding", "keep_scale")
        return dict.fromkeys(adapters, "with model.n_rounds=1 there is no adapter") if n_rounds == 1 else {}

    @staticmethod
    def recipe(variant: Literal["default", "published"] = "default", base: type | None = None) -> list[str]:
        """``published``: the authors' lists, padding and norms, Adam 1e-3 and batch 1024. Both: binary cross-entropy with 100 negatives
        that the user does not have.

        ``base`` is the class that is wrapped. One that is read at a [MASK] learns from rows that hide their last item and end anywhere.
        Validation and tables look further down the lists than elsewhere: the first ``per_round`` places are round 1's alone.
        """
        masked = base is not None and "examples=cloze" in getattr(base, "recipe", list)()
        rows = ["examples=cloze", "examples.last_ratio=1.0", "examples.crop=1.0"] if masked else ["examples=prefix"]
        loss = ["loss=bce", "sampler=uniform", "sampler.n_negatives=100", "sampler.exclude_history=true"]
        lists = ["stopping.k=50", "evaluation.ks=[1,5,10,20,50,100]"]
        published = ["optimizer.method=adam", "optimizer.weight_decay=0", "loader.batch_size=1024", "trainer.gradient_clip_val=10"]
        published += ["model.exclude_history=false", "model.mask_padding=false", "model.keep_scale=false"]
        ours = ["loader.batch_size=256"]
        return ["base=sasrec", "start=base", *rows, *loss, *lists, *(published if variant == "published" else ours)]
