"""What is written of a study: every trial, the best one's command, and a page that needs nothing from elsewhere."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser

import optuna
import pandas as pd
import pytest

from recpref.tuning.report import best_command, trials_of, write_report


@pytest.fixture
def study() -> optuna.Study:
    """Four trials end, the fifth is pruned, the sixth fails."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        x, kind = trial.suggest_float("model.dropout", 0, 1), trial.suggest_categorical("model.norm", ["pre", "<b>post</b>"])
        trial.set_user_attr("overrides", [f"model.dropout={x:.2f}", f"model.norm={kind}"])
        trial.report(x / 2, 1)
        if trial.number == 4:
            raise optuna.TrialPruned
        if trial.number == 5:
            trial.set_user_attr("error", "too <big>")
            raise ValueError("too <big>")
        return x

    made.optimize(objective, n_trials=6, catch=(ValueError,))
    return made


def test_a_row_a_trial(study):
    frame = trials_of(study)
    assert frame.state.tolist() == ["complete"] * 4 + ["pruned", "fail"]
    assert frame.ndcg[:4].tolist() == frame["model.dropout"][:4].tolist()
    assert frame.ndcg[4] == frame["model.dropout"][4] / 2  # what was known when it was pruned
    assert frame.error[5] == "too <big>"


def test_the_best_is_a_command_that_a_shell_reads_back(study):
    command = shlex.split(best_command(study, ["model=sasrec", "data=my clicks.csv"]))
    assert command[:5] == ["python", "-m", "recpref.train", "model=sasrec", "data=my clicks.csv"]
    assert command[5:] == study.best_trial.user_attrs["overrides"]


class Page(HTMLParser):
    """What a page loads, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.loads, self.tags, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_self_contained_and_its_texts_are_no_html(study, tmp_path):
    write_report(study, tmp_path, title="<i>sasrec</i> on clicks", fixed=["model=sasrec"])
    text = (tmp_path / "study.html").read_text()
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert text.count('class="plotly-graph-div"') == 5
    assert "i" not in page.tags
    assert "b" not in page.tags
    assert "<i>sasrec</i> on clicks" in page.words
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 6
    assert (tmp_path / "best.sh").read_text().splitlines()[-1] == best_command(study, ["model=sasrec"])
    assert {file.name for file in tmp_path.iterdir()} == {"study.html", "trials.csv", "best.sh"}


def test_a_study_without_results_has_a_page_and_no_command(tmp_path):
    empty = optuna.create_study(direction="maximize")
    write_report(empty, tmp_path, title="empty", fixed=[])
    assert "no trial has ended yet" in (tmp_path / "study.html").read_text()
    assert not (tmp_path / "best.sh").exists()
    with pytest.raises(ValueError, match="no trial has ended yet"):
        best_command(empty, [])


def test_where_every_trial_failed_there_is_a_table_without_a_best(tmp_path):
    """The end says what was wrong, the most frequent first, and so does the page."""
    made = optuna.create_study(direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("error", said := "n_heads=3" if trial.number else "n_heads=5")
        raise ValueError(said)

    made.optimize(objective, n_trials=3, catch=(ValueError,))
    frame = trials_of(made)
    assert frame[frame.state == "complete"].nlargest(5, "ndcg").empty
    assert frame.state.tolist() == ["fail"] * 3
    why = "no trial could be trained: n_heads=3 (2 times); n_heads=5 (1 time)"
    with pytest.raises(ValueError, match=re.escape(why)):
        best_command(made, [])
    write_report(made, tmp_path, title="empty", fixed=[])
    assert why in (tmp_path / "study.html").read_text()


def test_the_command_names_data_by_its_whole_path(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clicks.csv").write_text("")
    assert f"data={tmp_path}/clicks.csv" in shlex.split(best_command(study, ["model=sasrec", "data=clicks.csv"]))
    assert "data=ml_100k" in shlex.split(best_command(study, ["model=sasrec", "data=ml_100k"]))
