"""A saved run: complete, loaded as it was saved, recommending in the user's own words, and refusing what is no run."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
import torch
import yaml

import recpref
from recpref import components
from recpref.composition.compose import compose
from recpref.data.interactions import Interactions
from recpref.data.vocabulary import Vocabulary
from recpref.plan import FORMAT, Plan
from recpref.runs.run import Run
from recpref.runs.saving import FILES

TINY = (
    "model.d_model=8",
    "model.n_layers=1",
    "model.n_heads=1",
    "model.max_len=10",
    "optimizer.lr=0.02",
    "loader.batch_size=8",
    "stopping.every=1",
    "trainer.max_epochs=2",
    "evaluation.ks=[1,10]",
)


def cycle(n_users: int = 24, n_items: int = 15) -> pd.DataFrame:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places: user u makes 4 + u % 5 steps from item 7 u."""
    rows = [(f"u{u:02d}", f"i{(7 * u + t) % n_items:02d}", 1000 + t) for u in range(n_users) for t in range(4 + u % 5)]
    return pd.DataFrame(rows, columns=["who", "what", "when"])


def interactions(frame: pd.DataFrame) -> Interactions:
    """The frame under its own column names."""
    return Interactions.from_dataframe(frame, user="who", item="what", time="when", name="toy")


@pytest.fixture(scope="module", params=["sasrec", "bert4rec"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs of a tiny model, as ``fit`` returns it."""
    out = tmp_path_factory.mktemp("runs")
    return recpref.fit(f"model={request.param}", *TINY, f"out={out}", data=interactions(cycle()))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Popular: a run that takes no time."""
    return recpref.fit("model=popular", f"out={tmp_path_factory.mktemp('runs')}", data=interactions(cycle()))


@pytest.fixture
def copy(counted: Run, tmp_path: Path) -> Path:
    """A copy of a run's folder, to be spoilt."""
    return Path(shutil.copytree(counted.path, tmp_path / "copy"))


@pytest.fixture
def without_warnings() -> Iterator[None]:
    """For tests in which unknown items are expected."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*that the model does not know.*")
        yield


def test_a_run_has_all_its_files(run: Run) -> None:
    """What FILES names, the picture, and the logs for people and for TensorBoard; no training state."""
    names = {path.name for path in run.path.iterdir()}
    assert {*FILES, "curve.png", "logs"} <= names
    assert not [name for name in names if name.startswith(".") or name.endswith((".ckpt", ".pt", ".pkl"))]
    assert (run.path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (run.path / "logs" / "metrics.csv").is_file()
    assert list((run.path / "logs").glob("events.out.tfevents.*"))
    assert not list(run.path.parent.glob(".*"))


def test_the_experiment_file_holds_names_and_values(run: Run) -> None:
    """No ``_target_``, no tags; a safe loader reads it back as the experiment."""
    text = (run.path / "experiment.yaml").read_text()
    assert "_target_" not in text
    assert "!!" not in text
    content = yaml.safe_load(text)
    assert Plan.of(content) == run.experiment
    assert (content["format"], content["facts"]) == (FORMAT, {"n_items": 15, "n_users": 24})
    assert content["data"] | {"name": "toy", "user": "who", "item": "what", "time": "when"} == content["data"]


def test_per_user_values_average_to_the_metrics(run: Run) -> None:
    """Each test metric is the mean of its column, and every user stands there once, by original id."""
    assert run.per_user["user"].tolist() == sorted(cycle()["who"].unique())
    tested = {key.removeprefix("test/"): value for key, value in run.metrics.items() if key.startswith("test/")}
    assert set(run.per_user.columns) - {"user"} == {f"{metric}@{k}" for metric in components.names("metric") for k in (1, 10)}
    for name in set(run.per_user.columns) - {"user"}:
        assert run.per_user[name].mean() == tested[name]


def test_a_loaded_run_is_the_saved_run(run: Run) -> None:
    """Metrics, experiment, vocabulary and weights are equal, and scores are identical."""
    again = Run.load(str(run.path))
    assert (again.metrics, again.experiment) == (run.metrics, run.experiment)
    assert again.items.ids.tolist() == run.items.ids.tolist()
    assert all(torch.equal(value, run.model.state_dict()[name]) for name, value in again.model.state_dict().items())
    pd.testing.assert_frame_equal(again.recommend(cycle()), run.recommend(cycle()), check_exact=True)


def test_a_run_can_be_moved(counted: Run, copy: Path) -> None:
    """Nothing in the folder depends on where it lies."""
    pd.testing.assert_frame_equal(Run.load(copy).recommend(cycle()), counted.recommend(cycle()))


def test_load_takes_the_path_of_a_run(counted: Run) -> None:
    """``recpref.load(run.path)``."""
    assert recpref.load(counted.path).metrics == counted.metrics


def test_load_takes_a_text(counted: Run) -> None:
    """``recpref.load("runs/...")``."""
    assert recpref.load(str(counted.path)).metrics == counted.metrics


def test_loading_leaves_the_callers_random_state_alone(run: Run) -> None:
    """Reading a file is not a draw."""
    before = torch.get_rng_state()
    Run.load(run.path)
    assert torch.equal(torch.get_rng_state(), before)


def test_recommending_from_the_test_histories_repeats_the_evaluation(run: Run) -> None:
    """Without the last row of each user the list of ten hits exactly where the evaluation said it does."""
    frame = cycle()
    last = frame.groupby("who")["what"].last()
    lists = run.recommend(frame[frame.groupby("who").cumcount(ascending=False) > 0], k=10)
    assert lists.groupby("user").size().max() == 10
    hits = lists[lists["item"] == lists["user"].map(last)].set_index("user")
    assert len(hits) / len(last) == run.metrics["test/hr@10"]
    by_user = run.per_user.set_index("user")
    assert (by_user["hr@10"] == by_user.index.isin(hits.index)).all()
    assert hits["rank"].eq(1).sum() / len(last) == run.metrics["test/hr@1"]
    gain = 1 / np.log2(hits["rank"] + 1)
    assert gain.reindex(by_user.index, fill_value=0).to_numpy() == pytest.approx(by_user["ndcg@10"].to_numpy(), abs=1e-12)


def test_a_recommendation_by_hand(counted: Run) -> None:
    """Popular ranks by training counts.  A new user who saw the two most popular items gets the third first."""
    frame = cycle()
    train = frame[frame.groupby("who").cumcount(ascending=False) >= 2]
    counts = train["what"].value_counts()
    best = counts.index[:2].tolist()
    got = counted.recommend(pd.DataFrame({"who": "nobody yet", "what": best, "when": [1, 2]}), k=3)
    assert got.columns.tolist() == ["user", "item", "rank", "score"]
    assert got["user"].tolist() == ["nobody yet"] * 3
    assert got["rank"].tolist() == [1, 2, 3]
    assert got["score"].tolist() == [float(count) for count in counts.drop(best).iloc[:3]]
    assert [counts[item] for item in got["item"]] == got["score"].tolist()
    assert not set(got["item"]) & set(best)


def test_seen_items_come_back_where_they_are_not_filtered(counted: Run) -> None:
    """``filter_seen=False`` puts the most popular item first for everybody."""
    got = counted.recommend(cycle(), k=1, filter_seen=False)
    assert len(set(got["score"])) == 1
    assert got["score"][0] == float(counted.model.counts.max())
    seen = set(zip(cycle()["who"], cycle()["what"], strict=True))
    assert seen & set(zip(got["user"], got["item"], strict=True))
    kept = counted.recommend(cycle(), k=15)
    assert not seen & set(zip(kept["user"], kept["item"], strict=True))


def test_k_beyond_the_catalogue_gives_fewer_rows(run: Run) -> None:
    """15 items: a user with s distinct seen items gets 15 - s; ranks are 1, 2, ... without a gap."""
    lists = run.recommend(cycle(), k=40)
    seen = cycle().groupby("who")["what"].nunique()
    sizes = lists.groupby("user").size()
    assert sizes.to_dict() == (15 - seen).to_dict()
    assert all(ranks.tolist() == list(range(1, len(ranks) + 1)) for _, ranks in lists.groupby("user")["rank"])
    assert len(run.recommend(cycle(), k=40, filter_seen=False)) == 15 * 24


def test_neither_row_order_nor_company_matters(run: Run) -> None:
    """Users and rows shuffled (the time column orders), and users asked one by one or in batches: the same frame."""
    expected = run.recommend(cycle(), k=5)
    shuffled = cycle().sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(run.recommend(shuffled, k=5), expected)
    pd.testing.assert_frame_equal(run.recommend(pyarrow.Table.from_pandas(shuffled, preserve_index=False), k=5), expected)
    pd.testing.assert_frame_equal(run.recommend(polars.from_pandas(shuffled), k=5), expected)
    small = run.recommend(cycle(), k=5, batch_size=7)
    pd.testing.assert_frame_equal(small, expected, rtol=1e-5, atol=1e-7)
    alone = run.recommend(cycle()[cycle()["who"] == "u07"], k=5)
    pd.testing.assert_frame_equal(alone, expected[expected["user"] == "u07"].reset_index(drop=True), rtol=1e-5, atol=1e-7)


def test_who_a_user_was_in_training_does_not_matter(run: Run) -> None:
    """The same history under a new name gets the same items."""
    one = cycle()[cycle()["who"] == "u03"]
    columns = ["item", "rank", "score"]
    pd.testing.assert_frame_equal(run.recommend(one)[columns], run.recommend(one.assign(who="zz"))[columns])


def test_without_times_row_order_is_the_order(run: Run) -> None:
    """The frame may lack the time column that training had, which is said; who says so first hears nothing."""
    without = cycle().drop(columns="when")
    with pytest.warns(UserWarning, match="histories has no column 'when', the times of training; it has 'who', 'what': its rows are taken"):
        found = run.recommend(without)
    pd.testing.assert_frame_equal(found, run.recommend(cycle()))
    pd.testing.assert_frame_equal(run.recommend(run.histories(without, time="none")), found)


def test_a_run_without_times_misses_none(tmp_path: Path) -> None:
    """Nothing is said of a column that training did not have, either."""
    frame = cycle().drop(columns="when")
    run = recpref.fit("model=popular", f"out={tmp_path}", data=Interactions.from_dataframe(frame, user="who", item="what"))
    assert run.columns == ("who", "what", None)
    assert len(run.recommend(frame)) > 0


def test_columns_may_be_called_otherwise(run: Run) -> None:
    """Each is named where it is; the times under their new name order the rows."""
    other = cycle().rename(columns={"who": "a", "what": "b", "when": "c"}).sample(frac=1, random_state=3)
    found = run.histories(other, user="a", item="b", time="c")
    pd.testing.assert_frame_equal(run.recommend(found), run.recommend(cycle()))
    with pytest.raises(ValueError, match=r"no column 'what'; it has 'a', 'b', 'c'; say run\.histories\(frame, item=NAME\), or"):
        run.histories(other, user="a")
    with pytest.raises(ValueError, match=r"has no column 'd'; .*time=NAME"):
        run.histories(other, user="a", item="b", time="d")


@pytest.mark.parametrize("named", [True, False])
def test_ratings_that_training_left_out_are_counted(tmp_path: Path, named: bool) -> None:
    """A frame is taken as it is, and a warning says that the run's own filter does not hold; of fitting rows nothing is said."""
    frame = cycle().assign(stars=lambda f: (2 + f.index % 4).astype(float))
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when", "data.min_rating=4", *(["data.rating=stars"] if named else [])]
    run = recpref.fit("model=popular", f"data={tmp_path}/clicks.csv", *columns, f"out={tmp_path}")
    low = int((frame["stars"] < 4).sum())
    with pytest.warns(UserWarning, match=rf"{low} of {len(frame)} rows of the frame of histories have no 'stars' of 4 or more"):
        assert len(run.histories(frame)) == len(frame)
    run.recommend(frame[frame["stars"] >= 4])
    run.recommend(frame.drop(columns="stars"))
    run.recommend(frame.assign(stars="many"))


def test_histories_may_be_polars_or_interactions(run: Run) -> None:
    """Any frame that speaks Arrow, and data that is already read."""
    expected = run.recommend(cycle())
    pd.testing.assert_frame_equal(run.recommend(polars.from_pandas(cycle())), expected)
    pd.testing.assert_frame_equal(run.recommend(interactions(cycle())), expected)


def test_unknown_items_are_counted_and_skipped(run: Run) -> None:
    """3 of 6 rows name 2 unknown items; user b has no other and gets nothing."""
    frame = pd.DataFrame({"who": ["a", "a", "a", "b", "b", "c"], "what": ["i01", "new", "i02", "new", "newer", "i03"], "when": range(6)})
    with pytest.warns(UserWarning, match=r"3 of 6 interactions name items .* 'new', 'newer'\) .*skipped; 1 users have no other") as caught:
        lists = run.recommend(frame, k=4)
    assert len(caught) == 1
    assert lists["user"].tolist() == ["a"] * 4 + ["c"] * 4
    pd.testing.assert_frame_equal(lists, run.recommend(frame[frame["what"].isin(["i01", "i02", "i03"])], k=4), rtol=1e-5)


@pytest.mark.usefixtures("without_warnings")
def test_nobody_known_gives_an_empty_frame(run: Run) -> None:
    """Only unknown items: the columns are there, and no row."""
    lists = run.recommend(pd.DataFrame({"who": ["a", "b"], "what": ["new", "newer"]}), k=4)
    assert lists.columns.tolist() == ["user", "item", "rank", "score"]
    assert len(lists) == 0


def test_known_items_warn_nobody(run: Run) -> None:
    """Warnings are errors in this suite; there is none."""
    run.recommend(pd.DataFrame({"who": [7], "what": ["i01"]}))


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(counted: Run, k: int) -> None:
    """There is no list of nothing."""
    with pytest.raises(ValueError, match=f"k={k} must be a whole number of at least 1"):
        counted.recommend(cycle(), k=k)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("k", [2.5, 3.0, None, float("inf")])
def test_what_is_no_number_of_places_is_refused(counted: Run, k: object) -> None:
    asked = [lambda: counted.recommend(cycle(), k=k), lambda: counted.similar("i01", k=k)]
    for answer in asked if k is None else [*asked, lambda: counted.rerank(cycle(), cycle(), k)]:
        with pytest.raises(ValueError, match=f"k={k} must be a whole number of at least 1"):
            answer()


@pytest.mark.usefixtures("unchecked")
def test_a_text_is_no_truth(counted: Run) -> None:
    """It would count as true."""
    for answer in (counted.recommend, lambda frame, **said: counted.rerank(frame, frame, **said)):
        with pytest.raises(ValueError, match="filter_seen='false' must be True or False, or None"):
            answer(cycle(), filter_seen="false")


@pytest.mark.parametrize("container", [set, np.array, pyarrow.array, lambda ids: pyarrow.chunked_array([ids])])
def test_items_may_be_of_any_container(counted: Run, container: Callable[[list[str]], object]) -> None:
    expected = counted.recommend(cycle(), items=["i01", "i02"])
    pd.testing.assert_frame_equal(counted.recommend(cycle(), items=container(["i01", "i02"])), expected)
    with pytest.raises(ValueError, match="exclude_items are ids in one row, and a table of them was passed"):
        counted.recommend(cycle(), exclude_items=np.array([["i01"], ["i02"]]))


@pytest.mark.usefixtures("without_warnings")
def test_k_below_one_is_refused_for_nobody_too(counted: Run) -> None:
    """Whether an argument is legal does not depend on the data."""
    with pytest.raises(ValueError, match="k=0"):
        counted.recommend(pd.DataFrame({"who": ["a"], "what": ["new"]}), k=0)


def test_a_batch_size_below_one_is_refused(counted: Run) -> None:
    """-1 would recommend nothing to anybody, without a word."""
    with pytest.raises(ValueError, match="batch_size=-1 must be a whole number of at least 1"):
        counted.recommend(cycle(), batch_size=-1)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"who": ["a"], "what": [3]}), r"item ids are int \(such as .*3.*\) but were str \(such as 'i00'\) in training"),
        (pd.DataFrame({"user_id": ["a"], "what": ["i01"]}), "the frame of histories has no column 'who'; it has 'user_id', 'what'"),
        (pd.DataFrame({"who": ["a"], "item_id": ["i01"]}), "has no column 'what'; it has 'who', 'item_id'"),
        (pd.DataFrame({"who": [], "what": []}), "the frame of histories has no rows"),
        (pd.DataFrame({"who": ["a", None], "what": ["i01", "i02"]}), "column 'who' has 1 missing ids, the first in row 1"),
        ([1, 2], "a list is no data frame"),
    ],
)
def test_histories_that_are_none(counted: Run, frame: object, message: str) -> None:
    """Ids of the other kind, missing columns, no rows, missing ids, no frame."""
    with pytest.raises(ValueError, match=message):
        counted.recommend(frame)


def test_integer_ids_come_back_as_integers(tmp_path: Path) -> None:
    """The user's own ids, of their own type."""
    frame = cycle().assign(who=lambda f: f["who"].str[1:].astype(int) + 500, what=lambda f: f["what"].str[1:].astype(int) * 1000)
    run = recpref.fit("model=popular", f"out={tmp_path}", data=interactions(frame))
    lists = run.recommend(frame, k=2)
    assert lists["user"].dtype == lists["item"].dtype == np.int64
    assert set(lists["user"]) == set(range(500, 524))
    assert set(lists["item"]) <= set(frame["what"])
    with pytest.raises(ValueError, match=r"item ids are str .* but were int"):
        run.recommend(frame.astype({"what": str}))


def test_no_run(tmp_path: Path) -> None:
    """A folder without an experiment, and no folder."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"{re.escape(str(path))} is not a run: it has no experiment.yaml"):
            Run.load(path)


@pytest.mark.parametrize("name", [name for name in FILES if name != "experiment.yaml"])
def test_an_incomplete_run_names_what_it_lacks(copy: Path, name: str) -> None:
    """Each file in turn."""
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"is not a complete run: it lacks {re.escape(name)}"):
        Run.load(copy)


@pytest.mark.parametrize(("text", "found"), [("format: 99\n", "99"), ("model: {name: popular}\n", "None"), ("- a\n", "None"), ("", "None")])
def test_another_format(copy: Path, text: str, found: str) -> None:
    """A newer recpref's run, or a file that is something else."""
    (copy / "experiment.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"has format {found}, and this recpref reads format {FORMAT}; train it again"):
        Run.load(copy)


def test_a_tag_in_the_experiment_is_never_executed(copy: Path) -> None:
    """YAML can name Python calls; the safe loader refuses them."""
    trap = copy / "executed"
    with (copy / "experiment.yaml").open("a") as file:
        file.write(f'trap: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{trap}"]]\n')
    with pytest.raises(ValueError, match="constructor for the tag"):
        Run.load(copy)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("format: 1\nx: !!python/name:os.system\n", "constructor for the tag"),
        ("format: [1\n", "is not valid YAML"),
        ("format: 1\n", "model"),
    ],
)
def test_a_damaged_experiment_names_its_file(copy: Path, text: str, reason: str) -> None:
    """A tag, a truncated file, a file without a model."""
    (copy / "experiment.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"experiment\.yaml.*{reason}"):
        Run.load(copy)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"\x80\x04" + data, id="a pickle"),
    ],
)
def test_damaged_weights_are_refused(copy: Path, damage) -> None:
    """Half a file, no file, another format: one line that names the file."""
    file = copy / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r"copy/model\.safetensors does not fit its experiment"):
        Run.load(copy)


def test_weights_of_another_model_are_refused(copy: Path, run: Run) -> None:
    """A table of another shape or under another name."""
    shutil.copy(run.path / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors does not fit its experiment: "):
        Run.load(copy)


@pytest.mark.parametrize("trust", [None, "other.package:Thing", "evil"])
def test_a_file_cannot_name_code_to_import(copy: Path, monkeypatch: pytest.MonkeyPatch, trust: str | None) -> None:
    """A model from elsewhere in the file is imported only if the caller names just that."""
    (copy / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(copy)
    content = yaml.safe_load((copy / "experiment.yaml").read_text())
    content["model"] = {"name": "evil:Thing"}
    (copy / "experiment.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"made by evil:Thing, which is not part of recpref; .*say trust='evil:Thing'"):
        Run.load(copy, trust=trust)


@pytest.mark.parametrize(
    ("parts", "trust", "says"),
    [
        ({"table": {"name": "evil:Table"}}, "evil:Thing", "made by evil:Table, which is not part of recpref; .*say trust='evil:Table'"),
        (
            {"model": {"name": "evil:Thing"}, "table": {"name": "evil:Table"}},
            ("evil:Thing",),
            r"made by evil:Table, .*say trust=\('evil:Thing', 'evil:Table'\)",
        ),
    ],
)
def test_nor_a_table_of_items(
    copy: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, dict[str, str]], trust: str | tuple[str, ...], says: str
) -> None:
    """What stands in the place of the model's items is imported no sooner than the model."""
    (copy / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(copy)
    content = yaml.safe_load((copy / "experiment.yaml").read_text())
    (copy / "experiment.yaml").write_text(yaml.safe_dump(content | parts))
    with pytest.raises(ValueError, match=says):
        Run.load(copy, trust=trust)


def test_the_environment_of_a_run(counted: Run) -> None:
    """JSON with the versions, the commit and the machine."""
    found = json.loads((counted.path / "environment.json").read_text())
    assert {"when", "python", "packages", "commit", "platform", "device", "cores", "threads", "load", "peak_memory_mib"} <= set(found)
    assert 0 < found["seconds_per_1000"] < 1000
    assert found["packages"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]  # builds name themselves differently


def test_features_of_items_travel_with_the_run(tmp_path: Path) -> None:
    """items.csv of a folder comes back with the vocabulary, row by row."""
    folder = tmp_path / "shop"
    folder.mkdir()
    names = {"who": "user_id", "what": "item_id", "when": "timestamp"}
    cycle().rename(columns=names).to_csv(folder / "interactions.csv", index=False)
    titles = pd.DataFrame({"item_id": [f"i{i:02d}" for i in range(14, -1, -1)], "title": [f"Title {i}" for i in range(14, -1, -1)]})
    titles.to_csv(folder / "items.csv", index=False)
    run = recpref.fit("model=popular", f"data={folder}", f"out={tmp_path}/runs")
    assert run.items.features is not None
    assert dict(zip(run.items.ids, run.items.features["title"], strict=True)) == {f"i{i:02d}": f"Title {i}" for i in range(15)}


def test_a_run_says_what_it_is_in_a_line(tmp_path: Path) -> None:
    run = Run(
        tmp_path, compose(["model=popular", "data=ml_100k"]), {"test/ndcg@10": 0.12345, "test/hr@10": 0.2}, None, Vocabulary(np.arange(3))
    )
    assert repr(run) == f"Run(popular on ml_100k, NDCG@10 0.1235, HR@10 0.2000, {tmp_path})"
