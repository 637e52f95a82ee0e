"""JSON: an object a line as Amazon's reviews, an array, NBPO's lists, and what is none of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from recpref.data.asked import Asked
from recpref.data.cards import open_data
from recpref.data.json_lines import read_json

REVIEWS = [
    {"reviewerID": "A1", "asin": "0000031887", "overall": 5.0, "helpful": [0, 1], "reviewText": "good", "unixReviewTime": 1297468800,
     "reviewTime": "02 12, 2011"},
    {"reviewerID": "A1", "asin": "B00", "overall": 4.0, "unixReviewTime": 1297382400, "reviewTime": "02 11, 2011"},
]  # fmt: skip


def lines() -> bytes:
    return b"".join(json.dumps(review).encode() + b"\n" for review in REVIEWS)


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.json.gz", "array.json"])
def test_amazons_reviews(tmp_path: Path, name: str) -> None:
    content = json.dumps(REVIEWS).encode() if name.startswith("array") else lines()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    data = open_data(str(tmp_path / name))
    assert data.items.originals(data.item).tolist() == ["B00", "0000031887"]  # by time, and with its zeros
    assert data.columns == ("reviewerID", "asin", "unixReviewTime")
    assert data.extra is not None
    assert data.extra["overall"].tolist() == [4, 5]
    assert data.extra["reviewText"].isna().tolist() == [True, False]


def test_lists_of_items(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("[[7, 5], [], [7]]")
    assert read_json(tmp_path / "train.json", Asked()).to_pydict() == {"user_id": [0, 0, 2], "item_id": [7, 5, 7]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{'reviewerID': 'A1'}\n", "cannot be read: .*; the lines are Python, not JSON"),
        (lines()[:-30], "cannot be read"),
        (b"[{", "cannot be read"),
        (b'[{"user": 1, "item": 2, "item": 3}]', "cannot be read: two columns are called 'item'"),
        (b"[1, 2]", "holds neither objects nor lists of items"),
        (b'[["a", 1]]', "the lists mix types of items"),
        (b'{"user": "\xe9", "item": 1}', "is not written in utf-8; say data.encoding=latin-1"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.json:? ?{says}"):
        read_json(tmp_path / "bad.json", Asked())


def test_half_a_gz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.json.gz").write_bytes(gzip.compress(lines())[:-20])
    with pytest.raises(ValueError, match=r"bad\.json\.gz cannot be read"):
        read_json(tmp_path / "bad.json.gz", Asked())


def test_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"user": "\xe9", "item": 1}')
    assert open_data(str(tmp_path / "a.jsonl"), encoding="latin-1").users.ids.tolist() == ["é"]
