"""Ada-Retrieval: one round is the base itself, more rounds find what it did not, on every backbone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recpref import components
from recpref.composition.compose import compose
from recpref.layers.reading import encoded_at, last_column
from recpref.losses.bce import BCE
from recpref.losses.cross_entropy import CrossEntropy
from recpref.models.ada_retrieval import AdaRetrieval
from recpref.models.gru4rec import GRU4Rec
from recpref.models.popular import Popular
from recpref.models.sasrec import SASRec
from recpref.models.srgnn import SRGNN, graph_of, node_means
from recpref.objectives.score import Score, encoded
from recpref.retrieval.topk import TopK
from recpref.samplers.catalogue import Catalogue
from recpref.training.optimizer import Optimizer
from recpref.types import PAD, Batch, Candidates, History, MultiRound, Query, Scorer, Step

V = 24
SMALL = {"d_model": 8, "n_layers": 1, "n_heads": 2, "max_len": 70, "dropout": 0.1}
BASES = ["bert4rec", "sasrec", "gru4rec", "nextitnet", "srgnn", "fmlprec"]
bases = pytest.mark.parametrize("name", BASES)
ADAPTERS = ("list_filter", "item_adapter", "user_adapter")


def base_of(name: str) -> nn.Module:
    """A small backbone with weights far enough from zero that its scores differ."""
    torch.manual_seed(0)
    model = components.find("base", name)
    base = model(V, **{key: value for key, value in SMALL.items() if key in components.options_of(model)})
    for parameter in base.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return base


def ada(name: str = "sasrec", **options: float) -> AdaRetrieval:
    torch.manual_seed(1)
    return AdaRetrieval(V, base_of(name), **{"n_rounds": 3, "per_round": 3, **options})  # type: ignore[arg-type]


def history(*rows: list[int], width: int = 0) -> History:
    """Left-padded, at least ``width`` wide."""
    width = max(width, *map(len, rows))
    items = torch.tensor([[PAD] * (width - len(row)) + row for row in rows], dtype=torch.long)
    return History(items, torch.zeros(len(rows), dtype=torch.long))


HISTORIES = history([3, 1, 2, 7], [5, 6], [8, 9, 8])


def batch(name: str) -> Batch:
    """Rows that are read at their end, where BERT4Rec has a [MASK]."""
    given = HISTORIES
    if name == "bert4rec":
        given = history([3, 1, 2, 7, V + 1], [5, 6, V + 1], [8, 9, 8, V + 1])
    targets = torch.zeros_like(given.items)
    targets[:, -1] = torch.tensor([4, 10, 20])
    return Batch(given, targets)


class Drawn:
    """A sampler of four random negatives."""

    def __call__(self, batch: Batch, rng: torch.Generator) -> Candidates:
        positive = batch.targets[batch.targets != PAD]
        return Candidates(positive, torch.randint(1, V + 1, (len(positive), 4), generator=rng))


def loss_of(model: nn.Module, name: str, objective: Score) -> Tensor:
    torch.manual_seed(5)  # dropout
    total, count, _ = objective(model, batch(name), Step(0, 0, torch.Generator().manual_seed(2)))
    return total / count


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


OBJECTIVES = [Score(Drawn(), BCE()), Score(Catalogue(), CrossEntropy())]
objectives = pytest.mark.parametrize("objective", OBJECTIVES, ids=["bce", "cross_entropy"])


@bases
@objectives
def test_one_round_is_the_base_bit_for_bit(name: str, objective: Score) -> None:
    """Loss and gradients in training, states and rankings afterwards."""
    model, base = ada(name, n_rounds=1, per_round=20).train(), base_of(name).train()
    one, other = loss_of(model, name, objective), loss_of(base, name, objective)
    assert torch.equal(one, other)
    one.backward(), other.backward()
    found = gradients(model.base)
    assert all(torch.equal(found[key], value) for key, value in gradients(base).items() if value is not None)
    model.eval(), base.eval()
    asked = Query(HISTORIES, exclude=HISTORIES.items)
    left, right = (TopK(each).recommend(asked, V) for each in (model, base))
    assert torch.equal(left.items, right.items)
    assert torch.equal(left.scores, right.scores)
    assert torch.equal(next(model.rounds(HISTORIES)), base.state(HISTORIES))


@bases
@objectives
def test_rounds_that_weigh_nothing_are_the_base(name: str, objective: Score) -> None:
    """lambda = 0: the loss of the base, and no gradient for an adapter."""
    model, base = ada(name, loss_decay=0.0).train(), base_of(name).train()
    loss = loss_of(model, name, objective)
    assert torch.equal(loss, loss_of(base, name, objective))
    loss.backward()
    assert {key for key, value in gradients(model).items() if value is not None and value.any()} <= {
        f"base.{key}" for key, _ in base.named_parameters()
    }


@bases
@objectives
def test_a_step_reaches_every_weight_of_the_adapters(name: str, objective: Score) -> None:
    model = ada(name).train()
    loss_of(model, name, objective).backward()
    adapters = {key: value for key, value in gradients(model).items() if key.partition(".")[0] in ADAPTERS}
    assert len(adapters) == 5 + 2 + 10
    idle = {key for key, value in adapters.items() if value is None or not value.any()}
    assert idle == set()


def stepped(model: AdaRetrieval, name: str, **options: Any) -> dict[str, Tensor]:
    """How far each parameter moved in one step of Adam."""
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optimizer, _ = Optimizer(method="adam", lr=0.01, weight_decay=0, **options)(model, 10)
    loss_of(model, name, OBJECTIVES[0]).backward()
    optimizer.step()
    return {key: (value.detach() - before[key]).abs() for key, value in model.named_parameters()}


@bases
def test_a_base_at_rate_zero_stays_as_it_is(name: str) -> None:
    """No gradient, no step; round 1 answers as before, and every adapter learns as it would beside a base that learns."""
    model, free = ada(name, base_lr=0.0).eval(), ada(name).eval()
    first = next(model.rounds(HISTORIES)).clone()
    moved, beside = stepped(model, name), stepped(free, name)
    assert all(not far.any() for key, far in moved.items() if key.startswith("base."))
    assert any(far.any() for key, far in beside.items() if key.startswith("base."))
    for key, far in moved.items():
        if not key.startswith("base."):
            torch.testing.assert_close(far, beside[key])
    assert torch.equal(next(model.rounds(HISTORIES)), first)


@pytest.mark.parametrize("table", ["hashed", "quotient_remainder"])
def test_a_base_at_rate_zero_keeps_the_table_that_was_chosen_for_it(table: str) -> None:
    """``table=`` replaces the base's table after the base was frozen."""
    shape = [f"base.{key}={value}" for key, value in SMALL.items()]
    rows = {"hashed": "table.n_rows=5", "quotient_remainder": "table.n_rows=5"}[table]
    for rate in (0, 1):
        plan = compose(["model=ada_retrieval", *shape, "model.per_round=3", f"model.base_lr={rate}", f"table={table}", rows])
        model = components.model_of(plan, {"n_items": V, "n_users": 3})
        assert type(model.base.items).__name__.lower() == table.replace("_", "")
        assert {parameter.requires_grad for parameter in model.base.parameters()} == {bool(rate)}


@pytest.mark.parametrize("name", ["sasrec", "fmlprec"])
def test_rows_of_the_base_that_nobody_read_keep_every_bit(name: str) -> None:
    """``optimizer.sparse=true``: the loss and the gradients are those of a whole table, and others' rows do not decay."""
    model, whole = ada(name).eval(), ada(name).eval()
    optimizer, _ = Optimizer(sparse=True, weight_decay=0.5)(model, 10)
    losses = [loss_of(each, name, OBJECTIVES[0]) for each in (model, whole)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    gradient = model.base.items.weight.grad
    assert gradient.is_sparse
    read = set(gradient.coalesce().indices()[0].tolist())
    assert len(read) < V
    torch.testing.assert_close(gradient.to_dense(), whole.base.items.weight.grad, atol=1e-6, rtol=1e-5)
    before = model.base.items.weight.detach().clone()
    optimizer.step()
    moved = (model.base.items.weight.detach() != before).any(1).nonzero().flatten().tolist()
    assert set(moved) <= read | {PAD}
    assert moved


def test_the_base_learns_at_its_own_rate() -> None:
    """Adam's first step is the rate wherever a gradient is: .1 of .01 in the base, .01 in the adapters. At 1 nothing is set apart."""
    moved = stepped(ada(base_lr=0.1).eval(), "sasrec")
    for key, far in moved.items():
        expected = 1e-3 if key.startswith("base.") else 1e-2
        assert float(far.max()) == pytest.approx(expected, rel=0.02), key
    assert ada().groups() == []


def test_what_decays_in_a_base_with_a_rate_of_its_own() -> None:
    """Its matrices, at that rate, and neither biases nor norms: as everywhere."""
    model = ada(base_lr=0.1)
    groups = Optimizer(lr=0.02, weight_decay=0.3)(model, 10)[0].param_groups
    of = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(of) == len(list(model.parameters()))
    for key, parameter in model.named_parameters():
        rate = 0.002 if key.startswith("base.") else 0.02
        assert of[id(parameter)] == pytest.approx((rate, 0.3 if parameter.ndim > 1 else 0)), key


@bases
def test_the_loss_is_the_weighted_sum_of_the_rounds_own(name: str) -> None:
    """1, .3, .09 times the loss of each round's vector on the same candidates."""
    model, objective = ada(name, loss_decay=0.3).eval(), OBJECTIVES[0]
    given = batch(name)
    candidates = Drawn()(given, torch.Generator().manual_seed(2))
    rounds = list(model.rounds_at(given.history, given.targets != PAD))
    assert [weight for weight, _ in rounds] == pytest.approx([1, 0.3, 0.09])
    parts = [
        objective.loss(model.score(h, torch.cat([candidates.positive[:, None], candidates.negatives], 1)), candidates) for _, h in rounds
    ]
    expected = sum(weight * part.sum() for (weight, _), part in zip(rounds, parts, strict=True)) / 3
    torch.testing.assert_close(loss_of(model, name, objective), expected)


def watched(model: AdaRetrieval, given: History) -> tuple[list[Tensor], list[Tensor]]:
    """The states of the rounds and the lists that were retrieved between them."""
    lists: list[Tensor] = []
    retrieved = model.retrieved

    def keep(*arguments: Tensor) -> Tensor:
        lists.append(retrieved(*arguments))
        return lists[-1]

    model.retrieved = keep  # type: ignore[method-assign]
    states = list(model.rounds(given))
    model.retrieved = retrieved  # type: ignore[method-assign]
    return states, lists


@bases
def test_rounds_find_different_items_and_none_of_the_history(name: str) -> None:
    model = ada(name).eval()
    _, lists = watched(model, HISTORIES)
    assert len(lists) == 2  # nobody looks at what the last round finds
    for row, seen in zip(torch.cat(lists, 1).tolist(), HISTORIES.items.tolist(), strict=True):
        assert len(set(row)) == 6
        assert not {PAD, *seen} & set(row)
    ranking = TopK(model).recommend(Query(HISTORIES, exclude=HISTORIES.items), 9).items
    assert torch.equal(ranking[:, :6], torch.cat(lists, 1))  # what is recommended is what the next round knows
    assert all(len(set(row)) == 9 for row in ranking.tolist())


@bases
def test_the_first_places_are_those_of_the_first_round(name: str) -> None:
    """HR@k and NDCG@k for k <= per_round cannot change."""
    model = ada(name).eval()
    asked = Query(HISTORIES, exclude=HISTORIES.items)
    base = TopK(model.base).recommend(asked, 3)
    for k in (1, 3, 9):
        found = TopK(model).recommend(asked, k)
        assert torch.equal(found.items[:, :3], base.items[:, :k])
    assert not torch.equal(TopK(model).recommend(asked, 9).items, TopK(model.base).recommend(asked, 9).items)


@bases
def test_padding_changes_no_round(name: str) -> None:
    """A row of four among rows of 50, and of 60."""
    model, rows = ada(name).eval(), [[3, 1, 2, 7], [1 + i % V for i in range(45)]]
    narrow, wide = (list(model.rounds(history(*rows, width=width))) for width in (50, 60))
    alone = list(model.rounds(history(rows[0])))
    for one, other, short in zip(narrow, wide, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
        torch.testing.assert_close(one[:1], short, atol=1e-5, rtol=0)


def test_padding_keeps_its_vector_unless_it_is_asked_to_change() -> None:
    """As published, an empty history is adapted as if padding were an item; masked, it reads what it reads in round 1."""
    shown: list[Tensor] = []

    class Watched(SASRec):
        def encode_at(self, x: Tensor, history: History, where: Tensor) -> Tensor:
            shown.append(x)
            return super().encode_at(x, history, where)

    for masked in (True, False):
        shown.clear()
        model = AdaRetrieval(V, Watched(V, d_model=8, max_len=6), n_rounds=2, per_round=3, mask_padding=masked).eval()
        list(model.rounds(history([3, 1, 2], [5])))
        first, second = shown
        padding = torch.tensor([[False, False, False], [True, True, False]])
        assert torch.equal(second[padding], first[padding]) is masked
        assert not torch.isclose(second[~padding], first[~padding]).all(1).any()


def test_the_authors_lists_may_hold_the_history() -> None:
    model = ada(per_round=V // 3, exclude_history=False).eval()
    _, lists = watched(model, HISTORIES)
    known = [set(row) - {PAD} for row in HISTORIES.items.tolist()]
    assert any(seen & set(row) for seen, row in zip(known, torch.cat(lists, 1).tolist(), strict=True))


def test_who_has_seen_nearly_everything_meets_the_history_again_last() -> None:
    """Of 24 items 20 are known: the 4 others come first, then known ones, never one twice, never padding."""
    model = ada(per_round=8).eval()
    _, lists = watched(model, history(list(range(1, 21))))
    assert set(lists[0][0, :4].tolist()) == {21, 22, 23, 24}
    both = torch.cat(lists, 1)[0].tolist()
    assert len(set(both) - {PAD}) == 16


def test_an_item_older_than_the_window_is_known_too() -> None:
    torch.manual_seed(0)
    model = AdaRetrieval(V, SASRec(V, d_model=8, max_len=2), n_rounds=2, per_round=V // 2).eval()
    _, lists = watched(model, history([1, 2, 3, 4, 5, 6, 7, 8]))
    assert not set(range(1, 9)) & set(lists[0][0].tolist())


def test_each_list_is_filtered_once_and_chosen_without_gradients() -> None:
    model, calls = ada(n_rounds=5, per_round=3).train(), []
    model.list_filter.register_forward_hook(lambda module, given, output: calls.append(given[0].shape))
    list(model.rounds_at(HISTORIES, last_column(HISTORIES.items)))
    assert calls == [(3, 3, 8)] * 4
    state = torch.randn(3, 8, requires_grad=True)
    assert not model.retrieved(state, torch.zeros(3, 0, dtype=torch.long), HISTORIES.items).requires_grad


def test_a_round_adapts_items_by_lists_and_the_user_by_earlier_rounds() -> None:
    """Round 2, written out with the parts."""
    model = ada().eval()
    (first, second, _), (found, _) = watched(model, HISTORIES)
    x = model.base.embed(HISTORIES.items)
    adapted = model.item_adapter(x, model.item_adapter.read(x, model.list_filter(model.base.embed(found)), None))
    adapted = torch.where((HISTORIES.items != PAD)[:, :, None], adapted, x)
    h = encoded_at(model.base, adapted, HISTORIES, last_column(HISTORIES.items))
    torch.testing.assert_close(second, model.user_adapter(h, model.user_adapter.remember(first, None)))


def test_adapting_the_steps_of_a_graph_is_adapting_its_nodes() -> None:
    """SR-GNN: an item that is met twice has one node, and its steps get one adapted vector."""
    model = ada("srgnn").eval()
    assert isinstance(model.base, SRGNN)
    given = history([8, 9, 8, 3, 9])
    graph = graph_of(given.items)
    x, lists = model.base.embed(given.items), torch.randn(1, 6, 8)
    nodes = node_means(x, graph)
    steps, adapted = (model.item_adapter(each, model.item_adapter.read(each, lists, None)) for each in (x, nodes))
    of_steps = node_means(steps, graph)
    torch.testing.assert_close(of_steps[:, 1:], adapted[:, 1:])  # node 0 is padding


def test_a_mask_is_read_in_every_round() -> None:
    """BERT4Rec: the state of round 1 is that of a [MASK] behind the history, which later rounds adapt like an item."""
    model = ada("bert4rec").eval()
    assert model.mask_id == V + 1
    given = batch("bert4rec")
    rounds = [h for _, h in model.rounds_at(given.history, given.targets != PAD)]
    torch.testing.assert_close(rounds[0], model.base.state(HISTORIES))
    for left, right in zip(rounds, model.rounds(HISTORIES), strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


@bases
def test_what_it_is(name: str) -> None:
    """A model in rounds, whose single vector is the base's."""
    model = ada(name).eval()
    assert isinstance(model, MultiRound)
    assert isinstance(model, Scorer)
    assert model.causal == model.base.causal
    where = last_column(HISTORIES.items)
    torch.testing.assert_close(encoded(model, HISTORIES, where), encoded(model.base, HISTORIES, where))


def test_a_row_is_read_at_one_place() -> None:
    where = torch.tensor([[False, False, True, True], [False, False, False, True], [False, False, False, True]])
    for wrong in (where, torch.zeros_like(where)):
        with pytest.raises(ValueError, match=r"each row must be read at one place; use examples=prefix, or .*last_ratio=1"):
            list(ada().rounds_at(HISTORIES, wrong))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rounds": 5, "per_round": 5}, r"n_rounds=5 times per_round=5 are more than the 24 items there are"),
        ({"n_rounds": 0}, r"n_rounds=0 must be at least 1"),
        ({"per_round": 0}, r"per_round=0 must be at least 1"),
        ({"loss_decay": -0.1}, r"loss_decay=-0\.1 must not be negative"),
        ({"loss_decay": float("nan")}, r"loss_decay=nan must not be negative"),
        ({"base_lr": -0.1}, r"base_lr=-0\.1 must not be negative"),
        ({"base_lr": float("inf")}, r"base_lr=inf must not be negative, nor infinite"),
        ({"base_lr": float("nan")}, r"base_lr=nan must not be negative"),
        ({"base_lr": 0.0, "n_rounds": 1}, r"base_lr=0 keeps the base, and with n_rounds=1 .* no adapter learns either"),
        ({"base_lr": 0.0, "loss_decay": 0.0}, r"base_lr=0 keeps the base, and with .* loss_decay=0\.0 no adapter learns either"),
        ({"dropout": 1.0}, r"a dropout rate of 1\.0 must lie in"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ada(**options)


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_wrapped_is_refused() -> None:
    for base, name in ((Popular(V), "Popular"), (ada(), "AdaRetrieval")):
        with pytest.raises(ValueError, match=f"base={name} cannot be wrapped"):
            AdaRetrieval(V, base, n_rounds=1, per_round=1)


def test_the_recipe_knows_who_is_read_at_a_mask() -> None:
    """BERT4Rec's rows hide their last item and end anywhere; everybody else's are prefixes."""
    rows = {name: set(AdaRetrieval.recipe("default", components.find("base", name))) for name in BASES}
    assert {name for name in BASES if "examples=prefix" in rows[name]} == {*BASES} - {"bert4rec"}
    assert {"examples=cloze", "examples.last_ratio=1.0"} <= rows["bert4rec"]


CLUSTER = 30


def rows_of(rng: torch.Generator, targets_in: int, size: int = 32) -> Iterator[Batch]:
    """Histories of three items of cluster 0 (items 1 to 30) and three of cluster 1, in any order; the target is in ``targets_in``."""
    while True:
        places = torch.rand(size, 2, CLUSTER, generator=rng).argsort(2)
        items = torch.cat([places[:, 0, :3], CLUSTER + places[:, 1, :3]], 1) + 1
        items = items.gather(1, torch.rand(size, 6, generator=rng).argsort(1))
        targets = torch.zeros_like(items)
        targets[:, -1] = 1 + targets_in * CLUSTER + places[:, targets_in, 3]
        yield Batch(History(items, torch.zeros(size, dtype=torch.long)), targets)


def trained(model: nn.Module, parameters: list[nn.Parameter], rows: Iterator[Batch], n_steps: int) -> None:
    optimizer, objective = torch.optim.Adam(parameters, 1e-2), Score(Catalogue(), CrossEntropy())
    for _, one in zip(range(n_steps), rows, strict=False):
        total, count, _ = objective(model.train(), one, Step(0, 0, torch.Generator().manual_seed(0)))
        optimizer.zero_grad(), (total / count).backward(), optimizer.step()
    model.eval()


def hits(model: nn.Module, one: Batch, k: int) -> float:
    ranking = TopK(model).recommend(Query(one.history, exclude=one.history.items), k).items
    return float((ranking == one.targets[:, -1:]).any(1).float().mean())


def test_later_rounds_go_where_the_first_did_not() -> None:
    """Users like clusters A and B of three; the base knows of A only, and its best 20 are there. Adapters that learn from targets in
    B, over a base that stays as it is, send the second round to B: HR@20 is what it was, HR@40 rises from what ignorance gives.
    """
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    base = GRU4Rec(3 * CLUSTER, d_model=16, max_len=6, dropout=0.0)
    trained(base, list(base.parameters()), rows_of(rng, 0), 60)
    test = next(rows_of(torch.Generator().manual_seed(9), 1, 400))
    before = {k: hits(base, test, k) for k in (20, 40)}
    best = TopK(base).recommend(Query(test.history, exclude=test.history.items), 20).items
    assert bool((best <= CLUSTER).all())
    model = AdaRetrieval(3 * CLUSTER, base, n_rounds=2, per_round=20, loss_decay=1.0, dropout=0.0)
    adapters = [p for part in ADAPTERS for p in getattr(model, part).parameters()]
    trained(model, adapters, rows_of(rng, 1), 200)
    ranking = TopK(model).recommend(Query(test.history, exclude=test.history.items), 40).items
    in_b = ((ranking > CLUSTER) & (ranking <= 2 * CLUSTER)).float().mean(0)
    assert float(in_b[:20].max()) == 0
    assert float(in_b[20:].mean()) > 0.75  # 27 of the 64 items that are left are in B: 0.42 by chance
    assert hits(model, test, 20) == before[20]
    assert hits(model, test, 40) > before[40] + 0.15  # 20 of the 27 new items of B, and at most 13 of them before
