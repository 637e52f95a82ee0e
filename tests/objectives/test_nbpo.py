"""NBPO on any model: by hand, its limits, its head's own rate, and what it refuses."""

from __future__ import annotations

import math
from typing import get_args

import pandas as pd
import pytest
import torch

import recpref
from recpref import components
from recpref.label_noise.likelihood import Likelihood, logit, observed, unobserved
from recpref.losses.bpo import BPO
from recpref.objectives.nbpo import NBPO
from recpref.objectives.score import Score, Source, candidate_scores, encoded
from recpref.samplers.catalogue import Catalogue
from recpref.samplers.in_batch import InBatch
from recpref.samplers.uniform import Uniform
from recpref.training.optimizer import Optimizer
from recpref.types import Batch, Candidates, History, Step

V, U, D = 9, 6, 8
FRAME = pd.DataFrame([(u, (u + i) % V, i) for u in range(U) for i in range(7)], columns=["user_id", "item_id", "timestamp"])
DATA = recpref.Interactions.from_dataframe(FRAME, user="user_id", item="item_id", time="timestamp")
ITEMS = torch.tensor([[1, 2, 3, 4], [0, 0, 5, 6]])
BATCH = Batch(History(ITEMS, torch.tensor([1, 2])), torch.tensor([[2, 3, 4, 5], [0, 0, 6, 7]]))


def sampler(**options):
    return Uniform(V, DATA, **{"n_negatives": 4, **options})


def objective(**options) -> NBPO:
    torch.manual_seed(0)
    usual = {"warmup_epochs": 0, "likelihood": "nbpo", "by": ("level", "popularity", "state")}
    return NBPO(V, U, D, DATA, options.pop("sampler", sampler()), **{**usual, **options})


def model():
    torch.manual_seed(1)
    return components.find("model", "sasrec")(V, d_model=D, n_layers=1, max_len=6, dropout=0.0, attention_dropout=0.0)


def step(epoch: int = 0) -> Step:
    return Step(epoch, 0, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("likelihood", get_args(Likelihood))
def test_it_is_one_positive_and_the_mean_of_its_negatives(likelihood):
    sasrec, nbpo = model(), objective(likelihood=likelihood, prior=0.3, by=("level", "popularity", "state"))
    with torch.no_grad():
        nbpo.flips.by_popularity.fill_(0.7)
    total, count, _ = nbpo(sasrec, BATCH, step())
    where = BATCH.targets != 0
    h, drawn = encoded(sasrec, BATCH.history, where), sampler()(BATCH, step().rng)
    scores = candidate_scores(h, Source.of(sasrec), drawn)
    user = torch.tensor([1, 1, 1, 1, 2, 2])
    flips = nbpo.flips(h, user, torch.cat([drawn.positive[:, None], drawn.negatives], 1))
    expected = sum(
        observed(likelihood, scores[row, 0], flips[row, 0])
        + sum(unobserved(likelihood, scores[row, j], flips[row, j]) for j in range(1, 5)) / 4
        for row in range(6)
    )
    assert count == 6
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("likelihood", ["nbpo", "nbpo_o", "nbpo_w"])
def test_never_flipped_is_bpo(likelihood):
    """In value and in every gradient."""
    one, other = model(), model()
    total, *_ = objective(likelihood=likelihood, by=(), prior=0.0)(one, BATCH, step())
    plain, *_ = Score(sampler(), BPO())(other, BATCH, step())
    total.backward(), plain.backward()
    torch.testing.assert_close(total, plain)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_weighing_by_a_constant_moves_a_model_as_bpo_does():
    """The control that has no effect: every gradient is 1 - gamma times BPO's."""
    one, other = model(), model()
    total, *_ = objective(likelihood="nbpo_w", by=(), prior=0.25)(one, BATCH, step())
    plain, *_ = Score(sampler(), BPO())(other, BATCH, step())
    total.backward(), plain.backward()
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, 0.75 * theirs.grad)


def test_a_user_who_hides_most_moves_a_model_least():
    """The gradient is the sum of each user's own, weighted by 1 - gamma; the own one is what is left where the other hides everything."""

    def gradient(first: float, second: float) -> torch.Tensor:
        nbpo, sasrec = objective(likelihood="nbpo_w", by=("user",), prior=0.5), model()
        with torch.no_grad():
            nbpo.flips.by_user[1:3] = torch.tensor([first, second], dtype=torch.float64).clamp(1e-13, 1 - 1e-13).logit()
        nbpo(sasrec, BATCH, step())[0].backward()
        return torch.cat([p.grad.flatten() for p in sasrec.parameters()])

    alone, other = gradient(0, 1), gradient(1, 0)
    assert min(alone.norm(), other.norm()) > 0.1
    torch.testing.assert_close(gradient(0.1, 0.9), 0.9 * alone + 0.1 * other)


def test_an_accidental_positive_is_no_negative():
    """With shared negatives 1 to 9, each row's own positive is marked: it counts neither in the sum nor in the mean."""
    nbpo, sasrec = objective(sampler=sampler(n_negatives=V, shared=True), by=(), prior=0.2), model()
    total, *_ = nbpo(sasrec, BATCH, step())
    h = encoded(sasrec, BATCH.history, BATCH.targets != 0)
    scores = sasrec.score(h)[:, 1:]
    flip = torch.full_like(scores, logit(0.2))
    own = torch.nn.functional.one_hot(BATCH.targets[BATCH.targets != 0] - 1, V).bool()
    negative = unobserved("nbpo", scores, flip).masked_fill(own, 0).sum(1) / (V - 1)
    torch.testing.assert_close(total, (observed("nbpo", scores, flip)[own] + negative).sum())


def test_the_log_looks_at_all_shared_negatives_and_at_no_positive():
    """1,024 positives and 16 items that they share, one of which is everybody's own: mean and spread are those of the other 15."""
    nbpo = objective(by=("level",))
    own = torch.linspace(-2, 2, 16)
    flips = torch.cat([own[:1].expand(1024, 1), own.expand(1024, 16)], 1)
    hit = torch.zeros(1024, 16, dtype=torch.bool)
    hit[:, 0] = True
    said, others = nbpo.watched(flips, hit), own[1:].sigmoid()
    assert said["flip_mean"] == pytest.approx(others.mean().item(), abs=1e-4)
    assert said["flip_sd"] == pytest.approx(others.std(correction=0).item(), abs=1e-4)
    assert said["flip_auc"] == 1.0  # each exceeds the positive; which would count half itself
    few = nbpo.watched(flips[:2], None)
    assert few["flip_mean"] == pytest.approx(own.sigmoid().mean().item())
    assert nbpo.watched(flips[:1], torch.ones(1, 16, dtype=torch.bool)).keys() == said.keys()  # nobody is compared: numbers that are none


def test_the_head_holds_still_while_it_warms_up():
    nbpo, sasrec = objective(warmup_epochs=2, prior=0.2, likelihood="nbpo_o"), model()
    with torch.no_grad():
        nbpo.flips.by_level.fill_(1.0)
    for epoch, learns in ((1, False), (2, True)):
        nbpo.zero_grad()
        total, _, logs = nbpo(sasrec, BATCH, step(epoch))
        total.backward()
        assert (nbpo.flips.by_level.grad is not None) is learns
        assert (logs["flip_mean"] == pytest.approx(0.2)) is not learns


def test_a_head_that_goes_on_does_not_hold_still_again():
    """It is read, and learns from the first epoch on. Asked outside of training, before a saved state is read, it may rest."""
    first, again, sasrec = objective(warmup_epochs=2), objective(warmup_epochs=2), model()
    with torch.no_grad():
        first.flips.by_level.fill_(1.0)
    first(sasrec, BATCH, step(2))
    again.begin(first.state_dict())
    total, _, logs = again(sasrec, BATCH, step(0))
    total.backward()
    assert again.flips.by_level.grad is not None
    assert logs == first(sasrec, BATCH, step(2))[2]
    again.zero_grad()
    again.eval()(sasrec, BATCH, step(0))[0].backward()
    assert again.flips.by_level.grad is None


def test_a_head_that_was_kept_within_its_warm_up_warms_up_anew():
    """It knows nothing. What was saved before heads said so has learned where a part has left zero."""
    first, sasrec = objective(warmup_epochs=2), model()
    first(sasrec, BATCH, step(1))
    assert not first.warm
    first.eval()(sasrec, BATCH, step(2))  # outside of training everything is left as it was
    assert not first.warm
    old = {name: value for name, value in first.state_dict().items() if name != "warm"}
    for level, warm in ((0.0, False), (0.1, True)):
        again = objective(warmup_epochs=2)
        again.begin({**old, "flips.by_level": torch.full((1,), level)})
        assert bool(again.warm) is warm
    alone = objective(warmup_epochs=2, by=("state",))  # which starts away from zero, so that nothing is seen of it
    alone.begin({name: value for name, value in alone.state_dict().items() if name != "warm"})
    assert alone.warm


def test_a_head_that_goes_on_knows_its_own_rows():
    """The refit's, say: how popular items are is no part of what was learned."""
    fewer = recpref.Interactions.from_dataframe(FRAME[FRAME.timestamp < 5], user="user_id", item="item_id", time="timestamp")
    more, first = objective(), NBPO(V, U, D, fewer, sampler(), by=("level", "popularity", "state"))
    own = more.flips.popularity.clone()
    assert not torch.equal(own, first.flips.popularity)
    more.begin(first.state_dict())
    assert torch.equal(more.flips.popularity, own)
    assert torch.equal(more.flips.items.weight, first.flips.items.weight)


def test_at_rest_the_true_odds_are_those_of_the_end_of_the_warm_up():
    """With ``sampling`` the prior speaks of true odds: a head that has learned nothing says the same before and after, and nothing
    pulls at it."""
    sasrec, logs, losses = model(), [], []
    for pull in (0.0, 2.0):
        nbpo = objective(warmup_epochs=2, prior=0.2, likelihood="nbpo_o", by=("level", "sampling"), pull=pull)
        for epoch in (1, 2):
            total, _, said = nbpo(sasrec, BATCH, step(epoch))
            logs.append(said["flip_mean"])
            losses.append(float(total.detach()))
    assert logs[0] != pytest.approx(0.2, abs=1e-3)
    assert logs == [pytest.approx(logs[0])] * 4
    assert losses == [pytest.approx(losses[0])] * 4


def test_the_head_moves_no_encoder():
    """Its own terms reach the encoder through scores alone: with scores held, the encoder gets nothing."""
    nbpo = objective(by=("state",), prior=0.3)
    h = torch.randn(6, D, requires_grad=True)
    drawn = Candidates(torch.arange(1, 7), torch.randint(1, V + 1, (6, 4)))
    user = torch.ones(6, dtype=torch.long)
    nbpo.flips(h, user, nbpo.compared(user, drawn)).sum().backward()
    assert h.grad is None


def test_pull_draws_flips_to_the_prior():
    nbpo, sasrec = objective(by=("level",), prior=0.3, pull=2.0), model()
    with torch.no_grad():
        nbpo.flips.by_level.fill_(0.5)
    pulled = nbpo(sasrec, BATCH, step())[0]
    nbpo.pull = 0.0
    torch.testing.assert_close(pulled - nbpo(sasrec, BATCH, step())[0], torch.tensor(6 * 2.0 * 0.25))


def test_the_head_learns_at_its_own_rate_without_decay():
    nbpo, sasrec = objective(flip_lr=0.1), model()
    optimizer, _ = Optimizer(lr=1e-2, weight_decay=0.5)(torch.nn.ModuleList([sasrec, nbpo]), 10)
    heads = {id(p) for p in nbpo.flips.parameters()}
    for group in optimizer.param_groups:
        mine = {id(p) for p in group["params"]} & heads
        assert not mine or (len(mine) == len(group["params"]) and group["lr"] == pytest.approx(1e-3) and group["weight_decay"] == 0)
    every = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(every) == len(set(every)) == len(list(sasrec.parameters())) + len(heads)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sampler": Catalogue()}, "sampler=catalogue draws none; add sampler=uniform"),
        ({"prior": 0.0}, "nothing can be learned from there"),
        ({"prior": 1.0}, r"must lie in \[0, 1\)"),
        ({"pull": -1.0}, "objective.pull=-1.0 must not be negative"),
        ({"pull": math.nan}, "objective.pull=nan must not be negative, nor infinite"),
        ({"flip_lr": math.inf}, "objective.flip_lr=inf must not be negative, nor infinite"),
        ({"d_flip": 0}, "objective.d_flip=0 must be at least 1"),
        (
            {"by": ("sampling",), "sampler": InBatch(DATA.item_counts, DATA, n_negatives=4)},
            "those of uniform negatives, not of InBatch's",
        ),
        ({"by": ("recency",)}, "known: activity, exposure, item, level, popularity, propensity, sampling, state, user"),
    ],
)
def test_bad_options_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        objective(**options)


FEW = (
    "model.d_model=8",
    "model.n_layers=1",
    "model.max_len=8",
    "trainer.max_epochs=2",
    "stopping.every=1",
    "loader.batch_size=4",
    "logger=csv",
)


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "gru4rec"])
def test_it_trains_by_name_and_keeps_its_flips(name, tmp_path):
    given = [
        text
        for text in FEW
        if text.split("=")[0].removeprefix("model.") in (*components.options_of(components.find("model", name)), text.split("=")[0])
    ]
    nbpo = (
        "objective=nbpo",
        "objective.warmup_epochs=0",
        "objective.by=[level,popularity,state]",
        "sampler=uniform",
        "sampler.n_negatives=3",
    )
    run = recpref.fit(f"model={name}", *given, *nbpo, f"out={tmp_path}", data=DATA)
    assert run.metrics["test/ndcg@10"] >= 0
    assert run.trained.epochs == run.metrics["train/epochs"] > 0  # what the objective logs stands among the metrics, too
    saved = run.objective_state
    assert {key for key in saved if key.startswith("flips.")} >= {"flips.popularity", "flips.by_level", "flips.items.weight"}
    assert saved["flips.by_level"].item() != 0
    log = pd.read_csv(next(run.path.rglob("metrics.csv")))
    assert {"train/flip_mean", "train/flip_sd", "train/flip_auc"} <= set(log.columns)


def test_the_control_has_no_flips_to_learn(tmp_path):
    nbpo = ("objective=nbpo", "objective.by=[]", "objective.prior=0.25", "sampler=uniform", "sampler.n_negatives=3")
    run = recpref.fit("model=sasrec", *FEW, *nbpo, f"out={tmp_path}", data=DATA)
    assert run.experiment.objective.options["by"] == []


@pytest.mark.usefixtures("unchecked")  # a stand-in for a model
def test_it_trains_a_model_in_rounds(tmp_path):
    """Every round's loss counts, with the weight of the round, and flips are asked of each round's state."""
    shape = ("base=sasrec", "base.d_model=8", "base.n_layers=1", "base.max_len=8", "model.n_rounds=2", "model.per_round=2")
    short = ("trainer.max_epochs=2", "stopping.every=1", "loader.batch_size=4", "logger=csv", "stopping.k=2")
    nbpo = ("objective=nbpo", "objective.warmup_epochs=0", "sampler=uniform", "sampler.n_negatives=3")
    run = recpref.fit("model=ada_retrieval", *shape, *short, *nbpo, f"out={tmp_path}", data=DATA)
    assert run.objective_state["flips.by_level"].item() != 0
    rounds = run.model.train().rounds_at(BATCH.history, torch.tensor([[False, False, False, True]] * 2))
    (first, one), (second, two) = rounds
    assert (first, second) == (1.0, 0.3)
    sampled = Batch(BATCH.history, torch.tensor([[0, 0, 0, 5], [0, 0, 0, 7]]))
    nbpo = objective(by=(), prior=0.2)

    class Rounds:
        """The same two states, whatever dropout would make of them."""

        def rounds_at(self, history, where):
            yield from ((first, one), (second, two))

        def table(self):
            return run.model.table()

    total, count, _ = nbpo(Rounds(), sampled, step())
    drawn = sampler()(sampled, step().rng)
    flips = torch.full((2, 5), logit(0.2))
    expected = nbpo.values(run.model, one, flips, drawn).sum() + 0.3 * nbpo.values(run.model, two, flips, drawn).sum()
    assert count == 2
    torch.testing.assert_close(total, expected)
