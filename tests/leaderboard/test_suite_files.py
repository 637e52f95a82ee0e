"""The files of suites: those that ship, and what is wrong with one in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_suite import TEXT, TUNED, written

from recpref.composition.compose import compose
from recpref.leaderboard.suite import Suite
from recpref.leaderboard.suite_files import names, read
from recpref.overrides import chosen


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', "", "lacks 'title'"),
        ('title = "Tiny"', "title = 3", "title = 3 must be a text"),
        ('title = "Tiny"', 'title = "Tiny"\nname = "other"', "name = 'other' is nothing to say: a suite is called as its file is"),
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
        ('title = "Tiny"', 'title = "Tiny"\ntuned = 1', r"tuned = 1 must be tables, each under \[\[tuned\]\]"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_legal(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"tiny.toml.*{message}"):
        read(written(tmp_path, TEXT.replace(old, new, 1)))


def test_unknown_suites(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown suite 'qick'; did you mean 'quick'"):
        read("qick")
    with pytest.raises(ValueError, match=r"no such suite: .*nowhere.toml"):
        read(str(tmp_path / "nowhere.toml"))


GRIDS = """
title = "Tiny"
[models]
popular = ["model=popular"]
markov = ["model=markov"]
[data]
ml = ["data=ml_100k"]
[[grids]]
{first}
[[grids]]
overrides = ["split=global_temporal"]
{second}
"""


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("", "", "2 grids with no title run popular on ml; give each grid a title of its own"),
        ('title = "A"\nmodels = ["markov"]', 'title = "A"', "2 grids with the title 'A' run markov on ml"),
        ('models = ["popular", "popular"]', 'title = "B"', r"models = \['popular', 'popular'\] repeat"),
    ],
)
def test_experiments_that_nothing_tells_apart_are_refused(tmp_path: Path, first: str, second: str, says: str) -> None:
    """All but the last one's rows would be lost."""
    with pytest.raises(ValueError, match=says):
        read(written(tmp_path, GRIDS.format(first=first, second=second)))


def test_grids_of_one_title_that_share_nothing_are_fine(tmp_path: Path) -> None:
    suite = read(written(tmp_path, GRIDS.format(first='models = ["popular"]', second='models = ["markov"]')))
    assert [(e.model, len(e.overrides)) for e in suite.experiments()] == [("popular", 3)] * 3 + [("markov", 4)] * 3


@pytest.mark.parametrize("name", names())
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


def test_controls_of_the_rounds_differ_from_them_in_the_rounds_alone() -> None:
    """Both stages of each pair: one first stage, and a second that has every option in common but what is wrapped, and where the base has a
    rate of its own, the rate, which is that of the base."""
    plans = {experiment.model: compose(experiment.overrides) for experiment in read("rounds").experiments()}
    pairs = {name: name.replace("_again", "_ada") for name in plans if "_again" in name}
    assert len(pairs) == 13
    assert {name for name in plans if "_ada" in name} - set(pairs.values()) == {"sasrec_ada_kept"}  # the base is its control
    for control, rounds in pairs.items():
        (one, other), (first, second) = (plans[control], plans[rounds]), (plans[control].before, plans[rounds].before)
        assert first is not None
        assert first == second, control
        assert other.base is not None
        assert one.model == other.base
        rate = other.optimizer["lr"] * other.model.options["base_lr"]
        assert one.optimizer["lr"] == pytest.approx(rate), control
        alike = {"model": one.model, "base": None, "start": one.start, "optimizer": one.optimizer | {"lr": other.optimizer["lr"]}}
        assert replace(one, **alike, before=None) == replace(other, model=one.model, base=None, start=one.start, before=None), control


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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("trials = 7", "trials = 7\nunfinished = 7"), "ease on a: unfinished = 7 must lie between 0 and 6"),
        (("trials = 7", "trials = 0.5"), "trials = 0.5 must be a whole number"),
        (('data = "a"', 'data = "c"'), "unknown data 'c'"),
        (("trials = 7", 'trials = 7\ngrid = "Temporal"'), "unknown grid 'Temporal'"),
        (
            ("trials = 7", 'trials = 7\noverrides = []\n[[tuned]]\ndata = "b"\nmodel = "ease"\ntrials = 8'),
            "tuned by 7, 8 trials, and a suite gives",
        ),
        (
            ("trials = 7", 'trials = 7\noverrides = []\n[[tuned]]\ndata = "a"\nmodel = "ease"\ntrials = 7'),
            "a ease must be tuned once and run in one grid; it is tuned 2 times and runs in 1 grids",
        ),
    ],
)
def test_a_tuning_that_is_none_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "tiny.toml").write_text(TUNED.replace(*change))
    with pytest.raises(ValueError, match=says):
        read(str(tmp_path / "tiny.toml"))
