"""RecBole's models as ours: run, saved, loaded, asked, refused, compared; with a process that plays RecBole, and with a real one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from plays_recbole import cyclic, player, real_python

import recpref
from recpref import components
from recpref.bridges import recbole
from recpref.bridges.answers import Answers
from recpref.composition.compose import compose
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.protocol import Evaluation
from recpref.experiment import located, validated
from recpref.leaderboard.differences import command
from recpref.leaderboard.rows import rows_of
from recpref.models.recbole import RecBole, fingerprint
from recpref.retrieval.topk import TopK
from recpref.runs.run import Run
from recpref.types import History, Query

POP = ("model=recbole", "model.algorithm=Pop", "model.epochs=3")


@pytest.fixture
def python(tmp_path, monkeypatch) -> Path:
    """One that plays RecBole, where the environment says that RecBole is."""
    found = player(tmp_path)
    monkeypatch.setenv(recbole.PYTHON, str(found))
    return found


@pytest.fixture
def run(python, tmp_path) -> Run:
    return recpref.fit(*POP, f"out={tmp_path}/runs", data=cyclic())


def test_a_run_has_the_metrics_of_the_function_and_what_rows_ask_for(python, run) -> None:
    """The same answers, up to the order of equal scores, which the run's seed shuffles: they are asked with the function's, too."""
    split = LeaveOneOut()(cyclic())
    trained = recbole.fit("Pop", cyclic(), split=split, epochs=3)
    evaluation = Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")})
    assert evaluation(TopK(run.model, seed=0), split.test).means == evaluation(trained.test, split.test).means
    assert evaluation(TopK(run.model, seed=0), split.valid).means == evaluation(trained.valid, split.valid).means
    assert (
        evaluation(TopK(run.model, seed=1), split.test).means.items()
        <= {key.removeprefix("test/"): value for key, value in run.metrics.items()}.items()
    )
    own = {key: value for key, value in run.metrics.items() if key.startswith(("recbole/", "train/"))}
    assert own.pop("train/seconds") > 0
    assert own == {
        "train/epochs": 3, "train/best_epoch": 1, "train/parameters": 7, "recbole/valid/ndcg@10": 0.25, "recbole/test/ndcg@10": 0.5,
        "recbole/version": "1.2.1", "recbole/device": "cpu", "recbole/seconds": 0.0,
    }  # fmt: skip


def test_a_row_says_whose_model_it_is_and_claims_no_loss_or_budget_of_ours(run) -> None:
    (row,) = rows_of([run.path])
    assert (row.label, row.options, row.budget, row.trained) == ("recbole Pop", ["model.algorithm=Pop", "model.epochs=3"], "", False)
    assert (row.cost.epochs, row.cost.parameters, row.cost.seconds_per_1000, row.n_users) == (3, 7, None, 60)


def test_the_seed_is_the_plans(python, tmp_path, monkeypatch) -> None:
    seen = []
    whole = recbole.fit
    monkeypatch.setattr(recbole, "fit", lambda *given, **named: seen.append(named["seed"]) or whole(*given, **named))
    recpref.fit(*POP, "seed=5", f"out={tmp_path}/runs", data=cyclic())
    assert seen == [5]


def test_where_recbole_is_changes_no_digest_and_is_not_needed_to_load(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(recbole.PYTHON, "/nowhere/python")
    assert located(compose((*POP, f"out={tmp_path}/runs")).on("frame", frame=True), cyclic())[1] == run.path
    again = recpref.load(run.path)
    test = LeaveOneOut()(cyclic()).test
    pd.testing.assert_frame_equal(again.recommend(test.history, k=5), run.recommend(test.history, k=5))


def test_recommend_is_the_list_that_was_measured(run) -> None:
    """A user's hit in the frame is the user's HR@5 in the run, and nothing that was seen is recommended."""
    test = LeaveOneOut()(cyclic()).test
    found = run.recommend(test.history, k=5)
    target = dict(zip(test.targets.users.originals(test.targets.user), test.targets.items.originals(test.targets.item), strict=True))
    hits = found[found["item"] == found["user"].map(target)].groupby("user").size()
    wanted = run.per_user.set_index("user")["hr@5"]
    assert hits.reindex(wanted.index, fill_value=0).tolist() == wanted.tolist()
    seen = set(zip(test.history.user.tolist(), test.history.item.tolist(), strict=True))
    numbers = zip(test.history.users.numbers(found["user"], "user"), test.history.items.numbers(found["item"], "item"), strict=True)
    assert not seen & {(int(user), int(item)) for user, item in numbers}


def test_what_was_not_asked_is_refused(run) -> None:
    data = cyclic()
    split = LeaveOneOut()(data)
    longer = pd.DataFrame({"u": data.users.originals(data.user), "i": data.items.originals(data.item), "t": data.time})
    with pytest.raises(
        ValueError, match=r"no answer for user number 1 with this history of \d items: it keeps RecBole's answers for users"
    ):
        run.recommend(longer)
    with pytest.raises(ValueError, match="no answer for a user who is not of its split"):
        run.recommend(longer.assign(u=1000 + longer.u))
    with pytest.raises(ValueError, match="k=101: RecBole keeps the best 100 items of each user"):
        run.recommend(split.test.history, k=101)
    with pytest.raises(ValueError, match="no answer for a user who is not of its split"):
        run.similar([1])
    query = Query(History(torch.tensor([[1]]), torch.tensor([1])), candidates=torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match="the best of some candidates: RecBole keeps the best 100"):
        TopK(run.model).recommend(query, 1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("refit=true", "refit=true trains on the validation rows, and model=recbole stops by them"),
        ("evaluation.sampled=uniform", "evaluation.sampled=uniform needs scores of any item"),
        ("evaluation.ks=[10,200]", r"evaluation.ks=\[10, 200\] asks for longer lists than model.k=100"),
        ("model.algorithm=", r"say which, such as model.algorithm=SASRec"),
        ("model.algorithm=KSR", "RecBole's KSR cannot be run: it reads a knowledge graph"),
        ("model.algorithm=Popp", "unknown RecBole model 'Popp'; did you mean 'Pop'"),
        ("model.algorithm=popular", "unknown RecBole model 'popular'"),
        ("model.epochs=0", "model.epochs=0 must be a whole number of at least 1"),
        ("model.config={hiden_size: 3}", "unknown option of RecBole's Pop 'hiden_size'; did you mean 'hidden_size'"),
        ("model.config=3", "model.config=3"),
        ("seed=-1", "seed=-1 must be at least 0"),
        ("split=none", "this split has none"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_and_nothing_is_left(python, tmp_path, override, message) -> None:
    with pytest.raises(ValueError, match=message):
        recpref.fit(*POP, override, f"out={tmp_path}/runs", data=cyclic())
    assert not list((tmp_path / "runs").rglob("metrics.json"))


def test_a_search_tells_recbole_nothing_of_the_test(python, tmp_path, monkeypatch) -> None:
    seen = []
    whole = recbole.fit
    monkeypatch.setattr(recbole, "fit", lambda *given, **named: seen.append(named["split"]) or whole(*given, **named))
    metrics, course = validated(compose(POP), cyclic(), tmp_path)
    assert seen[0].test is seen[0].valid
    assert 0 <= metrics["valid/ndcg@10"] <= 1
    assert course.epochs == 0


def test_options_of_recbole_are_said_again_by_the_command_of_a_row() -> None:
    config = (
        "{hidden_size: 128, loss_type: BPR, layers: [64,32], sampling: {how: 'a, b', alpha: 1e-4, dynamic: true, none: null, seed: '1'}}"
    )
    plan = compose(["model=recbole", "model.algorithm=SASRec", f"model.config={config}", "data=ml_100k"])
    words = shlex.split(command(plan, "d"))
    assert compose(words[3:]).model == plan.model


def test_answers_are_kept_as_far_as_filtering_may_need_them() -> None:
    """User 1 has seen two items and may be given one: three of four answers are kept. By hand."""
    rows = [(1, "a", 1), (1, "b", 2), (1, "c", 3), (1, "d", 4)]
    data = recpref.Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    split = LeaveOneOut()(data)
    answers = Answers(np.array([[0] * 4, [2, 1, 4, 3]], np.int32), np.array([[-np.inf] * 4, [9, 8, 7, 6]], np.float32), data)
    model = RecBole(4, algorithm="Pop", k=1)
    model.keep([(split.valid, answers)])
    assert model.items.tolist() == [2, 1, 4]
    history = History(torch.tensor([[0, 0, 1, 2]]), torch.tensor([1]))
    assert model.catalogue(history).tolist() == [[-np.inf, 8, 9, -np.inf, 7]]
    assert TopK(model).recommend(Query(history, exclude=history.items), 1).items.tolist() == [[4]]
    fresh = RecBole(4, algorithm="Pop", k=1)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.catalogue(history), model.catalogue(history))


def test_a_fingerprint_tells_histories_apart() -> None:
    """By items, order and length; the number of bytes of the integers does not count."""
    rng = np.random.default_rng(0)
    histories = {tuple(rng.integers(1, 50, rng.integers(1, 4)).tolist()) for _ in range(20_000)}
    assert len({fingerprint(np.array(items)) for items in histories}) == len(histories) > 8_000
    assert fingerprint(np.array([1, 2])) != fingerprint(np.array([2, 1]))
    assert fingerprint(np.array([1, 2], np.int32)) == fingerprint(np.array([1, 2], np.int64))


SUITE = """
title = "Two"
seeds = [1]
overrides = ["logger=csv", "data.user=u", "data.item=i", "data.time=t"]
[models]
popular = ["model=popular"]
theirs = ["model=recbole", "model.algorithm={algorithm}"]
[data]
clicks = ["data=clicks.csv"]
"""


def benchmarked(folder: Path, python: str, algorithm: str) -> subprocess.CompletedProcess[str]:
    data = cyclic()
    frame = pd.DataFrame({"u": data.users.originals(data.user), "i": data.items.originals(data.item), "t": data.time})
    frame.to_csv(folder / "clicks.csv", index=False)
    (folder / "two.toml").write_text(SUITE.format(algorithm=algorithm))
    line = [sys.executable, "-m", "recpref.benchmark", "suite=two.toml"]
    path = os.pathsep.join([str(Path(recpref.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, env={**os.environ, recbole.PYTHON: python, "PYTHONPATH": path})


@pytest.mark.slow
def test_a_suite_has_both_rows(python, tmp_path) -> None:
    """The process that plays RecBole recommends what is popular, as ours does."""
    done = benchmarked(tmp_path, str(python), "Pop")
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_parquet(tmp_path / "runs/suite-two/leaderboard.parquet").set_index("label")
    assert table.loc["theirs", "options"] == "model.algorithm=Pop"
    assert table.loc["theirs", "ndcg@10"] == pytest.approx(table.loc["popular", "ndcg@10"])
    assert table.loc["theirs", "loss"] is None


@pytest.mark.slow
def test_a_suite_without_recbole_says_so_in_a_line_and_makes_the_rest(tmp_path) -> None:
    python = player(tmp_path, broken="models")
    python.write_text(python.read_text().replace("Traceback: the loss is a cow", "ModuleNotFoundError: No module named 'recbole'"))
    done = benchmarked(tmp_path, str(python), "SASRec")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("failed:")]
    assert "cannot run RecBole; install it there (see docs/recbole.md), or say python=" in line
    assert "No module named 'recbole'" in line
    assert "Traceback" not in done.stdout + done.stderr
    assert json.loads((tmp_path / "runs/suite-two/failures.json").read_text())[0]["model"] == "theirs"
    assert list(pd.read_parquet(tmp_path / "runs/suite-two/leaderboard.parquet")["label"]) == ["popular"]


@pytest.mark.slow
def test_a_real_run_has_the_metrics_of_the_function(tmp_path, monkeypatch) -> None:
    """Scores of real models hardly tie: with another seed for ties the metrics are equal, too."""
    monkeypatch.setenv(recbole.PYTHON, real_python())
    data = cyclic(150, 40)
    for algorithm in ("ItemKNN", "GRU4Rec"):
        run = recpref.load(
            recpref.fit("model=recbole", f"model.algorithm={algorithm}", "model.epochs=2", f"out={tmp_path}", data=data).path
        )
        trained = recbole.fit(algorithm, data, epochs=2)
        evaluation = Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")})
        split = LeaveOneOut()(data)
        expected = {f"test/{key}": value for key, value in evaluation(trained.test, split.test).means.items()}
        measured = evaluation(TopK(run.model, seed=0), split.test).means
        assert {f"test/{key}": value for key, value in measured.items()} == expected
        assert run.metrics["train/epochs"] == trained.report["epochs"]
        assert run.metrics["recbole/test/ndcg@10"] == trained.report["test"]["ndcg@10"]
