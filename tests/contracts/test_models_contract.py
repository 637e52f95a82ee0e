"""What every model promises. A new file in recpref/models is tested here without editing this suite."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref import components
from recpref.objectives.score import encoded
from recpref.retrieval.topk import TopK
from recpref.types import Catalogue, History, Query, Retriever, Scorer

V = 20
ALL = components.names("model")
SMALL = {"d_model": 16, "n_layers": 1, "max_len": 16, "per_round": 2}
QUICK = {"d_model": 32, "n_layers": 1, "n_heads": 1, "max_len": 16, "dropout": 0.0, "attention_dropout": 0.0, "per_round": 2}


def options(name: str, wanted: dict) -> dict:
    return {key: value for key, value in wanted.items() if key in components.options_of(components.find("model", name))}


def frame(sequences: list[list[int]]) -> pd.DataFrame:
    rows = [(user, item, place) for user, items in enumerate(sequences) for place, item in enumerate(items)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


def interactions(sequences: list[list[int]]) -> recpref.Interactions:
    return recpref.Interactions.from_dataframe(frame(sequences), user="user_id", item="item_id", time="timestamp")


def facts() -> dict:
    """What a model may need to know before it has seen data. One that wraps another wraps this one."""
    return {"n_items": V, "n_users": V, "base": components.find("base", "sasrec")(V, **options("sasrec", SMALL))}


def built(name: str):
    torch.manual_seed(0)
    data = interactions([[1 + (u + i) % V for i in range(8)] for u in range(V)])
    known = facts() | {"item_counts": data.item_counts, "train": data}
    model = components.build(components.find("model", name), options(name, SMALL), known)
    if hasattr(model, "fit"):
        model.fit(data)
    return model.eval()


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows], dtype=torch.long)
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def catalogue(model, given: History) -> torch.Tensor:
    return TopK(model).scores(Query(given))


def scores_the_catalogue(name: str) -> bool:
    return any(hasattr(components.find("model", name), method) for method in ("table", "catalogue"))


# a model that keeps another toolkit's answers to the questions of its split has no scores for anything else (tests/bridges)
OF_ANY = [name for name in ALL if not hasattr(components.find("model", name), "asked_only")]
complete = pytest.mark.parametrize("name", [name for name in OF_ANY if scores_the_catalogue(name)])
counted = pytest.mark.parametrize("name", [name for name in OF_ANY if hasattr(components.find("model", name), "fit")])
retrievers = pytest.mark.parametrize("name", [name for name in ALL if hasattr(components.find("model", name), "table")])
scorers = pytest.mark.parametrize("name", [name for name in ALL if hasattr(components.find("model", name), "encode")])


@pytest.mark.parametrize("name", ALL)
def test_options_are_keyword_only_with_defaults_and_documented(name):
    model = components.find("model", name)
    for parameter in components.options_of(model).values():
        assert parameter.default is not inspect.Parameter.empty, parameter.name
    assert inspect.getdoc(model)
    assert "Source" in inspect.getdoc(inspect.getmodule(model)) or name == "popular"


@retrievers
def test_table_and_state_have_the_promised_shapes(name):
    model = built(name)
    assert isinstance(model, Retriever)
    vectors, bias = model.table()
    assert vectors.shape[0] == bias.shape[0] == V + 1
    assert bias[0] == -torch.inf
    assert torch.isfinite(bias[1:]).all()
    assert model.state(history([1, 2], [3])).shape == (2, vectors.shape[1])


@complete
def test_every_item_has_a_score_and_padding_has_none(name):
    model = built(name)
    assert isinstance(model, Retriever) is not isinstance(model, Catalogue)
    scores = catalogue(model, history([1, 2], [3]))
    assert scores.shape == (2, V + 1)
    assert (scores[:, 0] == -torch.inf).all()
    assert torch.isfinite(scores[:, 1:]).all()


@counted
def test_a_fitted_model_answers_any_history_whoever_has_it(name):
    """Nobody's number (0), a user's number, and no history at all: scores are those of the history alone, unless the model says that
    it has a vector for every training user."""
    model = built(name)
    given = history([4, 5, 6], [2], [])
    scores = catalogue(model, given)
    assert torch.isfinite(scores[:, 1:]).all()
    if not hasattr(model, "knows_users"):
        torch.testing.assert_close(catalogue(model, given._replace(user=torch.tensor([1, 2, 3]))), scores)
    assert catalogue(model, history([], [])).shape == (2, V + 1)


@counted
def test_fitting_takes_its_randomness_from_the_caller_and_leaves_no_gradients(name):
    one, again = built(name).state_dict(), built(name).state_dict()
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not any(value.requires_grad for value in built(name).state_dict().values())


@complete
def test_padding_and_neighbours_in_the_batch_change_nothing(name):
    model = built(name)
    alone, among = catalogue(model, history([4, 5, 6])), catalogue(model, history([4, 5, 6], [1] * 12, [2]))
    torch.testing.assert_close(alone[0, 1:], among[0, 1:], atol=1e-5, rtol=0)


@retrievers
def test_an_empty_history_has_the_same_finite_state_alone_and_among_others(name):
    model = built(name)
    among = model.state(history([4, 5, 6], []))[1:]
    assert among.isfinite().all()
    for alone in (torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 0, dtype=torch.long)):
        torch.testing.assert_close(model.state(History(alone, torch.zeros(1, dtype=torch.long))), among, atol=1e-5, rtol=0)


@complete
def test_a_saved_state_gives_the_same_scores(name):
    """Into weights of noise, and into a model that has seen no data."""
    model, other = built(name), built(name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    other.load_state_dict(model.state_dict())
    given = history([3, 1, 2], [9])
    assert torch.equal(catalogue(model, given), catalogue(other, given))
    fresh = components.build(components.find("model", name), options(name, SMALL), facts())
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(catalogue(model, given), catalogue(fresh.eval(), given))


@scorers
def test_score_is_the_inner_product_with_the_table(name):
    model = built(name)
    assert isinstance(model, Scorer)
    vectors, bias = model.table()
    h = torch.randn(5, vectors.shape[1])
    whole = model.score(h)
    torch.testing.assert_close(whole, h @ vectors.T + bias, atol=1e-5, rtol=0)
    items = torch.randint(1, V + 1, (5, 7))
    torch.testing.assert_close(model.score(h, items), whole.gather(1, items), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.score(h, items[:1]), whole[:, items[0]], atol=1e-5, rtol=0)


@scorers
def test_causal_says_what_it_is(name):
    model = built(name)
    left, right = history([1, 2, 3, 4]), history([1, 2, 3, 9])
    same = torch.allclose(
        model.encode(model.embed(left.items), left)[:, :3], model.encode(model.embed(right.items), right)[:, :3], atol=1e-6
    )
    assert same is model.causal


@scorers
def test_padding_as_a_candidate_scores_minus_infinity(name):
    model = built(name)
    h = torch.randn(3, model.table()[0].shape[1])
    assert (model.score(h)[:, 0] == -torch.inf).all()
    assert (model.score(h, torch.tensor([[0, 4]]))[:, 0] == -torch.inf).all()


@scorers
def test_the_state_is_the_last_step_unless_a_mask_is_appended(name):
    model, given = built(name), history([3, 1, 2, 7], [5, 6])
    last = model.encode(model.embed(given.items), given)[:, -1]
    assert torch.allclose(model.state(given), last, atol=1e-5) is not hasattr(model, "mask_id")


@scorers
def test_real_steps_do_not_see_padding(name):
    model, short, long = built(name), history([4, 5, 6]), history([4, 5, 6], [1] * 9)
    left, right = (model.encode(model.embed(given.items), given)[0, -3:] for given in (short, long))
    torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


@scorers
def test_encoding_some_positions_is_encoding_all_and_choosing(name):
    """``encode_at`` is a shorter way to the same numbers; the objective takes whichever there is."""
    model, given = built(name), history([3, 1, 2, 7], [5, 6], [8])
    where = torch.tensor([[True, False, False, True], [False, False, True, False], [False, False, False, True]])
    whole = model.encode(model.embed(given.items), given)[where]
    torch.testing.assert_close(encoded(model, given, where), whole, atol=1e-6, rtol=0)


@scorers
def test_what_training_saw_is_saved_with_the_weights(name):
    """After training on rows of three, a copy of the model gives a history of eight the same scores."""
    model, other, given = built(name).train(), built(name), history([1, 2, 3])
    model.encode(model.embed(given.items), given)
    other.load_state_dict(model.state_dict())
    long = history([5, 6, 7, 8, 1, 2, 3, 4])
    assert torch.equal(catalogue(model.eval(), long), catalogue(other, long))


@scorers
def test_embed_is_the_bare_table(name):
    model = built(name)
    assert torch.equal(model.embed(torch.tensor([[3, 7]]))[0], model.table()[0][[3, 7]])


LEARNING = (
    "loader.batch_size=32", "optimizer.lr=5e-3", "optimizer.warmup_steps=10", "optimizer.decay=cosine", "optimizer.average=0",
    "trainer.max_epochs=14", "stopping.every=14", "evaluation.filter_seen=false", "logger=csv",
)  # fmt: skip
HELP = {
    "cloze": ("examples.last_ratio=0.5",),  # what inference asks, more often: fewer epochs will do
    # the test histories are longer than any row: whoever learns rows by heart fails on them
    "prefix": ("model.dropout=0.2", "trainer.max_epochs=20", "stopping.every=20"),
}


def few_negatives(recipe: dict) -> tuple[str, ...]:
    """Samplers ask for 256 by default, and these catalogues have ten or twenty items, which users may meet again."""
    again = ("sampler.exclude_history=false",) if "sampler.exclude_history" in recipe else ()
    return ("sampler.n_negatives=8", *again) if "sampler" in recipe else ()


def quick(name: str, recipe: dict) -> list[str]:
    """The overrides that make a model small, and its base where it has one."""
    base = [f"base.{key}={value}" for key, value in options(recipe["base"], QUICK).items()] if "base" in recipe else []
    return [*(f"model.{key}={value}" for key, value in options(name, QUICK).items()), *base]


@scorers
def test_it_learns_the_cycle(name, tmp_path):
    """Item i of ten is followed by i mod 10 + 1, from any start: nothing but rank one will do."""
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, 10, 480), rng.integers(4, 7, 480)
    sequences = [[1 + (start + i) % 10 for i in range(n)] for start, n in zip(starts, lengths, strict=True)]
    recipe = dict(text.split("=") for text in components.find("model", name).recipe())
    helped = HELP.get(recipe.get("examples", ""), ()) + few_negatives(recipe)
    if "base" in recipe:
        helped += ("trainer.max_epochs=6", "stopping.every=6")  # the base alone, and as often in rounds
    run = recpref.fit(f"model={name}", *quick(name, recipe), *LEARNING, *helped, f"out={tmp_path}", data=interactions(sequences))
    assert run.metrics["test/hr@1"] > 0.95


@scorers
def test_it_stays_at_chance_where_there_is_nothing_to_learn(name, tmp_path):
    """Independent uniform items, nothing filtered: 5 of V items in the list, so HR@5 is 5 / V = .25, with error .022."""
    rng = np.random.default_rng(1)
    sequences = [rng.integers(1, V + 1, 8).tolist() for _ in range(400)]
    recipe = dict(text.split("=") for text in components.find("model", name).recipe())
    given = [*quick(name, recipe), *few_negatives(recipe)]
    run = recpref.fit(
        f"model={name}", *given, "trainer.max_epochs=4", "loader.batch_size=64", "logger=csv", "evaluation.filter_seen=false",
        f"out={tmp_path}", data=interactions(sequences),
    )  # fmt: skip
    assert abs(run.metrics["test/hr@5"] - 0.25) < 4 * 0.022


@counted
def test_a_fitted_model_stays_at_chance_where_there_is_nothing_to_learn(name, tmp_path):
    """Independent uniform items, nothing filtered: HR@5 is 5 / V = .25, with error .022."""
    rng = np.random.default_rng(1)
    sequences = [rng.integers(1, V + 1, 8).tolist() for _ in range(400)]
    given = [f"model.{key}={value}" for key, value in options(name, {"batch_size": 100, "n_epochs": 20}).items()]
    run = recpref.fit(f"model={name}", *given, "evaluation.filter_seen=false", f"out={tmp_path}", data=interactions(sequences))
    assert abs(run.metrics["test/hr@5"] - 0.25) < 4 * 0.022


@counted
def test_a_fitted_model_that_was_saved_serves_new_users_and_names_similar_items(name, tmp_path):
    data = interactions([[1 + (u + i) % V for i in range(8)] for u in range(V)])
    given = [f"model.{key}={value}" for key, value in options(name, SMALL).items()]
    run = recpref.load(recpref.fit(f"model={name}", *given, f"out={tmp_path}", data=data).path)
    found = run.recommend(pd.DataFrame({"user_id": ["new"] * 3, "item_id": [4, 5, 6], "timestamp": [0, 1, 2]}), k=5)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    assert not set(found["item"]) & {4, 5, 6}
    if name == "popular":
        with pytest.raises(ValueError, match="Popular has one number for each item"):
            run.similar([4], k=3)
    else:
        assert 4 not in run.similar([4], k=3)["similar"].tolist()


@complete
def test_recommendations_are_items_of_the_catalogue_once_each(name):
    model = built(name)
    ranking = TopK(model).recommend(Query(history([1, 2, 3], [4]), exclude=history([1, 2, 3], [4]).items), V)
    for row, seen in zip(ranking.items.tolist(), ({1, 2, 3}, {4}), strict=True):
        found = [item for item in row if item]
        assert sorted(found) == sorted(set(range(1, V + 1)) - seen)


def test_only_a_model_that_sees_both_sides_can_use_what_comes_after():
    """Item t is a function of item t + 1 alone (the previous one is random): Cloze fills it in, a causal model cannot."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    both, causal = (components.find("model", name)(V, **options(name, QUICK)) for name in ("bert4rec", "sasrec"))
    for model, mask in ((both, True), (causal, False)):
        optimizer = torch.optim.Adam(model.parameters(), 5e-3)
        for _ in range(150):
            later = torch.randint(1, V + 1, (64,), generator=rng)
            earlier = later % V + 1
            first = torch.randint(1, V + 1, (64,), generator=rng)
            hidden = torch.full_like(earlier, V + 1) if mask else earlier
            given = History(torch.stack([first, hidden, later], 1), torch.zeros(64, dtype=torch.long))
            place = 1 if mask else 0  # a causal model predicts the middle item from the first
            logits = model.score(model.encode(model.embed(given.items), given)[:, place])
            loss = torch.nn.functional.cross_entropy(logits, earlier)
            optimizer.zero_grad(), loss.backward(), optimizer.step()
        accuracy = float((logits.argmax(1) == earlier).double().mean())
        assert accuracy == 1.0 if mask else accuracy < 0.25
