"""The guides for shop platforms read real exports: the header, and every purchase."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazar.config.data import IngestionOptions
from bazar.config.sources import (
    Condition,
    ExcludedItems,
    InteractionColumn,
    InteractionSource,
    ProductColumn,
    ProductSource,
    Returns,
)
from tests.docs.test_pages import read_examples, read_rows
from tests.ingestion.exports import EXPORTS
from tests.ingestion.ingest import ingest
from tests.project import ROOT

GUIDES = ROOT / "docs" / "how-to"
PLATFORMS = GUIDES / "shop-platforms"
KEYS = (ROOT / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")


def read_page(name: str) -> str:
    return (PLATFORMS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "example", "name"),
    [
        ("shopify", 0, "shopify"),
        ("woocommerce", 0, "woocommerce"),
        ("magento", 0, "magento"),
        ("amazon-seller-central", 0, "amazon_shipments"),
        ("amazon-seller-central", 0, "amazon_orders"),
        ("event-logs", 0, "ga4"),
        ("event-logs", 1, "rees46"),
        ("spreadsheets", 0, "german"),
    ],
)
def test_guide_reads_an_export(tmp_path: Path, page: str, example: int, name: str) -> None:
    export = EXPORTS[name](tmp_path)
    text = read_page(page)
    described = read_examples(text)[example]
    if export.expected.file_format == "csv":
        first = export.paths[0].read_bytes().splitlines()[0].decode("utf-8-sig")
        # The site shows tabs as spaces.
        assert "    " + first.replace("\t", " ") + "\n" in text
    found = ingest(tmp_path, described["interactions"], described["products"])
    assert found.purchases == export.expected.purchases
    assert found.excluded == export.expected.excluded
    assert found.rejected == {}
    assert Counter(event["event_type"] for event in found.events) == export.expected.events
    assert set(found.titles) >= {purchase.item_id for purchase in found.purchases}
    assert export.expected.title is None or all(found.titles.values())


def test_example_of_google_analytics_is_a_line_of_the_export(tmp_path: Path) -> None:
    export = EXPORTS["ga4"](tmp_path)
    (line,) = re.findall(r"^    (\{.*\})$", read_page("event-logs"), re.MULTILINE)
    shown, first = yaml.safe_load(line), yaml.safe_load(export.paths[0].read_text().splitlines()[0])
    assert list(shown) == [name for name in first if name != "currency"]


SOURCES = [
    *(read_page(path.stem) for path in sorted(PLATFORMS.glob("*.md"))),
    (GUIDES / "own-data.md").read_text(encoding="utf-8"),
    (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"),
]


@pytest.mark.parametrize("text", SOURCES, ids=lambda text: text.splitlines()[0].lstrip("# "))
def test_sources_on_a_page_are_valid(text: str) -> None:
    described = [example for example in read_examples(text) if "interactions" in example]
    assert described
    for example in described:
        products = example.get("products", {"any": MINIMAL_PRODUCTS})
        IngestionOptions(
            interactions=example["interactions"], products=products, max_reject_share=0.05
        )


MINIMAL: dict[str, Any] = {
    "files": "orders.csv",
    "columns": {
        "user_id": "user", "item_id": "item", "timestamp": "time", "order_id": "order",
        "currency": "Financial Status",
    },
}  # fmt: skip
MINIMAL_PRODUCTS = {"files": "orders.csv", "columns": {"item_id": "item", "title": "title"}}


@pytest.mark.parametrize("page", ["own-data", "rows-that-are-not-purchases"])
def test_keys_of_a_source_on_a_page_are_valid(page: str) -> None:
    text = (GUIDES / f"{page}.md").read_text(encoding="utf-8")
    keys = set(InteractionSource.model_fields)
    examples = [example for example in read_examples(text) if set(example) <= keys]
    for example in examples:
        InteractionSource.model_validate(MINIMAL | example)
    assert examples


def test_every_key_of_a_source_is_in_the_reference() -> None:
    keys = {row[0].strip("`") for row in read_rows(KEYS, 3)}
    nested = {"returns": Returns, "exclude_items": ExcludedItems}
    for source in (InteractionSource, ProductSource):
        for name in source.model_fields:
            if name in nested:
                inner = nested[name].model_fields
                assert {f"{name}.{key}" for key in inner} <= keys
            else:
                assert name in keys, name
    columns = {*InteractionColumn.__args__, *ProductColumn.__args__}  # type: ignore[attr-defined]
    assert columns <= keys
    conditions = {row[0].strip("`") for row in read_rows(KEYS, 2)}
    assert {field.alias or name for name, field in Condition.model_fields.items()} <= conditions
