"""The documentation as a site: built without a warning, and opened in a browser."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.browser import browser, opened, served
from tests.project import ROOT


def test_every_page_opens(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    pages = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.html"))
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert {path.with_suffix(".html") for path in written} <= set(pages)
    # Made from docstrings.
    reference = (tmp_path / "reference/recommender.html").read_text()
    assert "whether products of the history are left out" in reference
    with browser() as chromium, served(tmp_path) as address:
        for page in pages:
            if page.name == "404.html":
                continue
            with opened(chromium, f"{address}/{page.as_posix()}", 1200, "light") as shown:
                assert shown.locator("h1").first.is_visible(), page


def test_every_page_is_in_the_navigation() -> None:
    described = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entries: Any) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        parts = entries.values() if isinstance(entries, dict) else entries
        return set().union(*(pages(part) for part in parts))

    docs = ROOT / "docs"
    assert pages(described["nav"]) == {
        path.relative_to(docs).as_posix() for path in docs.rglob("*.md")
    }
