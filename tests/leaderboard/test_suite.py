"""Suites: what one says, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.composition.compose import compose
from recpref.leaderboard.suite_files import read
from recpref.overrides import chosen

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


def test_what_a_suite_says_itself_is_not_said_again(tmp_path: Path) -> None:
    tiny = read(written(tmp_path, TEXT))
    with pytest.raises(ValueError, match=r"seed= is said by the suite tiny; say seeds="):
        list(tiny.experiments(["seed=3"]))
    with pytest.raises(ValueError, match="model= is said by the suite"):
        list(tiny.experiments(["model=ease"]))


def test_what_a_search_found_holds_for_its_model_on_its_data(tmp_path: Path) -> None:
    """After the model's own overrides, before the command line's; the board says how much was searched."""
    (tmp_path / "tiny.toml").write_text(TUNED)
    suite = read(str(tmp_path / "tiny.toml"))
    found = {(e.data, e.model): chosen(e.overrides).get("model.l2") for e in suite.experiments()}
    assert found == {("a", "popular"): None, ("a", "ease"): "99.5", ("b", "popular"): None, ("b", "ease"): "10"}
    assert {chosen(e.overrides).get("model.l2") for e in suite.experiments(["model.l2=3"]) if e.model == "ease"} == {"3"}
    assert suite.budget == (
        "Tuned by 7 trials each, on every data set by itself, by validation alone; with the values of the recipe: popular, ease on b."
    )
    (tmp_path / "tiny.toml").write_text(TUNED.replace("trials = 7", "trials = 7\nunfinished = 2"))
    assert "Tuned by 7 trials each (fewer finished: ease on a 5), on every data set" in read(str(tmp_path / "tiny.toml")).budget
    assert read("quick").budget == "No model was tuned for it: each has the values of its recipe."
