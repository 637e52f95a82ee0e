"""python -m recpref.recommend: lists into a file, from a run's own data or other histories, or one line and no file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import recpref
from recpref import console
from recpref.prepare import prepare
from recpref.recommend import recommend
from recpref.runs.run import Run
from recpref.train import train

Recommend = Callable[..., str]


def cycle(n_users: int = 24, n_items: int = 15) -> pd.DataFrame:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places."""
    rows = [(f"u{u:02d}", f"i{(7 * u + t) % n_items:02d}", 1000 + t) for u in range(n_users) for t in range(4 + u % 5)]
    return pd.DataFrame(rows, columns=["who", "what", "when"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Popular, trained on a file with columns of its own."""
    folder = tmp_path_factory.mktemp("work")
    cycle().to_csv(folder / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    return recpref.fit("model=popular", f"data={folder}/clicks.csv", *columns, f"out={folder}/runs")


@pytest.fixture
def run_recommend(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Recommend:
    """Runs the verb as the command line would, in this process: what it printed."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["recommend", *arguments])
        console.main(recommend)
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_lists_for_every_user_of_the_runs_own_data(run_recommend: Recommend, run: Run, tmp_path: Path, suffix: str) -> None:
    """The file holds what ``Run.recommend`` returns for the whole histories; its folder is made."""
    out = tmp_path / "new" / f"recs.{suffix}"
    printed = run_recommend(f"run={run.path}", f"out={out}", "k=4")
    found = pd.read_parquet(out) if suffix == "parquet" else pd.read_csv(out)
    assert found.columns.tolist() == ["user", "item", "rank", "score"]
    pd.testing.assert_frame_equal(found, run.recommend(cycle(), k=4), check_dtype=False)
    assert f"96 recommendations for 24 users in {out}" in printed
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_home_folder(run_recommend: Recommend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ is what it is to a shell, in what is read and in what is written."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=popular", "data=~/clicks.csv", *columns, "out=~/runs")
    assert run.path.is_relative_to(tmp_path)
    run_recommend(f"run=~/{run.path.relative_to(tmp_path)}", "data=~/clicks.csv", "out=~/new/recs.csv", "k=1")
    assert len(pd.read_csv(tmp_path / "new" / "recs.csv")) == 24
    prepare(["data=~/clicks.csv", *columns, "out=~/store"])
    assert len(recpref.Interactions.open(tmp_path / "store")) == len(cycle())
    assert not (tmp_path / "~").exists()


def test_data_that_is_not_what_it_was_is_told(run_recommend: Recommend, tmp_path: Path) -> None:
    """Where the file that was trained on holds other rows now, a line says so; the lists are those of the rows that are there."""
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=popular", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}/runs")
    assert "beware" not in run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv", "k=1")
    cycle(n_users=5).to_csv(tmp_path / "clicks.csv", index=False)
    printed = run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv", "k=1")
    assert (
        f"beware: the data is not what {run.path} was trained on; users are served from what is there now, Interactions(clicks: 5"
        in printed
    )
    assert len(pd.read_csv(tmp_path / "recs.csv")) == 5


def test_the_default_is_ten(run_recommend: Recommend, run: Run, tmp_path: Path) -> None:
    """Without k, ten rows or what the catalogue has left."""
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.parquet")
    sizes = pd.read_parquet(tmp_path / "recs.parquet").groupby("user").size()
    assert sizes.to_dict() == (15 - cycle().groupby("who")["what"].nunique()).clip(upper=10).to_dict()


def test_lists_for_other_histories(run_recommend: Recommend, run: Run, tmp_path: Path) -> None:
    """data= names a file with the same columns; its users are new; the time column may be missing, which is said."""
    other = pd.DataFrame({"who": ["new", "new", "other"], "what": ["i00", "i05", "i07"]})
    other.to_csv(tmp_path / "other.csv", index=False)
    with pytest.warns(UserWarning, match=r"other\.csv has no column 'when', the times of training; .* recommend data\.time=NAME"):
        run_recommend(f"run={run.path}", f"data={tmp_path}/other.csv", f"out={tmp_path}/recs.csv", "k=2")
    found = pd.read_csv(tmp_path / "recs.csv")
    assert found["user"].tolist() == ["new", "new", "other", "other"]
    pd.testing.assert_frame_equal(found, run.recommend(other.assign(when=range(3)), k=2), check_dtype=False)
    run_recommend(f"run={run.path}", f"data={tmp_path}/other.csv", "data.time=none", f"out={tmp_path}/again.csv", "k=2")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again.csv"), found)


def test_histories_whose_columns_are_called_otherwise(run_recommend: Recommend, tmp_path: Path) -> None:
    """data.user=, data.item= and data.time= say what they are called: the lists are those of the run's own data, whose order counts."""
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=markov", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}/runs")
    other = cycle().rename(columns={"who": "a", "what": "b", "when": "c"}).iloc[::-1]
    other.to_csv(tmp_path / "other.csv", index=False)
    named = ["data.user=a", "data.item=b", "data.time=c"]
    run_recommend(f"run={run.path}", f"data={tmp_path}/other.csv", *named, f"out={tmp_path}/other-recs.csv")
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv")
    found = pd.read_csv(tmp_path / "recs.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "other-recs.csv"), found)
    run_recommend(f"run={run.path}", f"data={tmp_path}/other.csv", *named[:2], "data.time=none", f"out={tmp_path}/reversed.csv")
    assert not pd.read_csv(tmp_path / "reversed.csv").equals(found)


@pytest.mark.parametrize(("value", "seen"), [("true", False), ("false", True), ("False", True)])
def test_seen_items_are_filtered_or_not(run_recommend: Recommend, run: Run, tmp_path: Path, value: str, seen: bool) -> None:
    """filter_seen=false lets the most popular item come back to those who had it."""
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.parquet", f"filter_seen={value}", "k=15")
    found = pd.read_parquet(tmp_path / "recs.parquet")
    had = set(zip(cycle()["who"], cycle()["what"], strict=True))
    assert bool(had & set(zip(found["user"], found["item"], strict=True))) is seen


def test_seen_items_are_filtered_as_the_run_was_evaluated(run_recommend: Recommend, tmp_path: Path) -> None:
    """Where nothing is said: what the metrics of the run were measured with."""
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=popular", f"data={tmp_path}/clicks.csv", *columns, "evaluation.filter_seen=false", f"out={tmp_path}/runs")
    assert run.recommend(cycle(), k=15).groupby("user").size().eq(15).all()
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.parquet", "k=15")
    assert pd.read_parquet(tmp_path / "recs.parquet").groupby("user").size().eq(15).all()
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.parquet", "k=15", "filter_seen=true")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "recs.parquet"), run.recommend(cycle(), k=15, filter_seen=True))


def test_what_is_read_is_never_replaced(
    run_recommend: Recommend, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the histories, by whatever name, nor a part of their folder, nor what the run was trained on."""
    (tmp_path / "parts").mkdir()
    for name in ("clicks.csv", "parts/interactions.csv"):
        cycle().to_csv(tmp_path / name, index=False)
    (tmp_path / "link.csv").symlink_to(tmp_path / "clicks.csv")
    monkeypatch.chdir(tmp_path)
    own = str(run.experiment.data.name)
    for data, out in (("clicks.csv", "parts/../clicks.csv"), ("link.csv", "clicks.csv"), ("parts", "parts/interactions.csv"), (None, own)):
        with pytest.raises(SystemExit):
            run_recommend(f"run={run.path}", f"out={out}", *([f"data={data}"] if data else []))
        assert "is a file that is read" in capsys.readouterr().err
        pd.testing.assert_frame_equal(pd.read_csv(out), cycle())
    run_recommend(f"run={run.path}", "out=parts/recs.csv", "data=parts")


def rated() -> pd.DataFrame:
    """Every second row is rated 2, every first one is there twice."""
    frame = cycle().assign(stars=lambda f: 2 + 3 * (f.index % 2))
    return pd.concat([frame, frame.groupby("who").head(1).assign(when=5000, stars=5)], ignore_index=True)


def test_filters_of_training_hold_for_the_same_file(run_recommend: Recommend, tmp_path: Path) -> None:
    """Given the very file it was trained on, a run recommends what it recommends without; one line says how."""
    rated().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    rules = ["data.min_rating=4", "data.duplicates=first"]
    run = recpref.fit("model=markov", f"data={tmp_path}/clicks.csv", *columns, *rules, f"out={tmp_path}/runs")
    run_recommend(f"run={run.path}", f"out={tmp_path}/own.csv")
    printed = run_recommend(f"run={run.path}", f"data={tmp_path}/clicks.csv", f"out={tmp_path}/same.csv")
    assert (tmp_path / "same.csv").read_text() == (tmp_path / "own.csv").read_text()
    (line,) = [line for line in printed.splitlines() if "is read as the run's data were" in line]
    assert re.search(r"clicks\.csv is read .*: duplicates=first: \d+ of \d+ rows dropped.*; min_rating=4: \d+ of \d+ rows dropped", line)
    for said in ("data.min_rating=none", "data.duplicates=keep"):
        run_recommend(f"run={run.path}", f"data={tmp_path}/clicks.csv", f"out={tmp_path}/other.csv", said)
        assert (tmp_path / "other.csv").read_text() != (tmp_path / "own.csv").read_text()


def test_an_older_file_is_replaced(run_recommend: Recommend, run: Run, tmp_path: Path) -> None:
    """The new lists take the place of the old file."""
    (tmp_path / "recs.csv").write_text("old")
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv", "k=1")
    assert len(pd.read_csv(tmp_path / "recs.csv")) == 24


def test_items_may_be_chosen_by_files(run_recommend: Recommend, run: Run, tmp_path: Path) -> None:
    """A text of one id a line, or the item column of a table; an unknown id is counted."""
    (tmp_path / "only.txt").write_text("i03\n\n i04 \ni05\nnew\n")
    pd.DataFrame({"price": [1.5], "what": ["i04"]}).to_parquet(tmp_path / "never.parquet")
    with pytest.warns(UserWarning, match=r"1 of 4 ids of items are none that the model knows \(such as 'new'\)"):
        run_recommend(
            f"run={run.path}", f"out={tmp_path}/recs.csv", f"items={tmp_path}/only.txt", f"exclude_items={tmp_path}/never.parquet"
        )
    expected = run.recommend(cycle(), items=["i03", "i05"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "recs.csv"), expected, check_dtype=False)


def test_candidates_may_be_given_by_a_file(run_recommend: Recommend, tmp_path: Path) -> None:
    """Of ids that are texts in training and integers in the file, too."""
    frame = cycle().assign(who=lambda f: f.who.str[1:], what=lambda f: f["what"].str[1:])
    frame = pd.concat([frame, pd.DataFrame({"who": ["x", "x"], "what": ["y", "z"], "when": [1, 2]})], ignore_index=True)
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=markov", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}/runs")
    pairs = pd.DataFrame({"note": 1, "what": ["14", "13", "12", "14"], "who": ["10", "10", "11", "11"]})
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv", f"candidates={tmp_path}/pairs.csv")
    found = pd.read_csv(tmp_path / "recs.csv", dtype={"user": str, "item": str})
    expected = run.rerank(frame, pairs)
    assert sorted(zip(found.user, found["item"], strict=True)) == sorted(zip(pairs.who, pairs["what"], strict=True))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_one_alien_id_is_skipped_and_the_others_are_served(run_recommend: Recommend, tmp_path: Path) -> None:
    """It makes texts of a column that holds integers otherwise."""
    frame = cycle().assign(what=lambda f: f["what"].str[1:].astype(int))
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=popular", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}/runs")
    run_recommend(f"run={run.path}", f"out={tmp_path}/own.csv")
    alien = pd.DataFrame({"who": ["u00", "zz"], "what": ["SKU-9", "SKU-9"], "when": [1, 1]})
    pd.concat([frame, alien]).to_csv(tmp_path / "alien.csv", index=False)
    with pytest.warns(
        UserWarning, match=rf"2 of {len(frame) + 2} interactions name items .* 'SKU-9'\) and were skipped; 1 users have no other"
    ):
        run_recommend(f"run={run.path}", f"data={tmp_path}/alien.csv", f"out={tmp_path}/recs.csv")
    assert (tmp_path / "recs.csv").read_text() == (tmp_path / "own.csv").read_text()


def test_a_run_of_the_command_line_knows_its_data(run_recommend: Recommend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, then recommend, each by one command, as the README shows."""
    cycle().rename(columns={"who": "user_id", "what": "item_id", "when": "timestamp"}).to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["train", "model=popular", f"data={tmp_path}/clicks.csv", f"out={tmp_path}/runs"])
    console.main(train)
    (path,) = (tmp_path / "runs").glob("*/popular/*")
    run_recommend(f"run={path}", f"out={tmp_path}/recs.csv", "k=3")
    assert len(pd.read_csv(tmp_path / "recs.csv")) == 72


@pytest.mark.parametrize("switch", ["--help", "-h"])
def test_help(run_recommend: Recommend, switch: str) -> None:
    """The usage line and each option."""
    printed = run_recommend(switch)
    for word in ("python -m recpref.recommend", "run=", "out=", "k=", "data=", "filter_seen=", ".parquet", ".csv"):
        assert word in printed


BAD = [
    ([], "run= is missing; say python -m recpref.recommend run="),
    (["run={run}"], "out= is missing; say python -m recpref.recommend run="),
    (["out={out}/recs.csv"], "run= is missing"),
    (["run={run}", "out={out}/recs.json"], r"out=.*recs\.json must end in \.parquet or \.csv"),
    (["run={run}", "out={out}/recs"], r"must end in \.parquet or \.csv"),
    (["run={run}", "out={out}/recs.csv", "k=0"], "k=0 must be a whole number of at least 1"),
    (["run={run}", "out={out}/recs.csv", "k=-3"], "k=-3 must be a whole number"),
    (["run={run}", "out={out}/recs.csv", "k=ten"], "k=ten must be a whole number"),
    (["run={run}", "out={out}/recs.csv", "k=1.5"], r"k=1\.5 must be a whole number"),
    (["run={run}", "out={out}/recs.csv", "filter_seen=perhaps"], "unknown filter_seen 'perhaps'; .*known: false, true"),
    (
        ["run={run}", "out={out}/recs.csv", "top=3"],
        r"unknown option 'top'; .*known: candidates, data, data\.duplicates, data\.encoding, data\.item, data\.min_rating, "
        r"data\.missing_time, data\.rating, data\.separator, data\.ties, data\.time, data\.user, exclude_items, filter_seen, items, "
        r"k, out, rank, run, search",
    ),
    (["run={run}", "out={out}/recs.csv", "3"], "'3' is not of the form key=value"),
    (["run={run}", "out={out}/recs.csv", "--fast"], "unknown switch --fast; known: --help, -h"),
    (["run={out}", "out={out}/recs.csv"], "is not a run: it has no experiment.yaml"),
    (["run={out}/nowhere", "out={out}/recs.csv"], "nowhere is not a run"),
    (["run={run}", "out={out}/recs.csv", "data={out}/none.csv"], "no such file: .*none.csv"),
    (["run={run}", "out={out}/recs.csv", "data={out}/wrong.csv"], r"no column 'who'; it has 'a', 'b'; say data\.user=NAME"),
    (["run={run}", "out={out}/recs.csv", "data={out}/wrong.csv", "data.user=a"], "no column 'what'; it has 'a', 'b'; say .*data.item=NAME"),
    (["run={run}", "out={out}/recs.csv", "data.user=a"], "data.user= names a column of other histories; say data=histories.csv, too"),
    (
        ["run={run}", "out={out}/recs.csv", "data.encoding=latin-1"],
        "data.encoding= says how to read other histories; say data=histories.csv",
    ),
    (["run={run}", "out={out}/recs.csv", "data={out}/clicks.csv", "data.k_core=5"], "data.k_core is not applied to histories"),
    (
        ["run={run}", "out={out}/recs.csv", "data={out}/clicks.csv", "data.min_rating=four"],
        "data.min_rating=four must be a number, or none",
    ),
    (["run={run}", "out={out}/recs.csv", "data={out}/clicks.csv", "data.missing_time=keep"], "unknown data.missing_time 'keep'"),
    (["run={run}", "out={out}/clicks.csv", "data={out}/clicks.csv"], "clicks.csv is a file that is read .* and would be replaced"),
    (["run={run}", "out={out}/recs.csv", "items={out}/none.txt"], r"no such file: .*none\.txt"),
    (["run={run}", "out={out}/recs.csv", "items={out}/wrong.csv"], r"wrong\.csv has no column 'what'; it has 'a', 'b'; a text of one id a"),
    (["run={run}", "out={out}/clicks.csv", "items={out}/clicks.csv"], "clicks.csv is a file that is read"),
    (["run={run}", "out={out}/recs.csv", "exclude_items={out}/clicks.csv"], "^error: exclude_items: none of the 15 items"),
    (
        ["run={run}", "out={out}/recs.csv", "items={out}/clicks.csv", "search=hnsw"],
        "items and exclude_items restrict an exact search",
    ),
    (["run={run}", "out={out}/recs.csv", "candidates={out}/none.csv"], r"no such file: .*none\.csv"),
    (["run={run}", "out={out}/recs.csv", "candidates={out}/wrong.csv"], r"wrong\.csv has no column 'who'; it has 'a', 'b'"),
    (
        ["run={run}", "out={out}/recs.csv", "candidates={out}/clicks.csv", "items={out}/clicks.csv"],
        "candidates= says for each user what may be recommended; leave items= out",
    ),
    (["run={run}", "out={out}/clicks.csv", "candidates={out}/clicks.csv"], "clicks.csv is a file that is read"),
    (["run={run}", "out={out}/recs.csv", "user=a"], "unknown option 'user'; did you mean 'data.user'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_mistake_is_one_line_and_no_file(
    run_recommend: Recommend, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 2; neither the file nor a part of it is left."""
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as left:
        run_recommend(*(argument.format(run=run.path, out=tmp_path) for argument in arguments))
    err = capsys.readouterr().err
    assert left.value.code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert sorted(tmp_path.iterdir()) == before


def refused(run_recommend: Recommend, capsys: pytest.CaptureFixture[str], out: Path) -> str:
    """What is said of a file that cannot be written, before even the run is read."""
    with pytest.raises(SystemExit) as left:
        run_recommend("run=nowhere", f"out={out}")
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["recs.csv", "new/recs.csv"])
def test_a_read_only_folder_is_refused_before_the_work(
    run_recommend: Recommend, read_only: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One line, and not a traceback after hours."""
    out = read_only / name
    assert refused(run_recommend, capsys, out) == f"error: {out.parent} cannot be written to; say out=FILE for another place\n"


def test_a_folder_for_a_file_and_a_file_for_a_folder_are_refused_before_the_work(
    run_recommend: Recommend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither is touched."""
    folder, file = tmp_path / "recs.csv", tmp_path / "file"
    folder.mkdir()
    file.write_text("content")
    assert refused(run_recommend, capsys, folder) == f"error: out={folder} is a folder; say the file that is to be written\n"
    assert refused(run_recommend, capsys, file / "recs.csv") == f"error: {file} cannot be written to; say out=FILE for another place\n"
    assert file.read_text() == "content"


def test_a_failing_write_leaves_nothing(run_recommend: Recommend, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of the file."""

    def full(self: pd.DataFrame, path: Path, **_: object) -> None:
        Path(path).write_text("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="no space left"):
        run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv")
    assert not list(tmp_path.iterdir())


def test_a_model_from_elsewhere_can_be_trusted(run_recommend: Recommend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says trust='...'; the command line must have a way to say it."""
    (tmp_path / "their_popular.py").write_text("from recpref.models.popular import Popular\n\nclass Thing(Popular):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=their_popular:Thing", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}/runs")
    for trust in ("their_popular:Thing", "mine:Other,their_popular:Thing"):
        run_recommend(f"run={run.path}", f"out={tmp_path}/recs.csv", f"trust={trust}", "k=1")
        assert len(pd.read_csv(tmp_path / "recs.csv")) == 24
