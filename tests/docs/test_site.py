"""The documentation as a site: built without a warning, complete, and shown in a browser.

The Markdown sources are also read on GitHub, which follows CommonMark. The site is made by another
parser, which needs more indentation within lists. The tests compare what both make of a page.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.browser import browser, opened, served
from tests.project import ROOT

DOCS = ROOT / "docs"
SOURCES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
_COMMONMARK = MarkdownIt("commonmark").enable("table")


class Structure:
    """Code blocks, lists and tables of a page, in the order of the document.

    Attributes:
        code: text of each block, without trailing white space.
        lists: per list: ``ol`` or ``ul``, and its number of items.
        tables: per table: its number of cells in each row.
    """

    def __init__(self) -> None:
        self.code: list[str] = []
        self.lists: list[tuple[str, int]] = []
        self.tables: list[list[int]] = []
        self._open_lists: list[int] = []

    def open_list(self, kind: str) -> None:
        """Begin a list."""
        self._open_lists.append(len(self.lists))
        self.lists.append((kind, 0))

    def close_list(self) -> None:
        """End the innermost list."""
        self._open_lists.pop()

    def add_item(self) -> None:
        """Count an item of the innermost list."""
        kind, count = self.lists[self._open_lists[-1]]
        self.lists[self._open_lists[-1]] = (kind, count + 1)

    def add_code(self, text: str) -> None:
        """Add a code block."""
        self.code.append("\n".join(line.rstrip() for line in text.strip("\n").splitlines()))


def read_markdown(text: str) -> Structure:
    """Return the structure of a Markdown text as CommonMark defines it."""
    found = Structure()
    for token in _COMMONMARK.parse(text):
        _read_token(token, found)
    return found


def _read_token(token: Token, found: Structure) -> None:
    match token.type:
        case "code_block" | "fence":
            found.add_code(token.content)
        case "ordered_list_open" | "bullet_list_open":
            found.open_list("ol" if token.type.startswith("ordered") else "ul")
        case "ordered_list_close" | "bullet_list_close":
            found.close_list()
        case "list_item_open":
            found.add_item()
        case "table_open":
            found.tables.append([])
        case "tr_open":
            found.tables[-1].append(0)
        case "th_open" | "td_open":
            found.tables[-1][-1] += 1


class PageParser(HTMLParser):
    """Reads the structure of a page's article."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Structure()
        self._in_article = False
        self._block: list[str] | None = None
        self._block_has_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "article":
            self._in_article = True
        if not self._in_article:
            return
        match tag:
            case "pre":
                self._block, self._block_has_code = [], False
            case "code":
                self._block_has_code = True
            case "ol" | "ul":
                self.found.open_list(tag)
            case "li":
                self.found.add_item()
            case "table":
                self.found.tables.append([])
            case "tr":
                self.found.tables[-1].append(0)
            case "th" | "td":
                self.found.tables[-1][-1] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._in_article = False
        if not self._in_article:
            return
        if tag == "pre" and self._block is not None:
            if self._block_has_code:
                self.found.add_code("".join(self._block))
            self._block = None
        elif tag in {"ol", "ul"}:
            self.found.close_list()

    def handle_data(self, data: str) -> None:
        if self._block is not None:
            self._block.append(data)


def read_html(text: str) -> Structure:
    """Return the structure of the article of an HTML page."""
    parser = PageParser()
    parser.feed(text)
    return parser.found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once, and return its folder."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_page_has_the_blocks_lists_and_tables_of_its_source(site: Path, source: Path) -> None:
    text = (DOCS / source).read_text()
    expected = read_markdown(text)
    shown = read_html((site / source.with_suffix(".html")).read_text())
    if "\n::: " in text:
        # Docstrings add blocks, lists and tables of their own.
        assert [block for block in shown.code if block in expected.code] == expected.code
        return
    assert shown.code == expected.code
    assert shown.lists == expected.lists
    assert shown.tables == expected.tables


def test_sources_have_code_blocks() -> None:
    blocks = [block for source in SOURCES for block in read_markdown(_read(source)).code]
    assert len(blocks) > 60
    assert any("kedro add-products new.jsonl" in block for block in blocks)


def _read(source: Path) -> str:
    return (DOCS / source).read_text()


def test_code_block_in_a_list_is_compared() -> None:
    text = "1. Write it:\n\n       dataset: my_shop\n       raw_dir: data\n\n2. Run it.\n"
    assert read_markdown(text).code == ["dataset: my_shop\nraw_dir: data"]
    assert read_markdown(text).lists == [("ol", 2)]
    collapsed = (
        "<article><ol><li><p>Write it:</p><p>dataset: my_shop raw_dir: data</p></li>"
        "<li>Run it.</li><li>A note.</li></ol></article>"
    )
    assert read_html(collapsed).code == []
    assert read_html(collapsed).lists == [("ol", 3)]
    highlighted = "<article><pre><span></span><code><a></a>a: <b>1</b>\n</code></pre></article>"
    assert read_html(highlighted).code == ["a: 1"]


def test_every_page_opens_and_fits_a_phone(site: Path) -> None:
    """On a narrow window, only code and tables scroll sideways, each within itself."""
    pages = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    assert {source.with_suffix(".html") for source in SOURCES} <= set(pages)
    widths = {}
    with (
        browser() as chromium,
        served(site) as address,
        # One window for all pages: their scripts and styles are loaded once.
        opened(chromium, f"{address}/index.html", 1200, "light") as shown,
    ):
        for page in pages:
            if page.name == "404.html":
                continue
            shown.set_viewport_size({"width": 1200, "height": 900})
            shown.goto(f"{address}/{page.as_posix()}")
            assert shown.locator("h1").first.is_visible(), page
            shown.set_viewport_size({"width": 390, "height": 900})
            widths[page] = shown.evaluate("document.documentElement.scrollWidth")
    assert {page: width for page, width in widths.items() if width > 390} == {}


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("recommender", "bazar.serving.recommender.Recommender.recommend"),
        ("parameters", "bazar.config.parameters.Parameters"),
        ("parameters", "bazar.config.networks.TrainingOptions"),
        ("models", "bazar.training.trainer.train_network"),
        ("evaluation", "bazar.evaluation.metrics"),
    ],
)
def test_reference_is_made_from_docstrings(site: Path, page: str, name: str) -> None:
    assert f'id="{name}"' in (site / "reference" / f"{page}.html").read_text()


@pytest.mark.parametrize(
    "page", sorted((DOCS / "reference").glob("*.md")), ids=lambda path: path.stem
)
def test_reference_has_no_markup_of_docstrings(site: Path, page: Path) -> None:
    html = (site / "reference" / page.with_suffix(".html").name).read_text()
    assert re.findall(r":\w+:\s*<code>[^<]*</code>", html) == []


def test_every_page_is_in_the_navigation() -> None:
    described = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def list_pages(entries: Any) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        parts = entries.values() if isinstance(entries, dict) else entries
        return set().union(*(list_pages(part) for part in parts))

    assert list_pages(described["nav"]) == {source.as_posix() for source in SOURCES}
