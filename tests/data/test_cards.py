"""Dataset cards: every source gives the same data, and data other than the card says is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recpref import components
from recpref.data import cards, downloads
from recpref.data.checkup import unused_split
from recpref.data.interactions import Interactions

DATA = os.environ.get("RECPREF_DATA")
RECBOLE = importlib.util.find_spec("recbole")
ATOMIC = Path(RECBOLE.submodule_search_locations[0]) / "dataset_example/ml-100k/ml-100k.inter" if RECBOLE else Path("nowhere")  # type: ignore[index]
needs_data = pytest.mark.skipif(DATA is None, reason="set RECPREF_DATA to the folder of data sets")
needs_recbole = pytest.mark.skipif(not ATOMIC.is_file(), reason="RecBole's copy of ML-100K is not installed")

COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
# user, item, rating, time: 3 users, 3 items, 7 rows; item 30 occurs once; user 1's rows at time 5 are tied
ROWS = [(2, 10, 4, 8), (1, 20, 5, 5), (1, 10, 2, 5), (2, 20, 5, 7), (3, 10, 5, 1), (3, 20, 1, 2), (3, 30, 4, 3)]
EXPECTED = {"users": 3, "items": 3, "interactions": 7}


def text(separator: str = "\t") -> str:
    """The rows as u.data holds them."""
    return "".join(separator.join(map(str, row)) + "\n" for row in ROWS)


def toml(content: dict[str, Any]) -> str:
    """A flat TOML of strings, numbers, lists and [[sources]]; JSON's values are TOML's."""
    sources, tables = content.pop("sources"), {key: content.pop(key) for key in list(content) if isinstance(content[key], dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items()]
    for name, table in [*((f"[{name}]", table) for name, table in tables.items()), *(("[[sources]]", source) for source in sources)]:
        lines += [name, *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


class Shelf:
    """A folder of cards, an empty cache and no $RECPREF_DATA."""

    def __init__(self, path: Path):
        self.path, self.cards, self.cache, self.data = path, path / "cards", path / "cache", path / "data"
        for folder in (self.cards, self.data):
            folder.mkdir()

    def add(self, name: str, *sources: dict[str, Any], expected: dict[str, Any] | None = None, **more: Any) -> None:
        """Writes a card."""
        facts = dict.fromkeys(("title", "homepage", "licence", "citation"), "a toy")
        expected = EXPECTED if expected is None else expected
        content = {"name": name, **facts, "columns": COLUMNS, "verified": True, "expected": expected, **more, "sources": list(sources)}
        (self.cards / f"{name}.toml").write_text(toml(content))

    def put(self, name: str = "toy-folder") -> dict[str, Any]:
        """Puts the rows under $RECPREF_DATA and returns the source that names them."""
        (self.data / name).mkdir()
        pd.DataFrame(ROWS, columns=COLUMNS).to_csv(self.data / name / "interactions.csv", index=False)
        return {"kind": "folder", "path": name}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Cards of our own; what is not there is not looked for on the network."""
    shelf = Shelf(tmp_path)
    monkeypatch.setattr(cards, "folder", lambda: shelf.cards)
    monkeypatch.setattr(downloads, "cache", lambda: shelf.cache)
    monkeypatch.delenv("RECPREF_DATA", raising=False)
    return shelf


class Server:
    """Serves bytes by path on loopback, claiming ``claimed`` bytes where that is set, and counts the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.claimed: int | None = None
        self.requests = 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """A request handler that knows this server."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                content = server.files.get(self.path.strip("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(server.claimed or len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler

    def source(self, name: str, content: bytes, **more: Any) -> dict[str, Any]:
        """Serves the content and returns the source that names it."""
        self.files[name] = content
        return {"kind": "url", "path": f"{self.url}/{name}", "sha256": hashlib.sha256(content).hexdigest(), **more}

    @property
    def url(self) -> str:
        """Where this server is."""
        return f"http://127.0.0.1:{self.http.server_port}"

    def close(self) -> None:
        """Ends the thread and closes the socket."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for one test."""
    server = Server()
    yield server
    server.close()


def archive(path: Path, member: str, content: str) -> bytes:
    """A zip archive of one member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, content)
    return path.read_bytes()


def toy() -> Interactions:
    """The rows, straight from a frame."""
    return Interactions.from_dataframe(pd.DataFrame(ROWS, columns=COLUMNS), user="user_id", item="item_id", time="timestamp")


def test_a_folder_under_recpref_data(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts agree with the card and the data is called by the card's name."""
    shelf.add("toy", shelf.put())
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    data = cards.load("toy")
    assert (data.digest, data.name) == (toy().digest, "toy")
    assert cards.nearest("toy") == f"folder {shelf.data / 'toy-folder'}"


def test_a_file_in_recboles_wheel_is_read_without_importing_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name whose import fails: its file is still found."""
    package = shelf.path / "site" / "recbole"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('recbole must not be imported')")
    (package / "toy.inter").write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + text())
    monkeypatch.syspath_prepend(str(package.parent))
    shelf.add("toy", {"kind": "recbole", "path": "toy.inter", "header": True})
    assert cards.load("toy").digest == toy().digest
    assert "recbole" not in sys.modules
    assert cards.nearest("toy") == f"recbole {package / 'toy.inter'}"


@pytest.mark.parametrize("separator", ["\t", "::"])
def test_an_archive_is_downloaded_once(shelf: Shelf, server: Server, separator: str) -> None:
    """The second time it comes out of the cache, and ``nearest`` knows it."""
    content = archive(shelf.path / "a.zip", "toy/u.data", text(separator))
    shelf.add("toy", server.source("toy.zip", content, member="toy/u.data", separator=separator))
    assert cards.nearest("toy") is None
    assert cards.load("toy").digest == toy().digest
    assert cards.load("toy").digest == toy().digest
    assert server.requests == 1
    assert cards.nearest("toy") == f"url {shelf.cache / 'toy.zip'}"


def test_a_plain_file_is_downloaded(shelf: Shelf, server: Server) -> None:
    """Not everything is an archive."""
    shelf.add("toy", server.source("u.data", text().encode()))
    assert cards.load("toy").digest == toy().digest


def test_the_first_source_that_is_there_wins(shelf: Shelf, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder there is no download; without it there is."""
    shelf.add("toy", shelf.put(), server.source("u.data", text().encode()))
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    cards.load("toy")
    assert server.requests == 0
    monkeypatch.setenv("RECPREF_DATA", str(shelf.path / "elsewhere"))
    cards.load("toy")
    assert server.requests == 1


def test_a_wrong_checksum_is_refused_and_not_kept(shelf: Shelf, server: Server) -> None:
    """The address and both checksums are named; the next attempt starts from nothing."""
    shelf.add("toy", {**server.source("u.data", text().encode()), "sha256": "0" * 64})
    with pytest.raises(ValueError, match=rf"{server.url}/u\.data is not the file that the card describes: .*{'0' * 64}"):
        cards.load("toy")
    assert list(shelf.cache.iterdir()) == []
    assert cards.nearest("toy") is None


def test_a_file_cut_short_on_the_server_is_refused_and_not_kept(shelf: Shelf, server: Server) -> None:
    """What arrives is shorter than what the card's checksum was taken of."""
    source = server.source("u.data", text().encode())
    server.files["u.data"] = text().encode()[:-20]
    shelf.add("toy", source)
    with pytest.raises(ValueError, match=r"u\.data is not the file that the card describes"):
        cards.load("toy")
    assert list(shelf.cache.iterdir()) == []


def test_a_connection_cut_while_downloading_is_refused_and_not_kept(shelf: Shelf, server: Server) -> None:
    """The server promises more bytes than it sends."""
    shelf.add("toy", server.source("u.data", text().encode()))
    server.claimed = 10_000
    with pytest.raises((ValueError, ConnectionError), match=r"u\.data"):
        cards.load("toy")
    assert list(shelf.cache.iterdir()) == []


def test_a_spoiled_file_in_the_cache_is_downloaded_again(shelf: Shelf, server: Server) -> None:
    """The checksum is looked at each time, not only after the download."""
    shelf.add("toy", server.source("u.data", text().encode()))
    shelf.cache.mkdir()
    (shelf.cache / "u.data").write_text("1\t1\t1\t1\n")
    assert cards.load("toy").digest == toy().digest


def test_a_file_that_is_gone_is_no_connection(shelf: Shelf, server: Server) -> None:
    """404: the address, the answer, and the way out."""
    source = server.source("u.data", b"")
    server.files.clear()
    shelf.add("toy", source)
    with pytest.raises(ConnectionError, match=r"u\.data could not be downloaded: 404 .*; put the data into \$RECPREF_DATA instead"):
        cards.load("toy")


def test_without_a_network_the_way_out_is_named(shelf: Shelf) -> None:
    """Nothing listens at this port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shelf.add("toy", {"kind": "url", "path": f"http://127.0.0.1:{port}/u.data", "sha256": "0" * 64})
    with pytest.raises(ConnectionError, match=rf"127\.0\.0\.1:{port}/u\.data could not be downloaded: .* \$RECPREF_DATA instead"):
        cards.load("toy")


def test_data_that_is_nowhere_names_what_was_tried(shelf: Shelf) -> None:
    """Both sources and the variable that would help."""
    shelf.add("toy", {"kind": "folder", "path": "toy-folder"}, {"kind": "recbole", "path": "none.inter"})
    with pytest.raises(FileNotFoundError, match=r"toy was not found \(folder toy-folder, recbole none\.inter\); set RECPREF_DATA"):
        cards.load("toy")
    assert cards.nearest("toy") is None


def test_data_that_is_not_in_the_folder_that_is_set(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """To set it again would help nobody; where it points is named."""
    shelf.add("toy", {"kind": "folder", "path": "toy-folder"})
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    with pytest.raises(FileNotFoundError, match=rf"toy was not found \(folder toy-folder\); RECPREF_DATA={shelf.data} does not hold it$"):
        cards.load("toy")


@pytest.mark.parametrize(("key", "value", "found"), [("users", 4, 3), ("items", 2, 3), ("interactions", 8, 7)])
def test_other_counts_than_the_card_says_are_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, key: str, value: int, found: int
) -> None:
    """The card, what it expects and what was found."""
    shelf.add("toy", shelf.put(), expected={**EXPECTED, key: value})
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    with pytest.raises(ValueError, match=f"toy: the card expects {key} {value} but the data found has {found}"):
        cards.load("toy")


def test_another_digest_than_the_card_says_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts may agree and the rows may not."""
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    source = shelf.put()
    shelf.add("good", source, expected={**EXPECTED, "digest": toy().digest})
    shelf.add("bad", source, expected={**EXPECTED, "digest": "f00"})
    assert cards.load("good").digest == toy().digest
    with pytest.raises(ValueError, match=f"bad: the card expects digest f00 but the data found has {toy().digest}"):
        cards.load("bad")


def test_the_cards_filter_is_applied_and_replaced(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's 2-core drops item 30 and is checked; another filter is not held against the card's counts."""
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    shelf.add("toy", shelf.put(), expected={"users": 3, "items": 2, "interactions": 6}, filter={"k_core": 2})
    assert len(cards.load("toy")) == 6
    assert len(cards.load("toy", k_core=1)) == 7
    with pytest.raises(ValueError, match=r"data\.k_core=0 must be at least 1, which keeps everything"):
        cards.load("toy", k_core=0)
    assert len(cards.open_data("toy", k_core=1, min_rating=5)) == 3


def test_a_cards_rating_threshold(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ratings 4, 5, 2, 5, 5, 1, 4: five reach 4."""
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    shelf.add("toy", shelf.put(), expected={"users": 3, "items": 3, "interactions": 5}, filter={"min_rating": 4})
    assert len(cards.load("toy")) == 5
    assert cards.open_data("toy", rating="rating").report[-1] == "read with other options than the card's, so its counts were not checked"


@pytest.mark.parametrize("ask", [cards.card, cards.load, cards.nearest, cards.open_data])
def test_an_unknown_name_is_met_with_the_nearest_and_all(shelf: Shelf, ask: Any) -> None:
    """And with what else would do."""
    shelf.add("toy_1m")
    shelf.add("zoo")
    expected = r"unknown data set 'toy_m1'; did you mean 'toy_1m'\? known: toy_1m, zoo, or the path of a \.csv, "
    with pytest.raises(ValueError, match=expected):
        ask("toy_m1")


def test_open_data_reads_a_file_a_folder_and_a_card(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of a file are named; filters hold for all three."""
    monkeypatch.setenv("RECPREF_DATA", str(shelf.data))
    shelf.add("toy", shelf.put())
    path = shelf.path / "mine.csv"
    pd.DataFrame(ROWS, columns=["who", "what", "rating", "when"]).to_csv(path, index=False)
    mine = cards.open_data(str(path), user="who", item="what", time="when")
    assert {mine.digest, cards.open_data(str(shelf.data / "toy-folder")).digest, cards.open_data("toy").digest} == {toy().digest}
    assert mine.name == "mine"
    core = cards.open_data(str(path), user="who", item="what", time="when", k_core=2)
    assert len(core) == len(cards.open_data(str(shelf.data / "toy-folder"), k_core=2)) == len(cards.open_data("toy", k_core=2)) == 6
    assert cards.open_data(str(path), user="who", item="what", time="none").clock == "none"


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_open_data_of_a_missing_file_says_that_it_is_missing(shelf: Shelf, name: str) -> None:
    """A path with a suffix was meant as a file."""
    with pytest.raises(FileNotFoundError, match=f"no such file: .*{name}"):
        cards.open_data(str(shelf.path / name))


def test_open_data_of_a_missing_folder_offers_the_cards(shelf: Shelf) -> None:
    """A path without a suffix may have been meant as a card."""
    with pytest.raises(ValueError, match=r"unknown data set '.*/gone'; known: none, or the path of .* or of a folder"):
        cards.open_data(str(shelf.path / "gone"))


def test_the_cards_that_ship_are_complete() -> None:
    """Each names its licence, its citation and a source, expects counts, and every download has a checksum."""
    assert {"ml_100k", "ml_1m"} <= set(cards.names())
    for name in cards.names():
        card = cards.card(name)
        assert card.name == name
        assert all((card.title, card.homepage, card.licence, card.citation, card.sources))
        assert {"user_id", "item_id"} <= set(card.columns)
        assert not card.verified or {"users", "items", "interactions"} <= set(card.expected)
        assert all(len(source.sha256) == 64 for source in card.sources if source.kind == "url")


@pytest.mark.parametrize("name", cards.names())
def test_every_card_is_read_and_says_what_it_expects(name: str) -> None:
    """A verified card names counts and the digest; another one expects nothing that nobody has counted."""
    card = cards.card(name)
    assert set(card.expected) == ({"users", "items", "interactions", "digest"} if card.verified else set())
    assert card.verified or any(line.startswith("#") for line in (cards.folder() / f"{name}.toml").read_text().splitlines())


@pytest.mark.data
@needs_data
@pytest.mark.parametrize("name", [name for name in cards.names() if cards.card(name).verified])
def test_every_verified_card_is_what_it_says(name: str) -> None:
    """Counts and digest are compared when a card is loaded."""
    assert cards.load(name).report[-1] == "the card's counts agree"


@pytest.mark.data
@needs_data
def test_nbpos_own_split() -> None:
    """31,887 rows train, 4,044 validate and 4,044 test."""
    data = cards.load("amazon_electronics_nbpo")
    assert "(train, valid, test) that split=leave_one_out does not use" in str(unused_split(data))
    split = components.find("split", "given")()(data)
    assert [len(rows) for rows in (split.train, split.valid.targets, split.test.targets)] == [31_887, 4_044, 4_044]


@pytest.mark.data
@needs_data
def test_amazons_timestamps_can_be_had_without_the_rows_that_lack_them() -> None:
    """718 of 198,502 rows of Beauty have none."""
    data = cards.open_data("amazon_beauty_2014", time="timestamp", missing_time="drop")
    assert (len(data), data.clock) == (198_502 - 718, "seconds")
    assert data.report[-1] == "read with other options than the card's, so its counts were not checked"


@pytest.fixture
def ml_100k(shelf: Shelf, server: Server) -> Iterator[dict[str, Interactions]]:
    """ML-100K from each source that is there: the folder, the wheel, and an archive made of the wheel's file."""
    expected = {"users": 943, "items": 1682, "interactions": 100_000}
    if DATA and (Path(DATA) / "ml-100k").is_dir():
        shelf.add("folder", {"kind": "folder", "path": "ml-100k"}, expected=expected)
    if ATOMIC.is_file():
        shelf.add("recbole", {"kind": "recbole", "path": "dataset_example/ml-100k/ml-100k.inter", "header": True}, expected=expected)
        rows = ATOMIC.read_text().split("\n", 1)[1]
        content = archive(shelf.path / "ml-100k.zip", "ml-100k/u.data", rows)
        shelf.add("url", server.source("ml-100k.zip", content, member="ml-100k/u.data"), expected=expected)
    with pytest.MonkeyPatch.context() as patch:
        if DATA:
            patch.setenv("RECPREF_DATA", DATA)
        yield {name: cards.load(name) for name in cards.names()}


@pytest.mark.data
@pytest.mark.skipif(not DATA and not ATOMIC.is_file(), reason="no source of ML-100K is there")
def test_ml_100k_is_the_same_from_every_source(ml_100k: dict[str, Interactions]) -> None:
    """One digest, about half of the neighbours tied, and RecBole is read without being imported."""
    digests = {name: data.digest for name, data in ml_100k.items()}
    assert len(set(digests.values())) == 1, digests
    assert {round(data.tied_share, 4) for data in ml_100k.values()} == {0.5104}
    assert "recbole" not in sys.modules


@pytest.fixture(scope="module")
def ml_1m() -> Interactions:
    """ML-1M, 5-core, as its card has it."""
    return cards.load("ml_1m")


@pytest.mark.data
@needs_data
def test_ml_1m_regenerates_the_fields_standard_file(ml_1m: Interactions) -> None:
    """User and item numbers of SASRec's ml-1m.txt, in our order of rows, are that file byte for byte (its SHA-256)."""
    assert ml_1m.users.features is not None
    assert ml_1m.items.features is not None
    user = ml_1m.users.features["sasrec_user_id"].to_numpy()[ml_1m.user - 1].astype(int)
    item = ml_1m.items.features["sasrec_item_id"].to_numpy()[ml_1m.item - 1].astype(int)
    order = np.argsort(user, kind="stable")
    lines = "".join(f"{u} {i}\n" for u, i in zip(user[order].tolist(), item[order].tolist(), strict=True))
    assert hashlib.sha256(lines.encode()).hexdigest() == "b725f3acb3986fe3130bffd1e77a74d182a1f51799567a236dbd60270f95b0a2"


@pytest.mark.data
@needs_data
def test_ml_1m_has_half_of_its_neighbours_tied(ml_1m: Interactions) -> None:
    """53 % of neighbouring ratings carry the same second: only the order of the file orders them."""
    assert ml_1m.tied_share == pytest.approx(0.53, abs=0.005)
    assert (ml_1m.n_users, ml_1m.n_items, len(ml_1m)) == (6040, 3416, 999_611)


@needs_recbole
@pytest.mark.data
def test_recboles_copy_is_where_the_card_says() -> None:
    """The card's path leads to a file in the wheel."""
    source = next(source for source in cards.card("ml_100k").sources if source.kind == "recbole")
    assert ATOMIC.as_posix().endswith(source.path)
    assert source.header
