"""Other histories read as a run's own were: the same data as training read, from whatever it took, and what is said wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import recpref
from recpref.data.cards import open_data
from recpref.runs.read_alike import files_of, read_alike, read_ids, rules
from recpref.runs.run import Run

COLUMNS = {"user": "who", "item": "what", "time": "when"}


def cycle() -> pd.DataFrame:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places, rated 2 and 5 in turn."""
    rows = [(f"ü{u:02d}", f"i{(7 * u + t) % 15:02d}", 1000 + t, 2 + 3 * (t % 2)) for u in range(24) for t in range(6 + u % 5)]
    return pd.DataFrame(rows, columns=["who", "what", "when", "stars"])


def trained(data: Path | str, out: Path, **options: Any) -> Run:
    said = [f"data.{key}={value}" for key, value in options.items()]
    return recpref.fit("model=popular", f"data={data}", *said, f"out={out}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    return trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_rating": 4},
        {"min_rating": 4, "rating": "stars"},
        {"duplicates": "first"},
        {"ties": "random"},
        {"missing_time": "drop"},
        {"encoding": "latin-1"},
        {"separator": "^"},
        {"time": "none"},
    ],
)
def test_the_file_of_training_is_the_data_of_training(tmp_path: Path, options: dict[str, Any]) -> None:
    frame = pd.concat([cycle(), cycle().groupby("who").head(2)])
    if "missing_time" in options:
        frame = frame.astype({"when": "Int64"}).reset_index(drop=True)
        frame.loc[::17, "when"] = pd.NA
    path = tmp_path / "clicks.csv"
    frame.to_csv(path, index=False, encoding=options.get("encoding"), sep=options.get("separator", ","))
    read = COLUMNS | options
    data = read_alike(str(path), trained(path, tmp_path / "runs", **read), {})
    assert data.digest == open_data(str(path), **read).digest


def test_few_interactions_are_histories_too(tmp_path: Path) -> None:
    """A k-core is for training: who is new has few."""
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    run = trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS, k_core=5)
    cycle().head(2).to_csv(tmp_path / "new.csv", index=False)
    assert len(read_alike(str(tmp_path / "new.csv"), run, {})) == 2


def test_what_is_said_wins(tmp_path: Path) -> None:
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    run = trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS, min_rating=4)
    other = tmp_path / "other.csv"
    cycle().rename(columns={"who": "a", "stars": "worth"}).to_csv(other, index=False, sep="|", encoding="latin-1")
    said = {"user": "a", "separator": "pipe", "encoding": "latin-1"}
    assert len(read_alike(str(other), run, {**said, "rating": "worth", "min_rating": "2"})) == len(cycle())
    assert len(read_alike(str(other), run, {**said, "rating": "worth"})) == (cycle().stars >= 4).sum()
    assert len(read_alike(str(other), run, {**said, "min_rating": "none"})) == len(cycle())
    with pytest.raises(ValueError, match=r"data\.rating=worth is the column that data\.min_rating is held against"):
        read_alike(str(other), run, {**said, "rating": "worth", "min_rating": "none"})
    with pytest.raises(ValueError, match=r"unknown option 'data.seperator'; did you mean 'data.separator'"):
        read_alike(str(other), run, {"seperator": "pipe"})


def test_histories_without_ratings_are_all_taken_and_a_warning_says_so(tmp_path: Path) -> None:
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    run = trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS, min_rating=4)
    cycle().drop(columns="stars").to_csv(tmp_path / "bare.csv", index=False)
    with pytest.warns(UserWarning, match="bare has no column of ratings, so all its rows are taken, and training took those of 4 or more"):
        assert len(read_alike(str(tmp_path / "bare.csv"), run, {})) == len(cycle())
    assert len(read_alike(str(tmp_path / "bare.csv"), run, {"min_rating": "none"})) == len(cycle())
    with pytest.raises(ValueError, match=r"data\.min_rating needs a column of ratings"):
        read_alike(str(tmp_path / "bare.csv"), run, {"min_rating": "4"})


def test_whatever_training_takes(run: Run, tmp_path: Path) -> None:
    """A folder of parts, shards, a store with columns of its own, a file of another kind: the same rows."""
    expected = open_data(str(tmp_path / "clicks.csv"), **COLUMNS).digest
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(cycle())), 3)):
        cycle().iloc[part].to_csv(tmp_path / "parts" / f"interactions_{number}.csv", index=False)
    cycle().to_parquet(tmp_path / "clicks.parquet")
    renamed = tmp_path / "renamed.csv"
    cycle().rename(columns={"who": "user_id", "what": "item_id", "when": "timestamp"}).to_csv(renamed, index=False)
    from recpref.data.preparing import prepare

    prepare(renamed, tmp_path / "store")
    for name in ("parts", "clicks.parquet", "store"):
        assert read_alike(str(tmp_path / name), run, {}).digest == expected
    with pytest.raises(ValueError, match=r"renamed\.csv has no column 'who'; it has .*; say data\.user=NAME"):
        read_alike(str(renamed), run, {})
    with pytest.raises(ValueError, match="unknown data set 'ml_100'; did you mean 'ml_100k'"):
        read_alike("ml_100", run, {})


def test_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, under its own columns and filters, and those of the run."""
    (tmp_path / "toys").mkdir()
    frame = cycle().rename(columns={"who": "user_id", "what": "item_id", "when": "timestamp", "stars": "rating"})
    frame.to_csv(tmp_path / "toys" / "interactions.csv", index=False)
    cards = tmp_path / "cards"
    cards.mkdir()
    head = 'name = "toys"\ntitle = "Toys"\nhomepage = "h"\nlicence = "l"\ncitation = "c"\nverified = false\n'
    body = 'columns = ["user_id", "item_id", "rating", "timestamp"]\n[expected]\n[[sources]]\nkind = "folder"\npath = "toys"\n'
    (cards / "toys.toml").write_text(head + body)
    monkeypatch.setenv("RECPREF_DATA", str(tmp_path))
    monkeypatch.setattr("recpref.data.cards.folder", lambda: cards)
    cycle().to_csv(tmp_path / "clicks.csv", index=False)
    run = trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS, min_rating=4)
    data = read_alike("toys", run, {})
    assert data.digest == open_data("toys", min_rating=4).digest
    assert str(rules("toys", data)).startswith("toys is read as the run's data were: min_rating=4: ")
    assert files_of("toys") == []
    assert len(read_alike("toys", trained("toys", tmp_path / "runs", time="none"), {"user": "user_id"})) == len(frame)


def test_integers_are_texts_where_the_catalogue_is_of_texts(tmp_path: Path) -> None:
    frame = cycle().assign(what=lambda f: f.what.str[1:].str.lstrip("0").replace("", "x"))
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    run = trained(tmp_path / "clicks.csv", tmp_path / "runs", **COLUMNS)
    frame[frame.what != "x"].to_csv(tmp_path / "some.csv", index=False)
    data = read_alike(str(tmp_path / "some.csv"), run, {})
    assert data.items.kind == "str"
    pd.testing.assert_frame_equal(run.recommend(data), run.recommend(frame[frame.what != "x"]))


def test_nothing_is_said_of_rules_where_there_are_none(run: Run, tmp_path: Path) -> None:
    assert rules("clicks.csv", read_alike(str(tmp_path / "clicks.csv"), run, {})) is None


@pytest.mark.parametrize("kind", [int, str])
def test_ids_of_a_file(tmp_path: Path, kind: type) -> None:
    """Of the kind of the catalogue, whatever they are written in; one alien id leaves the others known."""
    frame = cycle().assign(what=lambda f: f.what.str[1:].astype(int).astype(kind).replace("0", "x"))
    data = recpref.Interactions.from_dataframe(frame, **COLUMNS)
    run = recpref.fit("model=popular", f"out={tmp_path}/runs", data=data)
    (tmp_path / "ids.txt").write_text("\ufeff3\n12\n")
    (tmp_path / "ids").write_text("3\n12\nSKU-9\n")
    pd.DataFrame({"what": [3, 12]}).to_csv(tmp_path / "ids.csv", index=False)
    for name in ("ids.txt", "ids.csv"):
        assert read_ids(str(tmp_path / name), run) == [kind(3), kind(12)]
    assert read_ids(str(tmp_path / "ids"), run) == ["3", "12", "SKU-9"]
    with pytest.warns(UserWarning, match=r"1 of 3 ids of items .*'SKU-9'"):
        assert set(run.recommend(data, items=read_ids(str(tmp_path / "ids"), run))["item"]) <= {kind(3), kind(12)}
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"none\.txt is empty"):
        read_ids(str(tmp_path / "none.txt"), run)
