"""The central types. Every module speaks in these, and in nothing else.

Shape legend, used in every annotation of the package::

    B batch   L sequence length   D width        V items            M scored positions
    C candidates   N negatives    K list length  U users            S seen items      V1 = V + 1 score columns

Item ids are ``1..V``; ``0`` is PAD; the index of a score column is the item's id and column 0 is ``-inf``. Sequences are left-padded with
the newest item at ``L - 1``; a position counts from the end, so position 0 is the newest item. A batch is as long as its longest row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

PAD = 0


class History(NamedTuple):
    """What a model may see of a batch of users."""

    items: Int[Tensor, "B L"]
    user: Int[Tensor, " B"]
    time: Int[Tensor, "B L"] | None = None
    preference: list[str] | None = None


class Batch(NamedTuple):
    """Histories and what to predict at each of their positions; PAD where no loss is taken.

    ``idle``: a copy of a row that another process learns from, so that this one takes part in the step. It counts for nothing.
    """

    history: History
    targets: Int[Tensor, "B L"]
    idle: bool = False


class Query(NamedTuple):
    """A request for recommendations. ``exclude`` and ``candidates`` are PAD-padded lists of item ids, ``never`` those that nobody gets."""

    history: History
    exclude: Int[Tensor, "B S"] | None = None
    candidates: Int[Tensor, "B C"] | None = None
    never: Int[Tensor, " E"] | None = None


class Ranking(NamedTuple):
    """Best first, PAD where a user has fewer than K items. The order is authoritative; scores need not fall."""

    items: Int[Tensor, "B K"]
    scores: Float[Tensor, "B K"]


class Candidates(NamedTuple):
    """All that an item loss sees. Rows M are the positions where ``targets != PAD``, row-major.

    ``negatives`` of shape ``[1, N]`` are shared by every row; ``None`` means the whole catalogue is scored. ``hit`` marks negatives that
    are accidental positives: their logit is -inf. ``log_q`` is how likely a sampler draws an item (see ``negatives.py``); whether a loss
    corrects for it is the loss's choice.
    """

    positive: Int[Tensor, " M"]
    negatives: Int[Tensor, "#M N"] | None = None
    log_q_positive: Float[Tensor, " M"] | None = None
    log_q_negatives: Float[Tensor, "#M N"] | None = None
    hit: Bool[Tensor, "M N"] | None = None


class Step(NamedTuple):
    """Where training stands. ``rng`` is seeded by (seed, epoch, batch, process): a resumed run draws what an uninterrupted one would."""

    epoch: int
    step: int
    rng: Generator


@runtime_checkable
class Retriever(Protocol):
    """The part of a model that retrieval by inner product needs."""

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The user now."""
        ...

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        """Item vectors and biases: ``scores = state @ vectors.T + bias`` and ``bias[0] = -inf``."""
        ...


@runtime_checkable
class Catalogue(Protocol):
    """In place of a ``Retriever``: a model whose scores are no inner product of a few numbers, such as weights between items."""

    n_items: int

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """The score of every item; column 0 is ``-inf``."""
        ...


@runtime_checkable
class Scorer(Retriever, Protocol):
    """An architecture: embed, encode, score. It knows nothing of losses, samples or training.

    ``causal`` says whether position t is kept from seeing t + 1. A model may also offer ``encode_at(x, history, where) -> [M, D]``, the
    rows of ``encode`` where ``where`` [B, L] is True, where that is less work than all of them. All else that one may offer:
    ``docs/own_parts.md``.
    """

    causal: bool

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Rows of the bare item table."""
        ...

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]:
        """Positions, normalisation, dropout and mixing."""
        ...

    def score(self, h: Float[Tensor, "M D"], items: Int[Tensor, "#M C"] | None = None) -> Float[Tensor, "M C"]:
        """Scores of ``items``, or of the whole catalogue (``C = V + 1``, column 0 is ``-inf``)."""
        ...


@runtime_checkable
class Reader(Protocol):
    """A ``Scorer`` that others can wrap: it tells what it reads, so that they may change what it is shown."""

    def reads(self, history: History) -> History:
        """The newest items that it can use, [MASK] appended where it needs one. Its ``state`` is what it encodes of them at the end."""
        ...

    def embed(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]: ...

    def encode(self, x: Float[Tensor, "B L D"], history: History) -> Float[Tensor, "B L D"]: ...


@runtime_checkable
class MultiRound(Protocol):
    """A model that answers in rounds: it retrieves, looks at what it found, and retrieves again.

    ``per_round`` items of a list come from each of ``n_rounds`` states; ``table`` is a ``Retriever``'s. In training it offers
    ``rounds_at(history, where)``, the states of the rounds at positions and the weights of their losses.
    """

    n_rounds: int
    per_round: int

    def rounds(self, history: History) -> Iterator[Float[Tensor, "B D"]]:
        """The user in each round. Computed as it is asked for: a short list needs few rounds."""
        ...

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]: ...


@runtime_checkable
class Recommender(Protocol):
    """Everything that recommends answers this one question."""

    def recommend(self, query: Query, k: int) -> Ranking:
        """The k best items for each user of the query."""
        ...


@runtime_checkable
class Loss(Protocol):
    """An item loss: one value a row. Column 0 is the positive unless the catalogue is scored.

    It may also offer ``fused(h_MD, table_VD, bias_V, positive_M) -> [M]``, the same value over the catalogue without M x V
    scores; one that has no meaning over the catalogue says ``needs_negatives = True``.
    """

    def __call__(self, logits: Float[Tensor, "M C"], candidates: Candidates) -> Float[Tensor, " M"]: ...


@runtime_checkable
class Sampler(Protocol):
    """Chooses what the positives of a batch are compared with."""

    def __call__(self, batch: Batch, rng: Generator) -> Candidates: ...


@runtime_checkable
class Objective(Protocol):
    """A training problem: the summed loss, the count to divide by, and values worth logging."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]: ...


class Group(NamedTuple):
    """What ``groups()`` lists: parameters that learn at ``lr_scale`` times the rate, with a weight decay of their own (None: as usual)."""

    parameters: list[Any]
    lr_scale: float = 1.0
    weight_decay: float | None = 0.0
