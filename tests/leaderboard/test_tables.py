"""The table as a frame and as files: every column, names that are text, and files that are replaced whole."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from recpref.leaderboard.claims import Claim, Claimed, Conditions
from recpref.leaderboard.rows import PLANNED, rows_of
from recpref.leaderboard.standing import with_standings
from recpref.leaderboard.suite import Experiment
from recpref.leaderboard.tables import frame, markdown, replacing, write, write_failures


@pytest.fixture
def rows(make_run) -> list:
    """EASE and SASRec, of which one seed is missing and the budget was cut; a claim beside the latter."""
    found = with_standings(
        rows_of(
            [
                *(make_run("model=ease", seed=seed, values=[1, 1, 1, 0] * 20) for seed in (1, 2)),
                make_run("model=sasrec", "trainer.max_epochs=2", values=[0, 0, 1, 0] * 20, epochs=2),
            ]
        )
    )
    claim = Claim("ml_100k", "sasrec", (), {"ndcg@10": 0.2}, "A paper | 2020", "Table 1", "its PDF", Conditions("leave_one_out", "full"))
    return [found[0], replace(found[1], missing=(2,), claims=[Claimed(claim, "ndcg@10", 0.2, "not known", "filter_seen not said there")])]


def test_the_frame_by_hand(rows: list) -> None:
    table = frame(rows).set_index("label")
    ease, sasrec = table.loc["ease"], table.loc["sasrec"]
    assert (ease["ndcg@10"], sasrec["ndcg@10"]) == (0.75, 0.25)
    assert ease["ndcg@10_low"] < 0.75 < ease["ndcg@10_high"]
    assert ease["ndcg@10_seed_sd"] == 0
    assert pd.isna(sasrec["ndcg@10_seed_sd"])
    assert (ease["standing"], sasrec["standing"]) == ("best", "behind")
    assert sasrec["best_minus_this_difference"] == pytest.approx(0.5)
    assert (ease["seeds"], sasrec["missing_seeds"]) == ("1 2", "2")
    assert pd.isna(ease["loss"])
    assert (sasrec["loss"], sasrec["sampler"], sasrec["objective"]) == ("cross_entropy", "catalogue", "score")
    assert sasrec["budget"] == "reduced: max_epochs=2 of 400"
    assert (sasrec["claim"], sasrec["claim_source"], sasrec["claim_table"]) == (0.2, "A paper | 2020", "Table 1")
    assert (sasrec["claim_protocol"], sasrec["protocols_match"]) == (
        "split=leave_one_out, ranking=full",
        "not known: filter_seen not said there",
    )
    assert (ease["train_seconds"], ease["seconds_per_1000"], ease["peak_memory_mib"], ease["parameters"]) == (2.0, 0.5, 102.0, 7)
    assert (ease["device"], ease["commit"], ease["split"], bool(ease["filter_seen"])) == ("cpu", "abc", "leave_one_out", True)
    assert sasrec["command"] == "python -m recpref.train model=sasrec data=ml_100k trainer.max_epochs=2 seed=1"


def test_columns_that_are_planned_are_there_and_empty(rows: list) -> None:
    table = frame(rows)
    assert set(PLANNED) <= set(table.columns)
    assert table[list(PLANNED)].isna().all().all()


def test_the_files_hold_the_same(rows: list, tmp_path: Path) -> None:
    write(tmp_path / "board", "Title", rows, ["a note"])
    table = pd.read_parquet(tmp_path / "board" / "leaderboard.parquet")
    with (tmp_path / "board" / "leaderboard.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["ndcg@10"]) for line in lines] == table["ndcg@10"].tolist() == [0.75, 0.25]
    assert list(lines[0]) == list(table.columns)
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == ["leaderboard.csv", "leaderboard.md", "leaderboard.parquet"]
    text = (tmp_path / "board" / "leaderboard.md").read_text()
    assert "| ease | 0.7500 [" in text
    assert "- a note" in text


def test_the_markdown_says_what_a_number_is_worth(rows: list) -> None:
    """Interval, standing, the claim and whether it compares, a cut budget, a missing seed; names are text."""
    odd = replace(rows[1], label="<b>sas|rec</b>\n# no")
    text = markdown("Title", [rows[0], odd], [])
    (line,) = [line for line in text.splitlines() if "sas" in line]
    assert line.startswith("| &lt;b>sas\\|rec&lt;/b> # no | 0.2500 [")
    for part in (
        "behind",
        "ndcg@10 0.2000, A paper \\| 2020 (protocols match: not known)",
        "reduced: max_epochs=2 of 400",
        "1 (missing 2)",
    ):
        assert part in line
    assert "## ml_100k: leave_one_out, full ranking, seen items filtered, 80 users" in text


def test_an_empty_leaderboard_is_one(tmp_path: Path) -> None:
    write(tmp_path, "Nothing yet", [], ["3 experiments are still to be run"])
    assert len(pd.read_parquet(tmp_path / "leaderboard.parquet")) == 0
    assert "still to be run" in (tmp_path / "leaderboard.md").read_text()


def test_failures_are_recorded(tmp_path: Path) -> None:
    write_failures(tmp_path, [(Experiment("odd", "ml", "", 1, ("model=sasrec",)), "n_heads=3 must divide")])
    assert json.loads((tmp_path / "failures.json").read_text()) == [
        {"model": "odd", "data": "ml", "grid": "", "seed": 1, "overrides": ["model=sasrec"], "error": "n_heads=3 must divide"}
    ]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with replacing(file) as partial:
        partial.write_text("one")
        assert not file.exists()
    with pytest.raises(KeyError), replacing(file) as partial:
        partial.write_text("two")
        raise KeyError
    assert file.read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
