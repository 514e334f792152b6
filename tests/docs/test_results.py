"""The page of results is written from what runs left."""

from pathlib import Path

from results import fill

from tests.project import ROOT

PAGE = """Before.

<!-- networks: shop/shuffled_windows; env: my_shop -->
old
<!-- /networks -->

<!-- results: shop; env: my_shop -->
Not measured yet.
<!-- /results -->

After.
"""


def test_the_table_of_the_networks_stands_below_its_commands(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "shuffled_windows"
    folder.mkdir(parents=True)
    (folder / "reproduction.md").write_text("| # |\n|---:|\n| 1 |\n")
    text, left = fill(PAGE, tmp_path, "2 cores")
    run = "    .venv/bin/kedro run --env my_shop --params split=shuffled_windows --pipelines"
    written = (
        "Before.\n\n<!-- networks: shop/shuffled_windows; env: my_shop -->\n\n"
        f"{run} ingestion,joining,sequencing,embedding\n{run} reproduction\n\n"
        "| # |\n|---:|\n| 1 |\n\n2 cores.\n<!-- /networks -->\n"
    )
    assert text.startswith(written)
    # Without a comparison, a section is left as it stands, and named.
    assert text.removeprefix(written) == PAGE.partition("<!-- /networks -->\n")[2]
    assert left == [str(tmp_path / "shop" / "comparison.json")]
    # Written again, it is the same.
    assert fill(text, tmp_path, "2 cores")[0] == text


def test_the_page_of_results_has_a_section_for_each_table() -> None:
    """What is asked for is spelt right: of nothing that is there, every section is named."""
    page = (ROOT / "docs" / "results.md").read_text()
    text, left = fill(page, ROOT / "no such folder", "2 cores")
    assert text == page
    assert len(left) == page.count("<!-- /results -->") + page.count("<!-- /networks -->") >= 6
