"""The board of a suite: finished jobs in the table, the others in words, and every file in its place."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from recpref.leaderboard import claims as papers
from recpref.leaderboard import page as pages
from recpref.leaderboard.board import Board
from recpref.leaderboard.jobs import Job
from recpref.leaderboard.suite import Curve, Experiment, Suite

SUITE = Suite("tiny", "Tiny", {"p": ["model=popular"]}, {"ml": ["data=ml_100k"]}, curves=[Curve("Width", "model.d_model")])
FILES = ["failures.json", "leaderboard.csv", "leaderboard.html", "leaderboard.md", "leaderboard.parquet"]


@pytest.fixture
def jobs(make_run) -> list[Job]:
    """Two finished seeds, a third that failed, one still to be run, and data that is not here."""
    paths = [make_run(seed=seed) for seed in (1, 2)]
    third = paths[0].with_name(paths[0].name.replace("-s1", "-s3"))

    def said(seed: int, data: str = "ml") -> Experiment:
        return Experiment("most popular", data, "Leave-one-out", seed, ("model=popular",))

    return [
        *(Job(said(seed), "finished", path=path) for seed, path in enumerate(paths, 1)),
        Job(said(3), "failed", path=third, error="killed by SIGKILL"),
        Job(said(4), "new", path=third.with_name("x-s4")),
        *(Job(said(seed, "gone"), "absent", error="not here: data=steam") for seed in (1, 2)),
    ]


def test_the_files_of_a_suite(jobs: list[Job], tmp_path: Path) -> None:
    """They lie beside the runs; a row has the suite's names, and what is missing is told once a reason."""
    board = Board.of_suite(SUITE, "python -m recpref.benchmark suite=tiny", tmp_path / "suite-tiny")
    rows = board.write_jobs(jobs)
    assert sorted(path.name for path in (tmp_path / "suite-tiny").iterdir()) == FILES
    assert [(row.label, row.seeds, row.missing, row.grid) for row in rows] == [("most popular", (1, 2), (3,), "Leave-one-out")]
    text = (tmp_path / "suite-tiny" / "leaderboard.html").read_text()
    for note in (
        "1 experiments are still to be run",
        "no row has model.d_model",
        "ml Leave-one-out most popular seed 3: killed by SIGKILL",
        "gone Leave-one-out most popular seed 1 and 1 more: not here: data=steam",
    ):
        assert note in text
        assert note in (tmp_path / "suite-tiny" / "leaderboard.md").read_text()
    failures = json.loads((tmp_path / "suite-tiny" / "failures.json").read_text())
    assert [failure["error"] for failure in failures] == ["killed by SIGKILL", "not here: data=steam", "not here: data=steam"]


def test_a_run_of_other_users_costs_its_own_standing(make_run, tmp_path: Path) -> None:
    """The others are compared, and the page says why it is not."""
    paths = [make_run("model=ease", mean=0.9), make_run("model=popular"), make_run("model=markov", values=[1, 0, 1])]
    jobs = [Job(Experiment(path.parent.name, "ml", "", 1, ()), "finished", path=path) for path in paths]
    rows = Board.of_suite(SUITE, "x", tmp_path / "suite-tiny").write_jobs(jobs)
    assert {row.label: row.standing.place if row.standing else None for row in rows} == {
        "ease": "best",
        "popular": "behind",
        "markov": None,
    }
    for name in ("leaderboard.html", "leaderboard.md"):
        assert "markov on ml_100k was measured on other users" in (tmp_path / "suite-tiny" / name).read_text()


def test_written_twice_it_is_the_same(jobs: list[Job], tmp_path: Path) -> None:
    board = Board.of_suite(SUITE, "x", tmp_path / "suite-tiny")
    board.write_jobs(jobs)
    first = {name: (tmp_path / "suite-tiny" / name).read_bytes() for name in FILES if name != "leaderboard.html"}
    board.write_jobs(jobs)
    assert {name: (tmp_path / "suite-tiny" / name).read_bytes() for name in first} == first


def test_without_plotly_there_is_everything_but_the_page(jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "NEEDS", ("not_there_at_all",))
    Board.of_suite(SUITE, "x", tmp_path / "suite-tiny").write_jobs(jobs)
    assert sorted(path.name for path in (tmp_path / "suite-tiny").iterdir()) == [name for name in FILES if "html" not in name]


def test_claims_that_are_broken_cost_the_claims_only(jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "claims.toml").write_text("[[tables")
    monkeypatch.setattr(papers, "file", lambda: tmp_path / "claims.toml")
    board = Board.of_suite(SUITE, "x", tmp_path / "suite-tiny")
    (row,) = board.write_jobs(jobs)
    assert row.claims == []
    assert "claims.toml is no TOML" in (tmp_path / "suite-tiny" / "leaderboard.md").read_text()


def test_claims_are_beside_their_rows(make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = '{ data = "ml_100k", model = "popular", values = { "ndcg@10" = 0.04 } }'
    claim = f'[[tables]]\nsource = "A"\ntable = "1"\nranking = "full"\nclaims = [{values}]'
    (tmp_path / "claims.toml").write_text(claim)
    monkeypatch.setattr(papers, "file", lambda: tmp_path / "claims.toml")
    board = Board.of_runs("x", str(tmp_path / "report"))
    from recpref.leaderboard.rows import rows_of

    rows = board.finished(rows_of([make_run()]))
    board.write(rows, [])
    table = pd.read_parquet(tmp_path / "report" / "leaderboard.parquet")
    assert table[["claim", "claim_source", "protocols_match"]].to_numpy().tolist() == [
        [0.04, "A", "not known: split, filter_seen not said there"]
    ]
