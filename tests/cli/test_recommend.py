import json
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog

from tests.cli.conftest import Invoke, assert_error
from tests.serving.example_bundle import NEW_PRODUCT, make_bundle, make_products


def answer(invoke: Invoke, *arguments: str) -> dict[str, Any]:
    """Return what a command prints as JSON, and nothing else."""
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_customer_is_recommended_the_next_product(invoke: Invoke) -> None:
    found = answer(invoke, "recommend", "--user", "u000", "--top", "2")
    assert found["user_id"] == "u000"
    assert found["history"] == ["P01", "P02", "P03", "P04", "P05"]
    assert found["products"][0]["item_id"] == "P06"
    assert len(found["products"]) == 2
    assert found["model"] == "decayed_cooccurrence"
    assert answer(invoke, "recommend", "--user", "  u000 ") == answer(
        invoke, "recommend", "--user", "u000"
    )


def test_unknown_customer_is_explained(invoke: Invoke) -> None:
    assert_error(
        invoke("recommend", "--user", " solo "),
        "There is no customer 'solo' with at least 2 purchases (joining.min_interactions).",
    )


def test_purchases_are_named_by_items_and_item(invoke: Invoke) -> None:
    expected = answer(invoke, "recommend", "--items", "P02,P03")
    assert expected["history"] == ["P02", "P03"]
    for arguments in (
        ["--items", " P02 , P03,"],
        ["--item", "P02", "--item", "P03"],
        ["--items", "P02", "--item", "P03"],
    ):
        assert answer(invoke, "recommend", *arguments) == expected


def test_item_id_with_a_comma_is_one_product(invoke: Invoke, catalog: DataCatalog) -> None:
    products = make_products()
    products.item_ids[3] = "SKU,1"
    catalog.save(
        "bundle",
        make_bundle({}, products, models=("decayed_cooccurrence",), weights={}),
    )
    for arguments in (["--items", "SKU,1"], ["--item", "SKU,1"]):
        assert answer(invoke, "recommend", *arguments)["history"] == ["SKU,1"]
    assert answer(invoke, "recommend", "--items", "P02,P04")["history"] == ["P02", "P04"]


def test_items_of_which_none_is_known_are_an_error(invoke: Invoke) -> None:
    assert_error(
        invoke("recommend", "--items", "p02,gone"),
        "None of these items is in the catalogue: 'p02', 'gone'.",
        "Did you mean 'P02'",
    )


def test_unknown_items_among_known_ones_are_reported(invoke: Invoke) -> None:
    assert answer(invoke, "recommend", "--items", "P02,gone")["unknown_items"] == ["gone"]
    result = invoke("recommend", "--items", "P02,gone")
    assert result.exit_code == 0
    assert "Not in the catalogue: gone" in result.stdout


def test_without_history_recent_popularity_answers(invoke: Invoke) -> None:
    assert answer(invoke, "recommend")["model"] == "recent_popularity"
    assert "Most popular recently" in invoke("recommend").stdout


@pytest.mark.parametrize("others", [["--items", "P01"], ["--item", "P01"]])
def test_user_and_items_exclude_each_other(invoke: Invoke, others: list[str]) -> None:
    assert_error(invoke("recommend", "--user", "u000", *others), "exclude each other")


def test_seen_products_are_filtered_by_the_setting_or_the_option(invoke: Invoke) -> None:
    everything = ["recommend", "--items", "P02,P03", "--top", "100"]
    for options, is_filtered in (
        ([], True),
        (["--filter-seen"], True),
        (["--no-filter-seen"], False),
    ):
        found = answer(invoke, *everything, *options)["products"]
        item_ids = {product["item_id"] for product in found}
        assert item_ids.isdisjoint({"P02", "P03"}) == is_filtered


def test_model_and_category_are_selected(invoke: Invoke) -> None:
    found = answer(invoke, "recommend", "--items", "P02", "--model", "ease", "--category", "blue")
    assert found["model"] == "ease"
    assert {int(product["item_id"][1:]) % 2 for product in found["products"]} == {1}
    assert_error(
        invoke("recommend", "--items", "P02", "--model", "eas"),
        "There is no model 'eas' in the bundle. Did you mean 'ease'?",
    )
    assert_error(invoke("recommend", "--items", "P02", "--category", "Bleu"), "'Bleu'", "lue")


def test_similar_products_are_printed(invoke: Invoke) -> None:
    found = answer(invoke, "similar", NEW_PRODUCT, "--top", "1")["products"]
    assert found[0]["item_id"] == "P01"
    result = invoke("similar", NEW_PRODUCT, "--top", "1")
    assert "title 1 " in result.stdout
    assert_error(
        invoke("similar", "P1l"), "There is no product 'P1l' in the catalogue. Did you mean 'P1"
    )


def test_json_has_short_numbers(invoke: Invoke) -> None:
    result = invoke("recommend", "--items", "P02,P03", "--json")
    numbers = [
        word.strip(",}]") for word in result.stdout.split() if word.strip(",}]").count(".") == 1
    ]
    assert numbers
    assert max(len(number.lstrip("-0.").split("e")[0]) for number in numbers) <= 10


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_cut_in_a_narrow_terminal(
    invoke: Invoke, catalog: DataCatalog, width: int
) -> None:
    products = make_products()
    long = "a-very-long-article-number-0123456789"
    products.item_ids[4] = long
    products.titles[4] = "Oat Milk Shampoo for Sensitive Skin, 250 ml"
    catalog.save(
        "bundle",
        make_bundle({}, products, models=("decayed_cooccurrence",), weights={}),
    )
    result = invoke("recommend", "--items", "P02,P03", "--top", "1", width=width)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= width
    assert "…" not in result.stdout
    header = next(number for number, line in enumerate(lines) if " product " in line)
    product, title, score = (lines[header].index(word) for word in ("product", "title", "score"))
    rows = lines[header + 2 :]
    assert "".join(row[product:title].strip() for row in rows).startswith(long)
    assert "".join(row[title:score].replace(" ", "") for row in rows).startswith(
        "OatMilkShampooforSensitiveSkin,250ml"
    )
    assert ("cosine" in result.stdout) == (width >= 72)
    assert ("need a wider terminal" in " ".join(result.stdout.split())) == (width < 72)


def read_export(path: Any) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str)


def test_recommendations_are_exported(invoke: Invoke, project: Any) -> None:
    path = project / "out.csv"
    result = invoke("export-recommendations", str(path))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"72 recommendations: {path}\n"
    table = read_export(path)
    assert table.columns.tolist() == [
        "user_id", "model", "rank", "item_id", "title", "score", "answered_by",
    ]  # fmt: skip
    assert set(table["model"]) == {"decayed_cooccurrence", "ease"}
    assert table["score"].str.len().max() <= 12
    assert invoke("export-recommendations", str(path), "--model", "ease").exit_code == 0
    assert set(read_export(path)["model"]) == {"ease"}


def test_raw_export_keeps_formulas(invoke: Invoke, catalog: DataCatalog, project: Any) -> None:
    table = catalog.load("recommendations").to_pyarrow().slice(0, 1)
    column = table.schema.get_field_index("title")
    table = table.set_column(column, table.schema.field("title"), [["=cmd()"]])
    catalog.save("recommendations", table.to_reader)
    for options, title in (([], "'=cmd()"), (["--raw"], "=cmd()")):
        assert invoke("export-recommendations", str(project / "out.csv"), *options).exit_code == 0
        assert read_export(project / "out.csv")["title"].tolist() == [title]


def test_export_by_an_unknown_model_keeps_the_earlier_file(invoke: Invoke, project: Any) -> None:
    path = project / "out.csv"
    path.write_text("earlier")
    assert_error(
        invoke("export-recommendations", str(path), "--model", "eas"),
        "no recommendations by the model 'eas'. Did you mean 'ease'?",
        "recommendation.models",
    )
    assert path.read_text() == "earlier"


def test_export_into_a_missing_folder_is_an_error(invoke: Invoke, project: Any) -> None:
    folder = project / "missing"
    assert_error(
        invoke("export-recommendations", str(folder / "out.csv")), f"There is no folder {folder}."
    )
    assert not folder.exists()
