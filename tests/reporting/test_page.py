"""The report page, read as text. See test_page_in_browser.py for how it looks and works."""

import base64
import hashlib
import json
import re
from typing import Any

import pandas as pd
import pytest

from tests.reporting.report_data import (
    EVIL,
    ParsedPage,
    keep_models,
    make_examples,
    make_metrics,
    make_order_examples,
    make_part,
    make_repeat_metrics,
    make_reproduction,
    make_results,
    make_title_map,
    render_page,
    render_plain_page,
)


def test_page_starts_with_the_verdict() -> None:
    html = render_plain_page()
    heading = re.search(r"<h1>(.*?)</h1>", html)
    assert heading is not None
    assert heading[1] == (
        "Use the classifier: about 3 in 10 customers see their next purchase among ten products."
    )
    metrics = make_metrics()
    metrics["models"]["regressor"]["validation_ndcg@10"] = 0.9
    text = ParsedPage(render_page(metrics=metrics)).text
    assert "models: [regressor, classifier, last_item_cooccurrence]" in text
    assert "models: [" not in ParsedPage(html).text


def test_page_shows_every_value() -> None:
    page = ParsedPage(render_plain_page())
    rows = [row for row in page.rows if row[0].startswith("Classifier")]
    filtered, unfiltered = (row for row in rows if len(row) > 3)
    assert [row[1:] for row in rows if len(row) == 3] == [
        ["0.3000 0.2800 – 0.3200", "0.0750 0.0550 – 0.0950"],
        ["0.1500 0.1300 – 0.1700", "0.0375 0.0175 – 0.0575"],
        ["0.0000 0.0000 – 0.0200", "0.3000 0.2800 – 0.3200"],
        ["0.0000 0.0000 – 0.0200", "0.1500 0.1300 – 0.1700"],
    ]
    assert ["test rows", "700", "400"] in page.rows
    assert filtered == [
        "Classifier use this", "0.1500", "0.3000 0.2900 – 0.3100", "0.1500 0.1400 – 0.1600",
        *["0.1500"] * 8, "61 s", "12,345",
    ]  # fmt: skip
    assert unfiltered[2] == "0.1500 0.1400 – 0.1600"
    for row in (
        ["reviews", "interactions", "7,000", "6,986", "14", "0.2%"],
        ["meta", "340", "98.6%", "6,700", "98.7%", "show 1 B01"],
        ["unknown product", "5", "1.4%", "89", "1.3%", "show 1 B0UNKNOWN1"],
        ["accepted", "6,986", "1,300"],
    ):
        assert row in page.rows
    assert any(row[:4] == ["reviews", "interactions", "broken JSON", "14"] for row in page.rows)
    for text in (
        "1,200", "345", "6,789", "some-encoder", "leave-one-out", "2020-09-13", "17.5",
        "cross-entropy, up to 9 epochs", "(no title) 0206",
    ):  # fmt: skip
        assert text in page.text


def test_models_are_sorted_by_validation() -> None:
    metrics = make_metrics()
    metrics["models"]["nearest_titles"]["validation_ndcg@10"] = 0.9
    metrics["models"]["popularity"]["validation_ndcg@10"] = None
    page = ParsedPage(render_page(metrics=metrics))
    table = [row for row in page.rows if len(row) > 10][:6]
    assert [row[0].removesuffix(" use this") for row in table[1:]] == [
        "Nearest titles", "Classifier", "Last-item co-occurrence", "Regressor", "Popularity",
    ]  # fmt: skip
    assert table[-1][1] == "–"


def test_page_is_self_contained_and_inert() -> None:
    html = render_plain_page()
    page = ParsedPage(html)
    assert page.script_types == ["application/json", None]
    assert EVIL in page.text
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name in page.attributes)
    assert all(load.startswith("#") for load in page.loads)
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert len(page.ids) == len(set(page.ids)) > 20
    # Bars of both filter modes, two slices, coverage and novelty, two networks, titles.
    assert page.tags.count("svg") == 8


def test_page_runs_its_own_script_alone() -> None:
    html = render_plain_page()
    script = ParsedPage(html).scripts[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert name not in script


def test_search_data_is_inert_json() -> None:
    content = ParsedPage(render_plain_page()).scripts[0]
    assert "<" not in content
    data = json.loads(content)
    assert data["models"] == ["Classifier", "Regressor"]
    assert data["customers"] == make_examples()["searchable"]["customers"]
    assert data["products"][1] == ["0205", EVIL]


def test_page_says_how_many_customers_can_be_looked_up() -> None:
    text = " ".join(ParsedPage(render_plain_page()).text.split())
    assert "The search covers a random sample of 5 of the 1,100 test customers." in text
    assert "kedro recommend --user ID" in text
    text = " ".join(ParsedPage(render_page(examples=make_examples(n_customers=5))).text.split())
    assert "The search covers all 5 test customers." in text
    empty = make_examples(searchable={"products": [], "customers": []})
    assert 'id="query"' not in render_page(examples=empty)


def test_only_a_target_in_a_list_is_marked() -> None:
    marked = [" ".join(text.split()) for text in ParsedPage(render_plain_page()).marked]
    assert marked == [
        "Green", "next purchase found by Classifier", "rank 1 of 345", " ".join(EVIL.split()),
    ]  # fmt: skip
    examples = make_examples()
    (card,) = examples["examples"]
    for items in card["recommendations"].values():
        items[:] = [item | {"is_target": False} for item in items]
    page = ParsedPage(render_page(examples=examples))
    assert page.marked == ["Green"]
    assert "next purchase not among the ten" in page.text
    assert page.text.count("not among the ten: rank") == 2


def test_target_that_was_bought_before_is_explained() -> None:
    examples = make_examples()
    (card,) = examples["examples"]
    card["targets"][0]["is_repeat"] = True
    note = "Bought before. Filtered lists cannot contain it."
    assert note in ParsedPage(render_page(examples=examples)).text
    unfiltered = ParsedPage(render_page(examples=examples | {"seen_items": "unfiltered"})).text
    assert note not in unfiltered
    assert "Bought before." in unfiltered
    assert "Bought before." not in ParsedPage(render_plain_page()).text


def test_all_targets_of_an_order_are_shown() -> None:
    page = ParsedPage(render_page(metrics=make_repeat_metrics(), examples=make_order_examples()))
    text = " ".join(page.text.split())
    assert "2 of 3 products found by Classifier" in text
    assert "Classifier 2 of 3 among the ten" in text
    assert "Regressor 1 of 3 among the ten" in text
    assert text.count("Bought before.") == 1
    assert "Filtered lists cannot" not in text


def test_repeats_have_a_section() -> None:
    page = ParsedPage(render_page(metrics=make_repeat_metrics(with_oracle=True)))
    text = " ".join(page.text.split())
    assert "1,000 of the 2,000 test targets (50.0%) are products" in text
    assert "The median is 29.5 days." in text
    assert {"repeats", "repeats-by-category", "metrics-by-part"} <= set(page.ids)
    assert "#repeats" in page.loads
    assert ["Skin <b>Care", "1,500", "900", "60.0%"] in page.rows
    classifier = next(row for row in page.rows if row[0] == "Classifier" and len(row) == 7)
    assert classifier[1:] == [
        "0.2250 0.2150 – 0.2350", "0.0750 0.0650 – 0.0850", "0.1125 0.1025 – 0.1225",
        "0.0750 0.0650 – 0.0850", "0.0250 0.0150 – 0.0350", "0.0375 0.0275 – 0.0475",
    ]  # fmt: skip
    # The figures of a page without repeats, and the gaps and the parts.
    assert page.tags.count("svg") == 10
    plain = ParsedPage(render_plain_page())
    assert not {"repeats", "metrics-by-part"} & set(plain.ids)
    assert "#repeats" not in plain.loads
    assert "Customers who buy again" not in plain.text


def test_recall_and_parts_are_columns_of_data_with_orders() -> None:
    page = ParsedPage(render_page(metrics=make_repeat_metrics(with_oracle=True)))
    unfiltered, filtered = (row for row in page.rows if row[:2] == ["model", "validation NDCG@10"])
    parts = ["NDCG@10, bought before", "NDCG@10, not bought before"]
    assert unfiltered[2:7] == ["HR@10", "Recall@10", "NDCG@10", *parts]
    assert filtered[2:6] == ["HR@10", "Recall@10", "NDCG@10", parts[1]]
    rows = [row for row in page.rows if len(row) == len(unfiltered)]
    assert rows[1][0] == "Oracle (knows the generator)"
    assert rows[2][5:7] == ["0.1125 0.1025 – 0.1225", "0.0375 0.0275 – 0.0475"]
    text = " ".join(page.text.split())
    assert "Recall@k: the share of a row's targets" in text
    assert "The oracle is the ceiling" in text
    plain = ParsedPage(render_plain_page())
    heading = next(row for row in plain.rows if row[:2] == ["model", "validation NDCG@10"])
    assert not any("Recall" in cell or "bought" in cell for cell in heading)


def test_new_days_are_a_column_of_data_with_equal_days() -> None:
    metrics = make_metrics(changes={"n_new_day_rows": 640})
    for results in metrics["models"].values():
        results["filtered"]["new_day"] = make_part(results["filtered"]["hr@10"] / 2)
    page = ParsedPage(render_page(metrics=metrics))
    heading = next(row for row in page.rows if row[:2] == ["model", "validation NDCG@10"])
    assert heading[2:5] == ["HR@10", "NDCG@10", "NDCG@10, on a new day"]
    (classifier, *_) = [
        row for row in page.rows if row[0].startswith("Classifier") and len(row) == len(heading)
    ]
    assert classifier[4] == "0.0750 0.0650 – 0.0850"
    assert "only the 640 test rows count" in " ".join(page.text.split())
    assert "new day" not in ParsedPage(render_plain_page()).text


def test_the_oracle_has_no_mark_of_the_best_model() -> None:
    html = render_page(metrics=make_repeat_metrics(with_oracle=True))
    row = html[html.index('<th scope="row">Oracle (knows') :]
    assert 'class="number best"' not in row[: row.index("</tr>")]


@pytest.mark.parametrize(
    "models",
    [
        [],
        ["popularity"],
        ["popularity", "last_item_cooccurrence", "nearest_titles"],
        ["regressor"],
        ["regressor", "popularity"],
        ["classifier", "blend", "model_i", "my_model"],
    ],
)
def test_page_works_with_any_models(models: list[str]) -> None:
    metrics = make_metrics()
    metrics["models"] |= {
        "blend": make_results(0.4, trained=True), "my_model": make_results(0.1, trained=False),
        "model_i": make_results(0.1, trained=True),
    }  # fmt: skip
    facts: dict[str, Any] = {"weights": {"classifier": 0.6, "ease": 0.4, "popularity": 0.0}}
    metrics["models"]["blend"] |= {"training": facts, "training_log": None}
    metrics = keep_models(metrics, *models)
    examples = make_examples(models=[], examples=[], searchable={"products": [], "customers": []})
    page = ParsedPage(render_page(metrics=metrics, examples=examples))
    n_rows = sum(row[0].removesuffix(" use this") == "my_model" for row in page.rows)
    assert n_rows == (6 if "my_model" in models else 0)
    assert ("60% classifier, 40% ease" in page.text) == ("blend" in models)


def test_highest_values_are_marked_only_if_models_differ() -> None:
    best = re.compile(r'class="number best"')
    assert best.search(render_plain_page())
    equal = dict.fromkeys(make_metrics()["models"], 0.2)
    for metrics in (
        make_metrics(**equal),
        make_metrics(changes={"n_items": 10}),
        keep_models(make_metrics(), "classifier"),
    ):
        assert not best.search(render_page(metrics=metrics))


def test_leaky_protocol_has_a_warning() -> None:
    html = render_page(metrics=make_metrics("shuffled_windows"))
    assert "Leaky protocol: shuffled_windows" in html
    assert "Leaky protocol" not in render_plain_page()


def test_results_with_seen_items_come_first_if_customers_buy_again() -> None:
    html = render_page(metrics=make_metrics(changes={"filter_mode": "unfiltered"}))
    assert html.index("metrics-unfiltered") < html.index("metrics-filtered")
    plain = render_plain_page()
    assert plain.index("metrics-filtered") < plain.index("metrics-unfiltered")


def test_first_figure_shows_seen_items_if_no_filtered_list_has_a_hit() -> None:
    metrics = make_metrics()
    for results in metrics["models"].values():
        results["unfiltered"] = results["filtered"]
        results["filtered"] = make_results(0.0, trained=False)["filtered"]
    html = render_page(metrics=metrics)
    assert html.index('id="bars-unfiltered') < html.index('id="metrics-filtered')
    assert 'id="bars-filtered' not in html
    assert "With seen items not filtered, HR@10 is up to 30.0%." in html


def test_outdated_models_are_named() -> None:
    metrics = make_metrics(changes={"outdated_models": ["model_i", "ease"]})
    text = " ".join(ParsedPage(render_page(metrics=metrics)).text.split())
    assert "measured on other data than this run has: Model I (reproduction), EASE." in text
    assert "measured on other data" not in ParsedPage(render_plain_page()).text


def test_no_rejected_row_is_stated() -> None:
    counts = {"read_as": ["a"], "source_file": ["b"], "rows_read": [1], "rows_kept": [1],
              "rows_rejected": [0]}  # fmt: skip
    summary = {
        "rejects": pd.DataFrame({"source_file": [], "reason": [], "count": [], "examples": []}),
        "counts": pd.DataFrame(counts),
    }
    assert "No row was rejected" in render_page(ingestion_summary=summary)


def test_map_is_left_out_if_no_product_has_a_title() -> None:
    assert 'id="titles"' in render_plain_page()
    assert 'id="titles"' not in render_page(title_map=make_title_map().head(0))


def test_map_explains_categories_only_if_there_are_any() -> None:
    none = make_title_map(category=pd.array([None] * 3, dtype="str"))
    assert "largest categories" not in render_page(title_map=none)
    assert "largest categories" in render_plain_page()


def test_reproduction_is_shown_if_it_was_run() -> None:
    page = ParsedPage(render_page(reproduction=make_reproduction()))
    assert "reproduction-networks" in page.ids
    assert "#networks" in page.loads
    assert ["2", "Network 2", "0.5000 [0.4705, 0.5295]", "trained"] in page.rows
    assert f"Network 13: diverged {EVIL}." in page.text
    assert "img" not in page.tags
    assert "used another protocol" in page.text
    windows = render_page(
        metrics=make_metrics("shuffled_windows"), reproduction=make_reproduction()
    )
    assert "used another protocol" not in ParsedPage(windows).text
    without = ParsedPage(render_plain_page())
    assert not {"networks", "reproduction-networks"} & set(without.ids)
    assert "#networks" not in without.loads
    assert "original study" not in without.text
