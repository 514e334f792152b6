"""The tables of the page of results are written from the files of runs."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from results import PAGES, write_comparison, write_sections
from stores import build_differences_table

from bazar.evaluation.comparison import compare_results
from tests.evaluation.test_comparison import ROWS, make_results
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


def test_only_models_that_find_cold_targets_are_compared_on_them() -> None:
    # Every fourth target is cold. The classifier finds all targets, the others only one kind.
    is_cold = np.arange(ROWS) % 4 == 0
    results = [
        make_results("classifier", np.ones(ROWS)),
        make_results("ease", np.where(is_cold, 500.0, 2.0), trained=False),
        make_results("nearest_titles", np.where(is_cold, 3.0, 500.0), trained=False),
    ]
    sizes = {
        "dataset": "shop", "protocol": "leave_one_out", "n_users": ROWS, "n_items": 1000,
        "n_interactions": 9999, "n_test_rows": ROWS, "bootstrap_resamples": 1000,
    }  # fmt: skip
    comparison = sizes | compare_results(results, "filtered", 1000, seed=0)
    keys = {"env": "shop", "pairs": "classifier/ease, classifier/nearest_titles"}
    all_rows, title, cold_rows = write_comparison(comparison, keys, "2 cores").partition(
        "Pairs on the rows with a cold target:"
    )
    assert title
    assert all_rows.count("| Classifier minus EASE |") == 2
    assert "EASE" not in cold_rows
    # NDCG@10 is 1 at rank 1 and 0.5 at rank 3.
    assert "| Classifier minus Nearest titles | +0.0000 [+0.0000, +0.0000] |" in cold_rows
    assert "| +0.5000 [+0.5000, +0.5000] |" in cold_rows
    assert "new day" not in cold_rows


STORES = """<!-- stores: en/auto, es/auto; models: nearest_titles, classifier; pairs: es/en -->
Not measured yet.
<!-- /stores -->
"""


def make_comparison(dataset: str, value: float, protocol: str) -> dict:
    """Return the parts of a comparison that the table of stores shows."""

    def estimate(mean: float) -> dict:
        return {"mean": mean, "sd": None, "ci95": [mean - 0.01, mean + 0.01]}

    modes = {
        mode: {"ndcg@10": estimate(value), "hr@10": estimate(value + 0.1)}
        for mode in ("filtered", "unfiltered")
    }
    cold = {mode: metrics | {"hr@10": estimate(0.5)} for mode, metrics in modes.items()}
    return {
        "dataset": dataset, "protocol": protocol, "filter_mode": "unfiltered", "n_users": 400,
        "n_items": 6, "n_interactions": 7, "n_test_rows": 400, "n_test_targets": 400,
        "cold_rows": 200,
        "models": {
            "classifier": modes | {"cold": cold, "seeds": [42, 43]},
            "nearest_titles": modes | {"cold": cold, "seeds": []},
        },
    }  # fmt: skip


def write_store(
    folder: Path, dataset: str, value: float, hits: dict[str, list], protocol: str
) -> None:
    """Write the comparison and the ranks of a store.

    Args:
        folder: folder of the data.
        dataset: name of the data set.
        value: NDCG@10 of both models.
        hits: for each file, whether the warm and the cold targets are among the first 10. The users
            alternate between both.
        protocol: the protocol.
    """
    reporting = folder / "08_reporting" / dataset / "auto"
    reporting.mkdir(parents=True)
    comparison = make_comparison(dataset, value, protocol)
    (reporting / "comparison.json").write_text(json.dumps(comparison))
    for name, found in hits.items():
        file = folder / "07_model_output" / dataset / "auto" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        ranks = np.where(np.tile(found, 200), 10.0, 10.5)
        # The file of another data set has another order.
        order = np.argsort(ranks + np.arange(400) % 7, kind="stable")
        rows = np.arange(400)
        targets = pd.DataFrame(
            {
                "row": rows,
                "user_id": [f"u{row}" for row in rows],
                "target_count": np.tile([3, 0], 200),
                "rank_unfiltered": ranks,
            }
        )
        targets.iloc[order].to_parquet(file)


@pytest.mark.parametrize("protocol", ["next_order", "cold_items"])
def test_stores_are_compared_on_the_same_rows(protocol: str, tmp_path: Path) -> None:
    text, missing = write_sections(STORES, tmp_path / "08_reporting", "2 cores")
    assert text == STORES
    assert len(missing) == 2
    titles, first, second = (
        f"seed_{seed}/{model}_ranks.parquet"
        for seed, model in ((42, "nearest_titles"), (42, "classifier"), (43, "classifier"))
    )
    always, warm = [True, True], [True, False]
    english = {titles: always, first: always, second: always}
    # The Spanish classifier finds the cold targets with one of two seeds.
    spanish = {titles: warm, first: always, second: warm}
    write_store(tmp_path, "en", 0.3, english, protocol)
    write_store(tmp_path, "es", 0.2, spanish, protocol)
    # A seed that the comparison does not contain is not read.
    extra = tmp_path / "07_model_output" / "es" / "auto" / "seed_44"
    extra.mkdir()
    (extra / "classifier_ranks.parquet").write_text("not a table")

    text, missing = write_sections(STORES, tmp_path / "08_reporting", "2 cores")
    assert missing == []
    assert "400 test rows. Seeds 42, 43. 2 cores." in text
    is_cold = protocol == "cold_items"
    tables = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    assert tables[0][:4] == [
        "200 cold rows" if is_cold else "all rows", "data set", "NDCG@10, unfiltered",
        "HR@10, unfiltered",
    ]  # fmt: skip
    ndcg = {"en": "0.3000 [0.2900, 0.3100]", "es": "0.2000 [0.1900, 0.2100]"}
    rates = {"en": "0.4000 [0.3900, 0.4100]", "es": "0.3000 [0.2900, 0.3100]"}
    assert [row[:4] for row in tables[1:5]] == [
        [model, store, ndcg[store], "0.5000 [0.4900, 0.5100]" if is_cold else rates[store]]
        for model in ("Nearest titles", "Classifier")
        for store in ("en", "es")
    ]
    differences = tables[6:]
    assert [row[:2] for row in differences] == [
        ["Nearest titles", "es minus en"],
        ["Classifier", "es minus en"],
    ]
    expected = ("-1.0000", "-0.5000") if is_cold else ("-0.5000", "-0.2500")
    assert tuple(row[2].split(" ")[0] for row in differences) == expected
    assert all(row[4] == "**yes**" for row in differences)


def test_stores_with_other_rows_are_not_compared(tmp_path: Path) -> None:
    index = pd.MultiIndex.from_tuples([("u1", 0), ("u2", 1)], names=["user_id", "row"])
    hits = {
        ("ease", "en"): pd.Series([1.0, 0.0], index),
        ("ease", "es"): pd.Series([1.0], index[:1]),
    }
    with pytest.raises(ValueError, match="different test rows"):
        build_differences_table(hits, ["ease"], [("es", "en")], "unfiltered")


def test_sections_of_the_page_have_valid_headers() -> None:
    """Without results, every section is reported as missing and the page is not changed."""
    for path in PAGES:
        page = path.read_text()
        text, missing = write_sections(page, ROOT / "no such folder", "2 cores")
        assert text == page
        n_files = {"results": 1, "networks": 1, "shuffles": 6}
        expected = sum(page.count(f"<!-- /{kind} -->") * n for kind, n in n_files.items())
        expected += sum(
            len(folders.split(",")) for folders in re.findall(r"<!-- stores: ([^;>]+)", page)
        )
        assert len(missing) == expected >= 6


def test_missing_figures_are_not_published() -> None:
    """Every section of the page has its table and its commands."""
    pages = "\n".join(path.read_text() for path in PAGES)
    sections = re.findall(r"<!-- (?:results|networks|shuffles): .*?<!-- /\w+ -->", pages, re.DOTALL)
    assert len(sections) >= 8
    assert all("    .venv/bin/kedro run" in section for section in sections)
    assert all("\n| " in section for section in sections)
