"""The score objective: every position that carries a target counts once, and no other."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recpref.losses.bce import BCE
from recpref.losses.cross_entropy import CrossEntropy
from recpref.models.bert4rec import BERT4Rec
from recpref.models.sasrec import SASRec
from recpref.objectives import score
from recpref.objectives.score import Score
from recpref.samplers.catalogue import Catalogue
from recpref.types import PAD, Batch, Candidates, History, Step

V = 9
STEP = Step(0, 0, torch.Generator())


class Bag(nn.Module):
    """A position's state is its item's vector; scores are inner products."""

    causal = True

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.vectors = nn.Parameter(vectors)
        self.bias = torch.zeros(len(vectors)).index_fill(0, torch.tensor(PAD), -torch.inf)

    def embed(self, items: Tensor) -> Tensor:
        return self.vectors[items]

    def encode(self, x: Tensor, history: History) -> Tensor:
        return x

    def state(self, history: History) -> Tensor:
        return self.embed(history.items)[:, -1]

    def score(self, h: Tensor, items: Tensor | None = None) -> Tensor:
        if items is None:
            return h @ self.vectors.T + self.bias
        return torch.einsum("md,mcd->mc", h, self.vectors[items].expand(len(h), -1, -1)) + self.bias[items]

    def table(self) -> tuple[Tensor, Tensor]:
        return self.vectors, self.bias


class Given:
    """A sampler that always gives these negatives."""

    def __init__(self, negatives: Tensor, hit: Tensor | None = None):
        self.negatives, self.hit = negatives, hit

    def __call__(self, batch: Batch, rng: torch.Generator) -> Candidates:
        return Candidates(batch.targets[batch.targets != PAD], self.negatives, hit=self.hit)


class Drawn:
    """A sampler that draws three negatives a position, others at each call."""

    def __call__(self, batch: Batch, rng: torch.Generator) -> Candidates:
        positive = batch.targets[batch.targets != PAD]
        return Candidates(positive, torch.randint(1, V + 1, (len(positive), 3), generator=rng))


def batch_of(items: list[list[int]], targets: list[list[int]]) -> Batch:
    return Batch(History(torch.tensor(items), torch.arange(1, len(items) + 1)), torch.tensor(targets))


def bag(seed: int = 0) -> Bag:
    return Bag(torch.randn(V + 1, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def bert4rec() -> BERT4Rec:
    torch.manual_seed(0)
    return BERT4Rec(V, d_model=8, n_layers=1, max_len=6).eval()


@torch.no_grad()
def looped(model: nn.Module, batch: Batch, negatives: list[list[int]] | None = None) -> tuple[float, int]:
    """The same loss, position by position."""
    states = model.encode(model.embed(batch.history.items), batch.history)
    total, count = 0.0, 0
    for row, targets in enumerate(batch.targets.tolist()):
        for column, target in enumerate(targets):
            if target != PAD:
                others = [item for item in range(1, V + 1) if item != target] if negatives is None else negatives[count % len(negatives)]
                scores = model.score(states[row, column][None])[0]
                total -= float(scores[target] - torch.logsumexp(scores[[target, *others]], 0))
                count += 1
    return total, count


BATCH = batch_of([[0, V + 1, 2, V + 1], [V + 1, 5, V + 1, 7]], [[0, 3, 0, 4], [6, 0, 2, 0]])  # V + 1 is [MASK]

BATCH_OF_ITEMS = batch_of([[1, 2, 3], [0, 4, 5]], [[7, 0, 6], [0, 8, 0]])


def step() -> Step:
    """The first step, with a generator of its own."""
    return Step(0, 0, torch.Generator().manual_seed(0))


def test_by_hand() -> None:
    """All scores are equal and the catalogue has 2 items: each of the 3 targets costs ln 2; PAD cannot be predicted."""
    model = Bag(torch.zeros(3, 1))
    total, count, logs = Score(Catalogue(), CrossEntropy())(model, batch_of([[1, 2], [0, 1]], [[2, 1], [0, 2]]), STEP)
    assert total.item() == pytest.approx(3 * math.log(2), abs=1e-6)
    assert (count.item(), logs) == (3, {})


def test_equal_to_a_loop_over_masked_positions() -> None:
    """Four masks, one of them in the first column of a full row."""
    model = bert4rec()
    total, count, _ = Score(Catalogue(), CrossEntropy())(model, BATCH, STEP)
    expected = looped(model, BATCH)
    assert (total.item(), count.item()) == (pytest.approx(expected[0], rel=1e-5), 4)
    assert expected[1] == 4


def test_every_masked_position_counts_exactly_once() -> None:
    """The loss of all targets is the sum of the losses of each of them alone."""
    model, objective = bert4rec(), Score(Catalogue(), CrossEntropy())
    alone = []
    for row, column in (BATCH.targets != PAD).nonzero().tolist():
        targets = torch.zeros_like(BATCH.targets)
        targets[row, column] = BATCH.targets[row, column]
        value, count, _ = objective(model, BATCH._replace(targets=targets), STEP)
        assert count.item() == 1
        alone.append(value.item())
    assert objective(model, BATCH, STEP)[0].item() == pytest.approx(sum(alone), rel=1e-5)


def test_gradients_come_from_positions_with_targets_only() -> None:
    class Watched(Bag):
        def encode(self, x: Tensor, history: History) -> Tensor:
            self.states = x.detach().requires_grad_()
            return self.states

    model = Watched(bag().vectors.detach())
    batch = batch_of([[1, 2, 3], [0, 4, 5]], [[7, 0, 6], [0, 8, 0]])
    Score(Catalogue(), CrossEntropy())(model, batch, STEP)[0].backward()
    assert torch.equal(model.states.grad.abs().sum(2) > 0, batch.targets != PAD)


class Rounds(Bag):
    """Two rounds: the second is the first times two, and counts for a tenth."""

    def rounds_at(self, history: History, where: Tensor) -> Iterator[tuple[float, Tensor]]:
        h_MD = self.encode(self.embed(history.items), history)[where]
        yield 1.0, h_MD
        yield 0.1, 2 * h_MD


def test_an_ordinary_model_is_encoded_once() -> None:
    model, where = bag(), BATCH_OF_ITEMS.targets != PAD
    ((weight, h_MD),) = score.encodings(model, BATCH_OF_ITEMS.history, where)
    assert weight == 1.0
    assert torch.equal(h_MD, score.encoded(model, BATCH_OF_ITEMS.history, where))


def test_rounds_are_weighed_and_share_their_candidates() -> None:
    """The loss of (h, 2 h) with weights 1 and 0.1 is that of h, and a tenth of that of 2 h, on the very same negatives."""
    rounds = Rounds(bag().vectors.detach())
    doubled = bag()
    doubled.encode = lambda x, history: 2 * x  # type: ignore[method-assign]
    total, count, _ = Score(Drawn(), BCE())(rounds, BATCH_OF_ITEMS, step())
    one, two = (Score(Drawn(), BCE())(model, BATCH_OF_ITEMS, step())[0] for model in (bag(), doubled))
    torch.testing.assert_close(total, one + 0.1 * two)
    assert count.item() == 3


@settings(max_examples=30, deadline=None)
@given(
    targets=st.lists(st.lists(st.integers(0, V), min_size=3, max_size=3), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    n_negatives=st.integers(1, 5),
    shared=st.booleans(),
)
def test_shared_and_own_negatives_give_what_a_loop_gives(targets: list[list[int]], seed: int, n_negatives: int, shared: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    batch = batch_of(torch.randint(1, V + 1, (len(targets), 3), generator=rng).tolist(), targets)
    n_rows = 1 if shared else int((batch.targets != PAD).sum())
    negatives = torch.randint(1, V + 1, (n_rows, n_negatives), generator=rng)
    model = bag(seed)
    total, count, _ = Score(Given(negatives), CrossEntropy())(model, batch, STEP)
    expected = looped(model, batch, negatives.tolist())
    assert total.item() == pytest.approx(expected[0], abs=1e-9)
    assert count.item() == expected[1]


def test_all_other_items_as_negatives_are_the_catalogue() -> None:
    batch = batch_of([[1, 2]], [[3, 8]])
    others = torch.tensor([[item for item in range(1, V + 1) if item != target] for target in (3, 8)])
    sampled, full = (Score(sampler, CrossEntropy())(bag(), batch, STEP)[0].item() for sampler in (Given(others), Catalogue()))
    assert sampled == pytest.approx(full, abs=1e-9)


@pytest.mark.parametrize("sampler", [Catalogue(), Given(torch.tensor([[1, 2]]))])
def test_without_a_target_the_sum_and_the_count_are_zero(sampler: Catalogue | Given) -> None:
    model = bag()
    total, count, _ = Score(sampler, CrossEntropy())(model, batch_of([[1, 2]], [[0, 0]]), STEP)
    assert (total.item(), count.item()) == (0, 0)
    total.backward()
    assert not model.vectors.grad.any()


def test_an_accidental_positive_is_no_negative() -> None:
    """The only negative that is left is 5: the first one is the positive itself."""
    batch, hit = batch_of([[1]], [[3]]), torch.tensor([[True, False]])
    marked = Score(Given(torch.tensor([[3, 5]]), hit), CrossEntropy())(bag(), batch, STEP)[0]
    without = Score(Given(torch.tensor([[5]])), CrossEntropy())(bag(), batch, STEP)[0]
    assert marked.item() == pytest.approx(without.item(), abs=1e-9)


@pytest.mark.parametrize("worth", [0, 1000])
def test_own_negatives_are_gathered_or_picked_from_all_scores_with_the_same_result(worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "WORTH_GATHERING", worth)
    batch, negatives = batch_of([[1, 2]], [[3, 8]]), torch.tensor([[1, 5, 5], [2, 9, 4]])
    model = bag()
    total, _, _ = Score(Given(negatives), CrossEntropy())(model, batch, STEP)
    total.backward()
    assert total.item() == pytest.approx(looped(model, batch, negatives.tolist())[0], abs=1e-9)
    twin = bag()
    scores = torch.cat([twin.vectors[[1, 2]][i] @ twin.vectors[[t, *negatives[i].tolist()]].T for i, t in ((0, 3), (1, 8))]).view(2, 4)
    (scores.logsumexp(1) - scores[:, 0]).sum().backward()
    torch.testing.assert_close(model.vectors.grad, twin.vectors.grad)


def test_over_the_catalogue_a_loss_that_can_is_given_the_table() -> None:
    class Fused(CrossEntropy):
        def __call__(self, logits: Tensor, candidates: Candidates) -> Tensor:
            raise AssertionError("all scores were computed")

    batch = batch_of([[1, 2]], [[3, 8]])
    found, expected = (Score(Catalogue(), loss)(bag(), batch, STEP)[0].item() for loss in (Fused(), CrossEntropy()))
    assert found == pytest.approx(expected, abs=1e-9)
    assert found == pytest.approx(looped(bag(), batch)[0], abs=1e-9)


def test_shared_negatives_are_not_copied_for_every_row() -> None:
    """No tensor of rows x negatives x width is kept for the backward pass: 50 x 40 x 4 numbers."""
    sizes: list[int] = []

    def seen(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    batch = batch_of([[1] * 50], [[3] * 50])
    with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
        Score(Given(torch.randint(1, V, (1, 40))), CrossEntropy())(bag(), batch, STEP)
    assert max(sizes) < 50 * 40 * 4


def test_a_loss_of_samples_without_a_sampler_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match=r"loss=bce compares .*; add a sampler such as sampler=uniform"):
        Score(Catalogue(), BCE())


@pytest.mark.parametrize("n_items", [9, 300])
@pytest.mark.parametrize("rows", ["own", "shared"])
def test_several_states_are_scored_as_each_alone(n_items: int, rows: str) -> None:
    """Gathered once for all, or from scores of a small catalogue; accidental positives too."""
    rng = torch.Generator().manual_seed(3)
    states = [torch.randn(4, 6, generator=rng, dtype=torch.float64) for _ in range(3)]
    table, bias = (torch.randn(n_items + 1, *width, generator=rng, dtype=torch.float64) for width in ((6,), ()))
    negatives = torch.randint(1, n_items + 1, (4 if rows == "own" else 1, 3), generator=rng)
    hit = torch.rand(4, 3, generator=rng) < 0.3
    candidates = Candidates(torch.randint(1, n_items + 1, (4,), generator=rng), negatives, hit=hit)
    several = score.scores_of_each(states, score.Source.table(table, bias), candidates)
    for found, state in zip(several, states, strict=True):
        torch.testing.assert_close(found, score.candidate_scores(state, score.Source.table(table, bias), candidates))
        items = torch.cat([candidates.positive[:, None], negatives.expand(4, -1)], 1)
        by_hand = (state[:, None] * table[items]).sum(2) + bias[items]
        by_hand[:, 1:][hit] = -torch.inf
        torch.testing.assert_close(found, by_hand)


# ------------------------------------------------------------------------------------------------------ weights by age


def test_weights_by_age_by_hand() -> None:
    """Half for each step back: ages 0 and 2 weigh 1 and 1/4, scaled to their number 1.6 and 0.4. Alone, an old one weighs 1."""
    where = torch.tensor([[False, True, False, True], [True, False, False, False], [False, False, False, False]])
    assert score.weights_by_age(where, 0.5).tolist() == pytest.approx([0.4, 1.6, 1.0])


def test_a_row_of_old_positions_does_not_vanish() -> None:
    """0.1 ** 1999 is 0 in any precision; the weights of a row sum to its positions whatever their age."""
    where = torch.zeros(1, 2000, dtype=torch.bool)
    where[0, :3] = True
    weights = score.weights_by_age(where, 0.1)
    assert float(weights.sum()) == pytest.approx(3)
    assert bool((weights.diff() > 0).all())


@pytest.mark.parametrize("sampler", [Catalogue(), Given(torch.tensor([[1, 2, 3]]))])
def test_each_position_counts_by_its_age(sampler: Catalogue | Given) -> None:
    """The weighted sum of the losses of each position alone, its gradient, too; the count stays. With 1 it is the plain sum to the bit."""
    model = bag()
    plain, weighed = Score(sampler, CrossEntropy()), Score(sampler, CrossEntropy(), recency=0.7)
    assert torch.equal(
        Score(sampler, CrossEntropy(), recency=1.0)(model, BATCH_OF_ITEMS, step())[0], plain(model, BATCH_OF_ITEMS, step())[0]
    )
    weights = score.weights_by_age(BATCH_OF_ITEMS.targets != PAD, 0.7)
    places = (BATCH_OF_ITEMS.targets != PAD).nonzero().tolist()
    expected = torch.zeros((), dtype=torch.float64)
    for weight, (row, column) in zip(weights, places, strict=True):
        targets = torch.zeros_like(BATCH_OF_ITEMS.targets)
        targets[row, column] = BATCH_OF_ITEMS.targets[row, column]
        expected = expected + weight * plain(model, BATCH_OF_ITEMS._replace(targets=targets), step())[0]
    total, count, _ = weighed(model, BATCH_OF_ITEMS, step())
    torch.testing.assert_close(total, expected)
    assert int(count) == len(places)
    for one, other in zip(*(torch.autograd.grad(value, [model.vectors]) for value in (total, expected)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("recency", [0.0, -0.5, 1.5, float("nan")])
def test_a_recency_that_is_none_is_refused(recency: float) -> None:
    with pytest.raises(ValueError, match=rf"objective.recency={recency} must lie in \(0, 1\]"):
        Score(Catalogue(), CrossEntropy(), recency=recency)


@pytest.mark.parametrize("n_items", [12, 1000])
def test_a_table_read_by_rows_gets_gradients_of_these_rows(n_items: int) -> None:
    """``sparse``: also where the catalogue is so small that all of it would be scored."""
    model = SASRec(n_items, d_model=4, max_len=4)
    model.items.sparse = True
    items, negatives = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5]] * 3)
    batch = Batch(History(items, torch.tensor([1])), torch.tensor([[2, 3, 6]]))
    total, _, _ = Score(Given(negatives), BCE())(model, batch, STEP)
    total.backward()
    assert model.items.weight.grad.is_sparse
    assert set(model.items.weight.grad.coalesce().indices()[0].tolist()) == {1, 2, 3, 4, 5, 6}
