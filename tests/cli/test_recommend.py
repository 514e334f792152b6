import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
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
    for user, message in (
        (
            " solo ",
            "There is no customer 'solo' with at least 2 purchases (joining.min_interactions): "
            "'solo' has 1 purchase.",
        ),
        ("many", "Customer 'many' has 2 purchases, but was left out. See joining.keep_users."),
        ("order 1", "'order 1' is a guest, and guests get no recommendations of their own."),
        ("x\0y", r"There is no customer 'x\x00y' in the data."),
        ("\udcff", r"There is no customer '\udcff' in the data."),
    ):
        found = invoke("recommend", "--user", user)
        assert_error(found, message, "For anybody else, use --items")


def test_unknown_customer_is_an_error_without_the_ingested_tables(
    invoke: Invoke, project: Path
) -> None:
    shutil.rmtree(project / "data" / "02_intermediate")
    assert_error(invoke("recommend", "--user", "solo"), "There is no customer 'solo'.")


def rename(catalog: DataCatalog, items: Mapping[int, str], users: Mapping[int, str]) -> None:
    """Replace the bundle by one in which some products and customers have other ids."""
    products = make_products()
    for index, item_id in items.items():
        products.item_ids[index] = item_id
        products.titles[index] = f"title of {item_id}"
    bundle = make_bundle({}, products, models=("decayed_cooccurrence",), weights={})
    sequences = bundle.customers.sequences
    user_ids = sequences.user_ids.to_pylist()
    for position, user_id in users.items():
        user_ids[position] = user_id
    renamed = replace(sequences, user_ids=pa.array(user_ids, pa.large_string()))
    catalog.save("bundle", replace(bundle, customers=replace(bundle.customers, sequences=renamed)))


STRANGE = [
    "SKU,1", "[red]x[/red]", ":heart:", 'it\'s "5%"', "007", "-5", "=1+1", "+8801700000000",
    "--user", "${HOME}", "日本 ä", "a\nb",
]  # fmt: skip
"""Ids that mean something to a shell, a terminal, a spreadsheet or a parser."""


def test_ids_with_any_characters_are_found(invoke: Invoke, catalog: DataCatalog) -> None:
    rename(catalog, dict(enumerate(STRANGE, start=1)), dict(enumerate(STRANGE)))
    for position in (8, 11):
        found = answer(invoke, "recommend", "--user", STRANGE[position])
        assert found["user_id"] == STRANGE[position]
        cycle = STRANGE[position:] + STRANGE[:position]
        assert found["history"] == cycle[:5]
        assert found["products"][0]["item_id"] == cycle[5]
    options = [part for item_id in STRANGE for part in ("--item", item_id)]
    assert answer(invoke, "recommend", *options, "--no-filter-seen")["history"] == STRANGE
    assert answer(invoke, "recommend", "--items", ",".join(STRANGE))["history"] == STRANGE
    similar = invoke("similar", "--json", "--top", "1", "--", "-5")
    assert json.loads(similar.stdout)["item_id"] == "-5"


def test_other_form_of_an_id_is_found_and_reported(invoke: Invoke, catalog: DataCatalog) -> None:
    rename(catalog, {4: "17850", 5: "SKU,1"}, {0: "17850"})
    number = "There is no '17850.0'. '17850' was found instead.\n"
    text = "There is no 'sku,1'. 'SKU,1' was found instead.\n"
    for arguments, field, expected, note in (
        (["recommend", "--user", "17850.0"], "user_id", "17850", number),
        (["recommend", "--items", "P02,sku,1"], "history", ["P02", "SKU,1"], text),
        (["recommend", "--item", "17850.0"], "history", ["17850"], number),
        (["similar", "17850.0"], "item_id", "17850", number),
    ):
        result = invoke(*arguments, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)[field] == expected
        assert result.stderr == note


def test_close_ids_are_suggested_if_none_is_the_only_other_form(
    invoke: Invoke, catalog: DataCatalog
) -> None:
    ids = {4: "17850", 5: "17850.00", 6: "007"}
    rename(catalog, ids, ids)
    for *command, item_id, hint in (
        ["recommend", "--user", "17850.0", "Did you mean '17850' or '17850.00'?"],
        ["recommend", "--items", "7", "Did you mean '007'?"],
        ["similar", "17850.0", "Did you mean '17850' or '17850.00'?"],
    ):
        assert_error(invoke(*command, item_id), hint)


def test_purchases_are_named_by_items_and_item(invoke: Invoke) -> None:
    expected = answer(invoke, "recommend", "--items", "P02,P03")
    assert expected["history"] == ["P02", "P03"]
    for arguments in (
        ["--items", " P02 , P03,"],
        ["--item", "P02", "--item", "P03"],
        ["--items", "P02", "--item", "P03"],
    ):
        assert answer(invoke, "recommend", *arguments) == expected


def test_items_of_which_none_is_known_are_an_error(invoke: Invoke) -> None:
    assert_error(
        invoke("recommend", "--items", "Q02,gone"),
        "None of these items is in the catalogue: 'Q02', 'gone'.",
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
    assert ("use a wider terminal" in " ".join(result.stdout.split())) == (width < 72)


def read_export(path: Any) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_recommendations_are_exported(invoke: Invoke, project: Path) -> None:
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


def test_only_titles_are_protected_in_an_export(
    invoke: Invoke, catalog: DataCatalog, project: Path
) -> None:
    strange = [*STRANGE, "a\rb", "@x", "\tx"]
    table = catalog.load("recommendations").to_pyarrow().slice(0, len(strange))
    for name in ("user_id", "item_id", "title"):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(name), [strange])
    catalog.save("recommendations", table.to_reader)
    path = project / "out 1,[2].csv"
    for options in ([], ["--raw"]):
        assert invoke("export-recommendations", str(path), *options).exit_code == 0
        found = read_export(path)
        assert found["user_id"].tolist() == found["item_id"].tolist() == strange
        protected = [f"'{text}" if text[0] in "=+-@\t" else text for text in strange]
        assert found["title"].tolist() == (strange if options else protected)


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
