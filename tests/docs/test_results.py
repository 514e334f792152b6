"""The tables of the page of results are written from the files of runs."""

import re
from pathlib import Path

from results import PAGES, write_sections

from tests.project import ROOT

PAGE = """Before.

<!-- networks: shop/shuffled_windows; env: my_shop -->
old
<!-- /networks -->

<!-- results: shop/leave_one_out; env: my_shop -->
Not measured yet.
<!-- /results -->

After.
"""


def test_table_of_the_variants_follows_its_commands(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "shuffled_windows" / "seed_42"
    folder.mkdir(parents=True)
    (folder / "reproduction.md").write_text("| # |\n|---:|\n| 1 |\n")
    text, missing = write_sections(PAGE, tmp_path, "2 cores")
    run = "    .venv/bin/kedro run --env my_shop --params split=shuffled_windows --pipelines"
    written = (
        "Before.\n\n<!-- networks: shop/shuffled_windows; env: my_shop -->\n\n"
        f"{run} ingestion,joining,sequencing,embedding\n{run} reproduction\n\n"
        "| # |\n|---:|\n| 1 |\n\n2 cores.\n<!-- /networks -->\n"
    )
    assert text.startswith(written)
    # A section without a comparison is not changed, and its file is reported.
    assert text.removeprefix(written) == PAGE.partition("<!-- /networks -->\n")[2]
    assert missing == [str(tmp_path / "shop" / "leave_one_out" / "comparison.json")]
    # Writing again changes nothing.
    assert write_sections(text, tmp_path, "2 cores")[0] == text


def test_sections_of_the_page_have_valid_headers() -> None:
    """Without results, every section is reported as missing and the page is not changed."""
    for path in PAGES:
        page = path.read_text()
        text, missing = write_sections(page, ROOT / "no such folder", "2 cores")
        assert text == page
        n_files = {"results": 1, "networks": 1, "shuffles": 6}
        expected = sum(page.count(f"<!-- /{kind} -->") * n for kind, n in n_files.items())
        assert len(missing) == expected >= 6


def test_missing_figures_are_not_published() -> None:
    """Every section of the page has its table and its commands."""
    pages = "\n".join(path.read_text() for path in PAGES)
    sections = re.findall(r"<!-- (?:results|networks|shuffles): .*?<!-- /\w+ -->", pages, re.DOTALL)
    assert len(sections) >= 8
    assert all("    .venv/bin/kedro run" in section for section in sections)
    assert all("\n| " in section for section in sections)
