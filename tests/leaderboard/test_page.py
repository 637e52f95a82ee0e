"""The page: complete in one file, names as text, and in a real browser it sorts, filters and draws without a complaint."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from recpref.leaderboard import page as pages
from recpref.leaderboard.claims import Claim, Claimed, Conditions
from recpref.leaderboard.page import Story, page
from recpref.leaderboard.rows import rows_of
from recpref.leaderboard.standing import with_standings
from recpref.leaderboard.suite import Curve

pytest.importorskip("plotly")
EVIL = "<script>document.title='broken'</script></script><img src=x onerror=alert(1)>"
STORY = Story("Title", "About it.", "python -m recpref.benchmark suite=tiny", ["one <b>note</b>"], [Curve("Width", "model.d_model")])
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
GROUPS = {"test/history-q1/users": 20.0, "test/history-q1/ndcg@10": 0.4, "test/target-head/users": 9.0, "test/target-head/ndcg@10": 0.6}


@pytest.fixture
def rows(make_run) -> list:
    """Three models on one data set and one on another, whose name is an attack."""
    paths = [
        make_run("model=popular", values=[0, 1, 0, 0] * 10, metrics=GROUPS | {"test/coverage@10": 0.25}),
        make_run("model=ease", values=[1, 1, 1, 0] * 10),
        make_run("model=sasrec", "trainer.max_epochs=2", values=[1, 1, 0, 0] * 10, epochs=2, metrics={"train/underfit": True}),
        make_run("model=popular", data="other.csv"),
    ]
    (paths[2] / "logs").mkdir()
    (paths[2] / "logs" / "metrics.csv").write_text("epoch,train/loss,valid/ndcg@10\n0,,0.1\n0,3.0,\n1,,0.2\n1,2.0,\n")
    found = with_standings(rows_of(paths))
    claim = Claim("ml_100k", "ease", (), {"ndcg@10": 0.7}, "A paper", "Table 1", "its PDF", Conditions("leave_one_out", "full", True))
    claimed = [Claimed(claim, "ndcg@10", 0.7, "yes", "")]
    return [*(replace(row, claims=claimed) if row.label == "ease" else row for row in found[:-1]), replace(found[-1], label=EVIL)]


class Outline(HTMLParser):
    """What is open where, what it refers to, and the text of cells."""

    VOID = ("meta", "link", "input", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.script: dict[str, str] = {}
        self.now = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attributes)
        self.links += [str(found[key]) for key in ("src", "href") if key in found]
        self.now = str(found.get("id", ""))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.now:
            self.script[self.now] = self.script.get(self.now, "") + data


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    assert found.open == []
    return found


def test_the_page_is_one_file_that_asks_for_nothing(rows: list) -> None:
    """Every tag is closed, nothing is loaded from anywhere, plotly.js is inside, and every figure has its data."""
    text = page(rows, STORY)
    found = outline(text)
    assert found.links == ["data:,"]
    assert "plotly.js v" in text
    plots = json.loads(found.script["plots"])
    assert len(plots) == text.count('class="plot"') == len(re.findall("<summary>Table and command", text))
    assert all(set(plot) == {"data", "layout"} for plot in plots)


def test_the_page_says_what_there_is(rows: list) -> None:
    text = page(rows, STORY)
    for part in (
        *("0.7500<small>", "A paper, Table 1 (split=leave_one_out, ranking=full, filter_seen=true)", "read in its PDF"),
        *("reduced: max_epochs=2 of 400", "1 of 1 still rising at the end", "one &lt;b&gt;note&lt;/b&gt;"),
        *("python -m recpref.benchmark suite=tiny", "By length of history", "By popularity of the target", "Accuracy against cost"),
        *(
            "Tests against the best",
            "prefers-color-scheme: dark",
            'name="viewport"',
            "python -m recpref.train model=ease data=ml_100k seed=1",
        ),
    ):
        assert part in text, part


def test_what_is_undefined_leaves_the_scripts_of_the_page_alone(make_run) -> None:
    """JSON has no NaN, and a browser that meets one draws and sorts nothing. The means of the seeds that have the number stand there."""
    nothing = {"train/flip_mean": 0.5, "train/flip_sd": 0.1, "train/flip_auc": float("nan")}
    nbpo = ("model=sasrec", "objective=nbpo", "sampler=uniform")
    paths = [make_run(*nbpo, seed=seed, epochs=2, metrics=nothing | more) for seed, more in ((1, {}), (2, {"train/flip_auc": 0.7}))]
    rows = rows_of([*paths, make_run(*nbpo, "model.d_model=32", epochs=2, metrics=nothing)])
    assert {len(row.seeds): row.aspects.get("train/flip_auc") for row in rows} == {2: 0.7, 1: None}
    plots = json.loads(outline(page(rows, STORY)).script["plots"], parse_constant=pytest.fail)
    (flips,) = ([trace["y"] for trace in plot["data"]] for plot in plots if "flip" in plot["layout"]["yaxis"]["title"]["text"])
    assert flips == [[0.5, 0.5], [0.1, 0.1], [row.aspects.get("train/flip_auc") for row in rows]]


def test_data_of_one_name_that_differ_are_filtered_apart(rows: list) -> None:
    """What the page offers to filter by is what its rows are marked with."""
    spaced = replace(rows[0], data_digest="f" * 64, plan=rows[0].plan.on("two  spaces"))  # of a text a browser keeps one
    twins = [replace(rows[0], data_digest="e" * 64), *rows[:3], spaced]
    text = page(twins, STORY)
    offered = set(re.findall(r'<option value="((?:ml_100k|two)[^"]*)">', text))
    assert offered == set(re.findall(r'<tr data-data="([^"]*)"', text)) == {"ml_100k (eeeeeeee)", "ml_100k (dddddddd)", "two  spaces"}


def test_names_are_text_and_never_html(rows: list) -> None:
    """An attack in a name opens no tag: neither in the table nor in the data of the figures."""
    text = page(rows, STORY)
    tags = outline(text).tags
    assert "img" not in tags
    assert tags.count("script") == 3
    assert EVIL not in text
    assert "&lt;script&gt;document.title" in text


def test_no_rows_make_a_page_too() -> None:
    text = page([], STORY)
    assert "0 rows" in text
    outline(text)


def test_a_missing_package_is_named(rows: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "NEEDS", ("jinja2", "not_there_at_all"))
    with pytest.raises(ValueError, match=r"needs not_there_at_all: pip install 'recpref\[report\]'"):
        page(rows, STORY)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script in")
def test_the_order_of_cells_in_node() -> None:
    """Numbers as numbers, texts without case, and what is missing last, whichever way."""
    code = (
        (pages.HERE / "page.js").read_text()
        + """
    const v = ["10", "nan", "9", "", "-1.5", "-inf", "Infinity"];
    const sorted = (values, falling) => values.map((v) => compared({ dataset: {}, textContent: v })).sort((a, b) => inOrder(a, b, falling));
    console.log(JSON.stringify([sorted(v, false), sorted(v, true), sorted(["b", "A", ""], false)]));
    """
    )
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[-1.5, 9, 10, *[None] * 4], [10, 9, -1.5, *[None] * 4], ["a", "b", None]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that is installed already; nothing is downloaded."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, rows: list, tmp_path: Path) -> Iterator[Any]:
    """Opens the page without a network; at the end nothing was asked for and nothing complained."""
    (tmp_path / "page.html").write_text(page(rows, STORY))
    complaints: list[str] = []
    contexts = []

    def open_(**options: Any) -> Any:
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request", lambda request: complaints.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
        )
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.goto((tmp_path / "page.html").as_uri())
        return tab

    yield open_
    assert complaints == []
    for context in contexts:
        context.close()


def shown(tab: Any, column: int = 1) -> list[str]:
    return tab.locator(f"#leaderboard tbody tr:not([hidden]) td:nth-child({column})").all_inner_texts()


@pytest.mark.slow
def test_heads_sort_in_a_browser(opened: Any) -> None:
    """NDCG@10 falling, then rising; models by name; ties keep their order."""
    tab = opened()
    head = tab.locator("#leaderboard th:not([hidden]) button", has_text="NDCG@10")
    head.click()
    values = [float(text.split()[0]) for text in tab.locator("#leaderboard td[data-k='10'][data-sort]:nth-child(8)").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    head.click()
    assert tab.locator("#leaderboard th[aria-sort='ascending']").inner_text() == "NDCG@10"
    assert shown(tab)[-1] == "ease"
    tab.locator("#leaderboard th button", has_text="Model").click()
    assert [text.split("\n")[0] for text in shown(tab)][1:] == ["ease", "popular", "sasrec"]


@pytest.mark.slow
def test_filters_in_a_browser(opened: Any) -> None:
    """Words anywhere in a row, data, both; the count follows. Another cut-off shows other columns."""
    tab = opened()
    tab.fill("#words", "a paper")
    assert shown(tab) == ["ease"]
    assert tab.locator("#count").inner_text() == "1"
    tab.fill("#words", "")
    tab.select_option("#data", "other.csv")
    assert tab.locator("#count").inner_text() == "1"
    tab.fill("#words", "sasrec")
    assert shown(tab) == []
    tab.select_option("#data", "")
    assert shown(tab) == ["sasrec"]
    assert tab.locator("#leaderboard th:visible", has_text="NDCG@5").count() == 0
    tab.select_option("#cutoff", "5")
    assert tab.locator("#leaderboard th:visible", has_text="NDCG@5").count() == 1
    assert tab.locator("#leaderboard th:visible", has_text="NDCG@10").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_in_either_light(opened: Any, scheme: str) -> None:
    """Nothing is wider than the screen but what scrolls by itself; every figure draws, in ink that shows on the paper."""
    tab = opened(viewport={"width": 390, "height": 844}, color_scheme=scheme, is_mobile=True, device_scale_factor=2)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for place in tab.locator(".plot").all():
        place.scroll_into_view_if_needed()
        place.locator("svg.main-svg").first.wait_for()
    paper, ink = tab.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.xtitle')).fill]")
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in ((paper, ink) if scheme == "light" else (ink, paper)))
    assert light > 600 > 150 > dark
    assert tab.title() == "Title"


@pytest.mark.slow
def test_names_stay_text_in_a_browser(opened: Any) -> None:
    """The attack is shown as it is written, in the table and in a figure; nothing of it ran."""
    tab = opened()
    assert EVIL in shown(tab)[-1]
    for place in tab.locator(".plot").all():
        place.scroll_into_view_if_needed()
        place.locator("svg.main-svg").first.wait_for()
    assert tab.locator("img").count() == 0
    assert tab.title() == "Title"
    assert any("<script>" in text for text in tab.locator(".plot text").all_text_contents())


@pytest.mark.slow
def test_a_hidden_tab_is_read_by_opening_it(opened: Any) -> None:
    """Every figure has its table, and the tests against the best theirs."""
    tab = opened()
    for summary in tab.locator("summary").all():
        summary.click()
    assert all(place.is_visible() for place in tab.locator("details table").all())
    assert tab.locator("details table").count() == tab.locator("details").count()


def test_a_curve_over_what_was_hidden_goes_through_the_tables(make_run) -> None:
    """Each share is a protocol of its own with a table of its own; one figure has them all, in the first table, a line a label."""
    hidden = ("split=hidden", "split.by=popularity")
    paths = [make_run(f"model={model}", *hidden, f"split.share={share}") for model in ("ease", "popular") for share in (0.2, 0.4)]
    found = pages._groups(rows_of(paths), [Curve("What was hidden", "split.share", "label")])
    assert len(found) == 2
    titles = [[figure.title for figure in group.figures] for group in found]
    assert (titles[0].count("What was hidden"), titles[1].count("What was hidden")) == (1, 0)
    figure = next(figure for figure in found[0].figures if figure.title == "What was hidden")
    assert sorted(cells[:2] for cells in figure.cells) == [[model, share] for model in ("ease", "popular") for share in ("0.2", "0.4")]
