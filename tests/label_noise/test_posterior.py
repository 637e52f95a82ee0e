"""Ranking by the posterior: by hand, the constant that changes nothing, hidden positives that it finds, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref.label_noise.likelihood import auc, liked
from recpref.label_noise.posterior import Posterior
from recpref.models.ada_retrieval import AdaRetrieval
from recpref.runs.run import Run
from recpref.types import History

V, U = 20, 12
FRAME = pd.DataFrame(
    [(f"u{u:02d}", f"i{(u * 3 + i * i) % V:02d}", i) for u in range(U) for i in range(5 + u % 4)], columns=["who", "what", "when"]
)
TINY = (
    "model=sasrec", "model.d_model=8", "model.n_layers=1", "model.max_len=8", "trainer.max_epochs=3", "stopping.every=1", "logger=none",
    "sampler=uniform", "sampler.n_negatives=3",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = recpref.Interactions.from_dataframe(FRAME, user="who", item="what", time="when")
    nbpo = ("objective=nbpo", "objective.warmup_epochs=0", "objective.flip_lr=30", "objective.by=[level,popularity,item,user,state]")
    return recpref.fit(*TINY, *nbpo, f"out={tmp_path_factory.mktemp('runs')}", data=data)


def test_scores_are_the_logits_of_the_posterior_of_each_user(run: Run) -> None:
    """From the model's scores and the head's flips, user by user, by the probability itself."""
    found = run.posterior()
    head, model = found.model.flips, found.model.model
    lists = found.recommend(FRAME, V, filter_seen=False).sort_values(["user", "item"])
    for number, user in enumerate(sorted(FRAME.who.unique()), 1):
        rows = FRAME[FRAME.who == user]
        history = History(torch.tensor([[int(item[1:]) + 1 for item in rows["what"]]]), torch.tensor([number]))
        with torch.no_grad():
            state = model.state(history)
            flips = head(state, history.user, torch.arange(1, V + 1)[None])
            expected = liked(model.score(state)[:, 1:], flips)[0]
        own = lists[lists.user == user]
        assert own["item"].tolist() == [f"i{item:02d}" for item in range(V)]
        np.testing.assert_allclose(torch.sigmoid(torch.tensor(own.score.to_numpy())), expected, rtol=1e-5)
    assert head.by_user is not None
    assert head.by_user.abs().max() > 0.01  # the flips of users differ, so that taking everybody for nobody would show


def test_a_new_user_is_nobody_in_particular(run: Run) -> None:
    """By history alone, with the flips of user 0."""
    new = FRAME[FRAME.who == "u03"].assign(who="new")
    known, unknown = (run.posterior().recommend(frame, V, filter_seen=False) for frame in (FRAME[FRAME.who == "u03"], new))
    assert not np.allclose(known.sort_values("item").score, unknown.sort_values("item").score)
    plain = [run.recommend(frame, V, filter_seen=False).score for frame in (FRAME[FRAME.who == "u03"], new)]
    np.testing.assert_allclose(*plain, rtol=1e-5)


def test_constant_flips_rank_as_scores_do(tmp_path: Path) -> None:
    """The same lists in the same order; similar items are the model's own."""
    data = recpref.Interactions.from_dataframe(FRAME, user="who", item="what", time="when")
    run = recpref.fit(*TINY, "objective=nbpo", "objective.by=[]", "objective.prior=0.25", f"out={tmp_path}", data=data)
    scored, ranked = run.recommend(FRAME, 5), run.posterior().recommend(FRAME, 5)
    pd.testing.assert_frame_equal(scored[["user", "item", "rank"]], ranked[["user", "item", "rank"]])
    np.testing.assert_allclose(ranked.score, scored.score + np.log(0.25), rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(run.posterior().similar("i03"), run.similar("i03"))


def test_it_finds_what_the_unpopular_hide(tmp_path: Path) -> None:
    """Taste is popularity and nothing else, and unpopular items are shown less: the score ranks by what was shown, a head that is told
    how ranks by what is liked. Items 0 to 19 are liked alike; the later ones were shown a third as often."""
    rng = np.random.default_rng(0)
    rows = [(user, item) for user in range(300) for item in range(20) if rng.random() < (0.6 if item < 10 else 0.2)]
    frame = pd.DataFrame(rows, columns=["user", "item"]).sample(frac=1, random_state=1)
    data = recpref.Interactions.from_dataframe(frame, user="user", item="item")
    nbpo = ("objective=nbpo", "objective.by=[popularity]", "objective.warmup_epochs=0", "objective.prior=0.6")
    run = recpref.fit(*TINY, *nbpo, f"out={tmp_path}", data=data)
    posterior = run.posterior()
    with torch.no_grad():
        posterior.model.flips.by_popularity.fill_(-1.0)  # who is popular is seldom hidden
    shown = {name: of.recommend(frame, 5)["item"].lt(10).mean() for name, of in (("score", run), ("posterior", posterior))}
    assert shown["posterior"] < shown["score"] - 0.1


@pytest.mark.parametrize(("shown", "least", "most"), [((0.9, 0.3), 0.7, 1.0), ((0.6, 0.6), 0.4, 0.6)])
def test_it_learns_who_hides(tmp_path: Path, shown: tuple[float, float], least: float, most: float) -> None:
    """Tastes, of which the first fifteen items are recorded three times as often as the others, or all alike: among liked items the learned
    flips tell the hidden from the observed in the first world and not in the second."""
    rng = np.random.default_rng(0)
    taste = 1.5 * rng.normal(size=(300, 2)) @ rng.normal(size=(2, 30)) + rng.gumbel(size=(300, 30))
    liked_ = np.zeros((300, 30), dtype=bool)
    np.put_along_axis(liked_, np.argsort(-taste, axis=1)[:, :12], values=True, axis=1)
    seen = liked_ & (rng.random((300, 30)) < np.repeat(shown, 15))
    user, item = np.nonzero(seen)
    frame = pd.DataFrame({"user": user, "item": item}).sample(frac=1, random_state=1)
    data = recpref.Interactions.from_dataframe(frame, user="user", item="item")
    nbpo = ("objective=nbpo", "objective.likelihood=nbpo_o", "objective.by=[level,popularity]", "objective.warmup_epochs=0")
    longer = ("objective.flip_lr=10", "optimizer.lr=3e-3", "optimizer.average=0", "trainer.max_epochs=20", "sampler.exclude_history=true")
    head = recpref.fit(*TINY, *nbpo, *longer, "stopping.every=5", f"out={tmp_path}", data=data).posterior().model.flips
    assert head.by_popularity is not None
    flip = np.zeros(30)
    flip[np.array(data.items.ids, dtype=int)] = head.by_popularity.item() * head.popularity[1:].numpy()
    each = torch.from_numpy(np.tile(flip, (300, 1)))
    assert least < auc(each[torch.from_numpy(liked_ & ~seen)], each[torch.from_numpy(seen)]) < most


def test_what_has_no_posterior_is_refused(run: Run, tmp_path: Path) -> None:
    """Nothing learned of flips; flips that a model learned itself; a model that answers in rounds."""
    data = recpref.Interactions.from_dataframe(FRAME, user="who", item="what", time="when")
    popular = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    with pytest.raises(ValueError, match="a posterior needs flip probabilities: train with objective=nbpo"):
        popular.posterior()
    factors = recpref.fit("model=nbpo_mf", "model.n_epochs=1", f"out={tmp_path}", data=data)
    with pytest.raises(ValueError, match=r"^the flips of NBPOMF itself are not offered as a posterior: train with objective=nbpo for one$"):
        factors.posterior()
    rounds = AdaRetrieval(V, run.model, n_rounds=2, per_round=2)
    with pytest.raises(ValueError, match="AdaRetrieval has not one score an item"):
        Posterior.of(rounds, run.experiment.objective.options, run.objective_state)
