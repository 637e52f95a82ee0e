"""Stores: what goes in comes out, mapped; what is half there or something else is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recpref.data.cards import open_data
from recpref.data.interactions import Interactions
from recpref.data.store import FILE, new_store, open_store, write_store


@pytest.fixture
def data() -> Interactions:
    frame = pd.DataFrame({"u": ["b", "a", "b"], "i": [7, 7, 5], "t": [3, 1, 2], "rating": [1.0, 2.0, 3.0]})
    return Interactions.from_dataframe(frame, user="u", item="i", time="t", name="tiny")


@pytest.fixture
def path(data: Interactions, tmp_path: Path) -> Path:
    write_store(data, tmp_path / "store")
    return tmp_path / "store"


def test_what_goes_in_comes_out(data: Interactions, path: Path) -> None:
    found = Interactions.open(path)
    assert [found.user.tolist(), found.item.tolist(), found.time.tolist()] == [[1, 2, 2], [2, 1, 2], [1, 2, 3]]
    assert found.users.ids.tolist() == ["a", "b"]
    assert found.items.ids.tolist() == [5, 7]
    assert (found.clock, found.columns, found.name) == (data.clock, data.columns, "tiny")
    assert found.digest == data.digest
    assert found.offsets.tolist() == [0, 1, 3]
    assert found.item_counts.tolist() == data.item_counts.tolist()
    assert isinstance(found.user, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found.item[0] = 1


def test_without_times_and_with_features(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n1,a\n1,b\n")
    (tmp_path / "items.csv").write_text("item_id,title\nb,Bees\na,Ants\n")
    write_store(open_data(str(tmp_path)), tmp_path / "store")
    found = open_store(tmp_path / "store")
    assert found.time is None
    assert found.clock == "none"
    assert found.items.features["title"].tolist() == ["Ants", "Bees"]


def test_data_opens_it_anywhere(data: Interactions, path: Path) -> None:
    """By its path alone; columns may be named again, as a saved run does, but not otherwise than they were."""
    assert open_data(str(path), user="u", item="i", time="t").digest == data.digest
    with pytest.raises(ValueError, match=r"data\.time=none: .*store was prepared with time=t"):
        open_data(str(path), time="none")
    assert open_data(str(path), duplicates="first").report[-1] == "duplicates=first: there are none"


@pytest.mark.parametrize("name", ["user.npy", "time.npy", "items.parquet", "offsets.npy"])
def test_half_a_store_is_refused_by_name(path: Path, name: str) -> None:
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf"store is not a complete store: {name} has {len(content) - 1:,} of {len(content):,} bytes"):
        open_store(path)
    (path / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is not there; prepare it again"):
        open_store(path)


def test_what_is_no_store(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"is no store: it has no {FILE}; python -m recpref\.prepare"):
        open_store(tmp_path)
    content = json.loads((path / FILE).read_text())
    for text, message in (
        (json.dumps({**content, "format": 2}), "is a store of format 2, and this recpref reads format 1"),
        ("[]", r"store\.json is damaged"),
        ("{", r"store\.json is damaged"),
        (json.dumps({"format": 1}), r"store\.json is damaged"),
    ):
        (path / FILE).write_text(text)
        with pytest.raises(ValueError, match=message):
            open_store(path)


def test_a_pickle_is_not_read(path: Path) -> None:
    size = (path / "user.npy").stat().st_size
    np.save(path / "user.npy", np.array([{}], dtype=object), allow_pickle=True)
    content = json.loads((path / FILE).read_text())
    content["files"]["user.npy"] = (path / "user.npy").stat().st_size
    assert size != content["files"]["user.npy"]
    (path / FILE).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"user\.npy cannot be read"):
        open_store(path)


def test_it_takes_its_place_at_once_or_not_at_all(data: Interactions, path: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), new_store(path, 0) as place:
        (place / "user.npy").write_bytes(b"")
        raise RuntimeError("broken")
    assert open_store(path).digest == data.digest
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_what_stands_there_is_left_alone(data: Interactions, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("one")
    with pytest.raises(ValueError, match=r"out=.*thesis exists and is no store; it is left as it is"):
        write_store(data, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "one"


def test_a_full_disk_is_noticed_beforehand(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with (
        pytest.raises(ValueError, match=r"has 0\.0 GB left, and preparing needs about 5\.0; say out=FOLDER elsewhere"),
        new_store(tmp_path / "new" / "store", 5 * 10**9),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
