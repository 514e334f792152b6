"""The tables of the page of results are written from the files of runs."""

import json
import re
from pathlib import Path

from results import write_sections

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


STORES = """<!-- stores: en/auto, es/auto; models: nearest_titles, classifier -->
Not measured yet.
<!-- /stores -->
"""


def make_comparison(dataset: str, value: float) -> dict:
    """Return the parts of a comparison that the table of stores shows."""

    def estimate(mean: float) -> dict:
        return {"mean": mean, "sd": None, "ci95": [mean - 0.01, mean + 0.01]}

    modes = {
        mode: {"ndcg@10": estimate(value), "hr@10": estimate(value + 0.1)}
        for mode in ("filtered", "unfiltered")
    }
    results = modes | {
        "cold": {mode: part | {"hr@10": estimate(0.5)} for mode, part in modes.items()}
    }
    return {
        "dataset": dataset, "protocol": "cold_items", "filter_mode": "unfiltered", "n_users": 5,
        "n_items": 6, "n_interactions": 7, "n_test_rows": 8, "n_test_targets": 8, "cold_rows": 3,
        "models": {
            "classifier": results | {"seeds": [42, 43]},
            "nearest_titles": results | {"seeds": []},
        },
    }  # fmt: skip


def test_table_of_stores_has_a_row_for_each_model_and_store(tmp_path: Path) -> None:
    for dataset, value in (("en", 0.3), ("es", 0.2)):
        folder = tmp_path / dataset / "auto"
        folder.mkdir(parents=True)
        text, missing = write_sections(STORES, tmp_path, "2 cores")
        assert text == STORES
        assert str(folder / "comparison.json") in missing
        (folder / "comparison.json").write_text(json.dumps(make_comparison(dataset, value)))
    text, missing = write_sections(STORES, tmp_path, "2 cores")
    assert missing == []
    assert "8 test rows. Seeds 42, 43. 2 cores." in text
    cells = [
        [cell.strip() for cell in line.split("|")[1:5]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    half = "0.5000 [0.4900, 0.5100]"
    assert cells == [
        ["all rows", "data set", "NDCG@10, unfiltered", "HR@10, unfiltered"],
        ["---", "---:", "---:", "---:"],
        ["Nearest titles", "en", "0.3000 [0.2900, 0.3100]", "0.4000 [0.3900, 0.4100]"],
        ["Nearest titles", "es", "0.2000 [0.1900, 0.2100]", "0.3000 [0.2900, 0.3100]"],
        ["Classifier", "en", "0.3000 [0.2900, 0.3100]", "0.4000 [0.3900, 0.4100]"],
        ["Classifier", "es", "0.2000 [0.1900, 0.2100]", "0.3000 [0.2900, 0.3100]"],
        ["3 cold rows", "data set", "NDCG@10, unfiltered", "HR@10, unfiltered"],
        ["---", "---:", "---:", "---:"],
        ["Nearest titles", "en", "0.3000 [0.2900, 0.3100]", half],
        ["Nearest titles", "es", "0.2000 [0.1900, 0.2100]", half],
        ["Classifier", "en", "0.3000 [0.2900, 0.3100]", half],
        ["Classifier", "es", "0.2000 [0.1900, 0.2100]", half],
    ]


def test_sections_of_the_page_have_valid_headers() -> None:
    """Without results, every section is reported as missing and the page is not changed."""
    page = (ROOT / "docs" / "explanation" / "results.md").read_text()
    text, missing = write_sections(page, ROOT / "no such folder", "2 cores")
    assert text == page
    folders = [
        folder
        for header in re.findall(r"<!-- (?:results|networks|stores): ([^;>]+)", page)
        for folder in header.split(",")
    ]
    assert len(missing) == len(folders) > page.count("<!-- /results -->") >= 6


def test_missing_figures_are_not_published() -> None:
    """Every section of the page has its table and its commands."""
    page = (ROOT / "docs" / "explanation" / "results.md").read_text()
    sections = re.findall(r"<!-- (?:results|networks): .*?<!-- /\w+ -->", page, re.DOTALL)
    assert len(sections) >= 6
    assert all("    .venv/bin/kedro run" in section for section in sections)
    assert all("\n| " in section for section in sections)
