"""Suites: what a file says, in which order, and what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.composition import chosen, compose
from recpref.leaderboard import suite
from recpref.leaderboard.suite import Suite, read

TEXT = """
title = "Tiny"
seeds = [1, 2]
overrides = ["logger=csv"]
[models]
popular = ["model=popular"]
sasrec = ["model=sasrec", "trainer.max_epochs=3"]
[data]
clicks = ["data=clicks.csv"]
more = ["data=more.csv", "data.k_core=2"]
[[grids]]
title = "all"
overrides = ["split=leave_one_out", "trainer.max_epochs=9"]
[[grids]]
title = "counted"
overrides = ["split=leave_last_n"]
data = ["more"]
models = ["popular"]
[[curves]]
title = "Width"
x = "model.d_model"
"""


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "tiny.toml").write_text(text)
    return str(tmp_path / "tiny.toml")


def test_the_experiments_of_a_suite_by_hand(tmp_path: Path) -> None:
    """Two models, two data sets, two seeds, and one model more on one of them: 2 * 2 * 2 + 2 = 10; the last override wins."""
    tiny = read(written(tmp_path, TEXT))
    found = list(tiny.experiments(["trainer.max_epochs=1"]))
    assert [(e.data, e.grid, e.model, e.seed) for e in found] == [
        *[("clicks", "all", model, seed) for model in ("popular", "sasrec") for seed in (1, 2)],
        *[("more", "all", model, seed) for model in ("popular", "sasrec") for seed in (1, 2)],
        *[("more", "counted", "popular", seed) for seed in (1, 2)],
    ]
    assert found[2].overrides == (
        *("logger=csv", "data=clicks.csv", "split=leave_one_out", "trainer.max_epochs=9"),
        *("model=sasrec", "trainer.max_epochs=3", "trainer.max_epochs=1", "seed=1"),
    )
    assert compose(found[2].overrides).trainer["max_epochs"] == 1
    assert compose(next(e for e in tiny.experiments() if e.model == "sasrec").overrides).trainer["max_epochs"] == 3
    assert (tiny.name, tiny.curves[0].x) == ("tiny", "model.d_model")


def test_without_grids_it_is_all_models_on_all_data(tmp_path: Path) -> None:
    tiny = read(written(tmp_path, TEXT.partition("[[grids]]")[0]))
    assert len(list(tiny.experiments())) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', "", "lacks 'title'"),
        ('title = "Tiny"', "title = 3", "title = 3 must be a text"),
        ("seeds = [1, 2]", "sedes = [1, 2]", "unknown key 'sedes'; did you mean 'seeds'"),
        ("seeds = [1, 2]", 'seeds = ["1"]', "must be a list of a whole number"),
        ("seeds = [1, 2]", "seeds = [1, 1]", r"seeds = \[1, 1\] repeat"),
        ("seeds = [1, 2]", "seeds = []", "seeds is empty"),
        ('popular = ["model=popular"]', 'popular = "model=popular"', "a table whose values are each a list of a text"),
        ('data = ["more"]', 'data = ["mroe"]', "unknown data 'mroe'; did you mean 'more'"),
        ('models = ["popular"]', 'models = ["poplar"]', "unknown model 'poplar'; did you mean 'popular'"),
        ('title = "counted"', 'tilte = "counted"', "grids: unknown key 'tilte'; did you mean 'title'"),
        ('x = "model.d_model"', "", "curves lacks 'x'"),
        ("[models]", "[models", "is no TOML"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_legal(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"tiny.toml.*{message}"):
        read(written(tmp_path, TEXT.replace(old, new, 1)))


def test_what_a_suite_says_itself_is_not_said_again(tmp_path: Path) -> None:
    tiny = read(written(tmp_path, TEXT))
    with pytest.raises(ValueError, match=r"seed= is said by the suite tiny; say seeds="):
        list(tiny.experiments(["seed=3"]))
    with pytest.raises(ValueError, match="model= is said by the suite"):
        list(tiny.experiments(["model=ease"]))


def test_unknown_suites(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown suite 'qick'; did you mean 'quick'"):
        read("qick")
    with pytest.raises(ValueError, match=r"no such suite: .*nowhere.toml"):
        read(str(tmp_path / "nowhere.toml"))


@pytest.mark.parametrize("name", suite.names())
def test_the_suites_that_ship_compose(name: str) -> None:
    """Every model and every grid of a suite is a complete plan, whether its data is here or not."""
    shipped = read(name)
    assert isinstance(shipped, Suite)
    models = {e.model: e for e in shipped.experiments()}
    grids = {e.grid: e for e in shipped.experiments()}
    for experiment in {**models, **grids}.values():
        plan = compose(experiment.overrides)
        assert plan.data.name is not None
    assert {e.seed for e in shipped.experiments()} == set(shipped.seeds)


def test_quick_is_what_it_promises() -> None:
    """At least seven models, three seeds, one data set."""
    quick = read("quick")
    assert len(quick.models) >= 7
    assert quick.seeds == [1, 2, 3]
    assert list(quick.data) == ["ml_100k"]


def test_sequential_has_both_protocols_for_what_has_a_clock() -> None:
    """The published tables' leave-one-out, and global temporal beside it."""
    found = {(e.data, chosen(e.overrides)["split"]) for e in read("sequential").experiments()}
    assert {data for data, split in found if split == "leave_one_out"} >= {"ml_1m", "beauty", "toys", "sports", "yelp", "video_games"}
    assert {data for data, split in found if split == "global_temporal"} >= {"ml_1m", "beauty_timed", "video_games_timed"}


TUNED = """
title = "Tiny"
[models]
popular = ["model=popular"]
ease = ["model=ease", "model.l2=10"]
[data]
a = ["data=a.csv"]
b = ["data=b.csv"]
[[tuned]]
data = "a"
model = "ease"
trials = 7
overrides = ["model.l2=99.5"]
"""


def test_what_a_search_found_holds_for_its_model_on_its_data(tmp_path: Path) -> None:
    """After the model's own overrides, before the command line's; the board says how much was searched."""
    (tmp_path / "tiny.toml").write_text(TUNED)
    suite = read(str(tmp_path / "tiny.toml"))
    found = {(e.data, e.model): chosen(e.overrides).get("model.l2") for e in suite.experiments()}
    assert found == {("a", "popular"): None, ("a", "ease"): "99.5", ("b", "popular"): None, ("b", "ease"): "10"}
    assert {chosen(e.overrides).get("model.l2") for e in suite.experiments(["model.l2=3"]) if e.model == "ease"} == {"3"}
    assert suite.budget == "Every model was tuned by 7 trials on each data set, by validation alone; popular had nothing to search."
    assert read("quick").budget == "No model was tuned for it: each has the values of its recipe."


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("trials = 7", "trials = 0.5"), "trials = 0.5 must be a whole number"),
        (('data = "a"', 'data = "c"'), "unknown data 'c'"),
        (("trials = 7", 'trials = 7\ngrid = "Temporal"'), "unknown grid 'Temporal'"),
        (
            ("trials = 7", 'trials = 7\noverrides = []\n[[tuned]]\ndata = "b"\nmodel = "ease"\ntrials = 8'),
            "tuned by 7, 8 trials, and a suite gives",
        ),
    ],
)
def test_a_tuning_that_is_none_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "tiny.toml").write_text(TUNED.replace(*change))
    with pytest.raises(ValueError, match=says):
        read(str(tmp_path / "tiny.toml"))
