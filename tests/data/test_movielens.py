"""MovieLens as GroupLens ships it: ratings, and beside them movies and users without a header."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recpref.data.cards import open_data
from recpref.data.movielens import GENRES, layout_of
from recpref.data.preparing import prepare

TIME = 978300760
ML_1M = {
    "ratings.dat": f"1::30::5::{TIME}\n1::7::3::{TIME + 1}\n2::7::4::{TIME + 2}\n",
    "movies.dat": '7::Misérables, Les (1995)::Drama|Musical\n30::"Great" Cats: 2 (1998)::Musical\n31::Nobody\'s (1900)::Drama\n',
    "users.dat": "1::F::1::10::02139\n2::M::56::16::70072\n",
}
FLAGS = {"7": ["Drama", "War"], "30": ["unknown"]}
ML_100K = {
    "u.data": ML_1M["ratings.dat"].replace("::", "\t"),
    "u.item": "".join(
        f"{item}|Été {item} (1995)|01-Jan-1995||http://us.imdb.com/{item}|{'|'.join(str(int(name in flags)) for name in GENRES)}\n"
        for item, flags in FLAGS.items()
    ),
    "u.user": "1|24|M|technician|02139\n2|53|F|other|T8H1N\n",
    "u1.base": "1\t7\t5\t1\n",
    "u.info": "2 users\n",
}


def folder(path: Path, files: dict[str, str], encoding: str = "latin-1") -> str:
    """The files in a folder, in GroupLens's encoding."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_bytes(text.encode(encoding))
    return str(path)


def test_ml_1m(tmp_path: Path) -> None:
    """Quotation marks and a leading zero stay; what is said of ids without rows is left out; the digest is that of the rows alone."""
    path = folder(tmp_path / "ml-1m", ML_1M)
    data = open_data(path, encoding="latin-1")
    items, users = data.items.features, data.users.features
    assert items is not None
    assert users is not None
    assert items.to_dict("list") == {"title": ["Misérables, Les (1995)", '"Great" Cats: 2 (1998)'], "genres": ["Drama|Musical", "Musical"]}
    assert users.to_dict("list") == {"gender": ["F", "M"], "age": [1, 56], "occupation": [10, 16], "zip": ["02139", "70072"]}
    assert data.digest == open_data(f"{path}/ratings.dat").digest
    assert len(data) == 3


def test_ml_100k(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path / "ml-100k", ML_100K), encoding="latin-1")
    items, users = data.items.features, data.users.features
    assert items is not None
    assert users is not None
    assert items.columns.tolist() == ["title", "release_date", "video_release_date", "url", *GENRES]
    assert items["title"].tolist() == ["Été 7 (1995)", "Été 30 (1995)"]
    assert [[name for name in GENRES if row[name]] for _, row in items.iterrows()] == [["Drama", "War"], ["unknown"]]
    assert users.to_dict("list") == {
        "age": [24, 53],
        "gender": ["M", "F"],
        "occupation": ["technician", "other"],
        "zip": ["02139", "T8H1N"],
    }
    assert len(GENRES) == 19


def test_a_store_has_them_too(tmp_path: Path) -> None:
    """Whether the ratings are read part by part or whole."""
    for files in (ML_1M, ML_100K):
        path = folder(tmp_path / str(len(files)), files, "utf-8")
        data, store = open_data(path), prepare(path, tmp_path / f"store{len(files)}")
        for whole, kept in ((data.items, store.items), (data.users, store.users)):
            assert whole.features is not None
            assert kept.features is not None
            pd.testing.assert_frame_equal(whole.features, kept.features)


def test_the_encoding_is_grouplenss_where_none_is_said(tmp_path: Path) -> None:
    """Latin-1 or utf-8; another one is taken at the user's word, and what cannot be read in it is refused."""
    paths = [folder(tmp_path / encoding, ML_1M, encoding) for encoding in ("latin-1", "utf-8")]
    for path in paths:
        features = open_data(path).items.features
        assert features is not None
        assert features["title"][0] == "Misérables, Les (1995)"
    with pytest.raises(ValueError, match=r"movies\.dat is not written in ascii"):
        open_data(paths[0], encoding="ascii")


@pytest.mark.parametrize("line", ["movieId::title::genres", "7::Seven", "seven::Seven::Drama", ""])
def test_a_file_of_another_layout_is_not_theirs(tmp_path: Path, line: str) -> None:
    """It is left alone, as is one of that name beside other data than ratings."""
    path = folder(tmp_path / "other", {**ML_1M, "movies.dat": line})
    assert layout_of(tmp_path / "other" / "movies.dat") is None
    assert open_data(path).items.features is None
    beside = {"interactions.csv": "user_id,item_id\n1,7\n", "movies.dat": ML_1M["movies.dat"]}
    assert open_data(folder(tmp_path / "own", beside)).items.features is None


def test_a_table_with_a_header_is_preferred_and_names_of_columns_do_not_matter(tmp_path: Path) -> None:
    ratings = "userId,movieId,rating,timestamp\n1,7,3.5,1112486027\n"
    path = folder(tmp_path, {**ML_1M, "ratings.csv": ratings, "movies.csv": "movieId,title\n7,Seven\n"}, "utf-8")
    data = open_data(path)
    assert data.items.features is not None
    assert data.users.features is not None
    assert data.items.features["title"].tolist() == ["Seven"]
    assert data.users.features["zip"].tolist() == ["02139"]


def test_items_by_their_titles_have_no_features_of_numbers(tmp_path: Path) -> None:
    """The column of ids is called like one of the file's own."""
    path = folder(tmp_path, {"ratings.csv": f"userId,title,rating,timestamp\n1,Seven,4,{TIME}\n", "movies.dat": "1::Seven::Drama\n"})
    data = open_data(path, item="title")
    assert data.items.ids.tolist() == ["Seven"]
    assert data.items.features is None


def test_a_tab_in_a_title_is_a_blank_and_what_cannot_be_read_can_be_left_out(tmp_path: Path) -> None:
    tab = open_data(folder(tmp_path / "tab", {**ML_1M, "movies.dat": "7::A\tB::Drama\n"})).items.features
    assert tab is not None
    assert tab["title"][0] == "A B"
    path = folder(tmp_path / "broken", {**ML_1M, "movies.dat": "7::A::Drama\n30::A::B::Drama\n"})
    with pytest.raises(ValueError, match=r"movies\.dat .*; mend it, or rename movies\.dat to open the data without its features"):
        open_data(path)


def test_any_spelling_of_utf_8_is_that_of_none(tmp_path: Path) -> None:
    features = open_data(folder(tmp_path, ML_1M), encoding="UTF-8").items.features
    assert features is not None
    assert features["title"][0] == "Misérables, Les (1995)"
