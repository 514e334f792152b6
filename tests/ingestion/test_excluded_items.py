import ibis
import pytest
from pydantic import ValidationError

from bazar.config.sources import ExcludedItems
from bazar.ingestion.excluded_items import (
    has_excluded_id,
    list_items_with_excluded_titles,
    mark_excluded_items,
)

PRODUCTS = ibis.memtable(
    {
        "item_id": ["POST", "84", "84", "84", "85", "85", None],
        "title": ["Postage", "JUMBO BAG", "JUMBO BAG", "mailout", "Gift voucher", None, "Postage"],
    }
)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"ids": ["post", " M "]}, ["POST", "m"]),
        ({"id_patterns": ["^gift_"]}, ["gift_0001_20"]),
        ({"id_patterns": ["^[A-Z ]+$"], "ids": ["85123A"]}, ["POST", "m", "85123A"]),
        ({}, []),
    ],
)
def test_ids_are_excluded(rules: dict[str, list[str]], expected: list[str]) -> None:
    ids = ["POST", "m", "85123A", "gift_0001_20", None]
    table = ibis.memtable({"n": range(len(ids)), "item_id": ids})
    excluded = has_excluded_id(table.item_id, ExcludedItems(**rules))
    found = table.mutate(excluded=excluded).order_by("n").excluded.to_pyarrow().to_pylist()
    assert [item for item, is_excluded in zip(ids, found, strict=True) if is_excluded] == expected


def test_item_is_excluded_if_most_of_its_titles_match() -> None:
    items = list_items_with_excluded_titles(PRODUCTS, ["postage", "^MAILOUT$", "voucher"])
    assert items is not None
    assert sorted(items.item_id.to_pyarrow().to_pylist()) == ["85", "POST"]
    assert list_items_with_excluded_titles(PRODUCTS, []) is None


def test_rows_of_excluded_items_get_the_reason() -> None:
    typed = ibis.memtable(
        [
            ("85", None, False, None),
            ("84", None, False, None),
            ("85", "guest", True, "85;Gift voucher"),
            ("M", None, False, None),
        ],
        schema={"item_id": "string", "reason": "string", "is_excluded": "bool", "raw": "string"},
    )
    items = list_items_with_excluded_titles(PRODUCTS, ["voucher"])
    marked = mark_excluded_items(typed, ExcludedItems(ids=["M"]), items)
    assert marked.columns == typed.columns
    rows = sorted(marked.to_pyarrow().to_pylist(), key=str)
    assert [tuple(row.values()) for row in rows] == [
        ("84", None, False, None), ("85", "excluded item", True, "85"),
        ("85", "guest", True, "85;Gift voucher"), ("M", "excluded item", True, "M"),
    ]  # fmt: skip


def test_invalid_pattern_is_rejected() -> None:
    with pytest.raises(ValidationError, match="regular expression"):
        ExcludedItems(title_patterns=["*postage"])
