from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from pydantic import ValidationError

from bazar.config.sources import InteractionSource, ProductSource
from bazar.errors import InputError
from bazar.ingestion.cache import cache_table
from bazar.ingestion.times import convert_time_units
from bazar.ingestion.typing_rules import (
    check_timestamps_in_all_sources,
    type_interactions,
    type_products,
)
from tests.ingestion.raw_rows import COLUMNS, NOW, raw_table, source

Row = dict[str, Any]


def type_rows(rows: list[Row], of: InteractionSource) -> ir.Table:
    return cache_table(type_interactions(raw_table(rows, of), of, of.timestamp_format, NOW))


def typed(*rows: Row, of: InteractionSource | None = None) -> list[Row]:
    found = of or source()
    result = convert_time_units(type_rows(list(rows), found), found.timestamp_format, NOW)
    return result.order_by("source_order").to_pyarrow().to_pylist()


@pytest.mark.parametrize(
    ("row", "reason", "is_excluded"),
    [
        ({}, None, False),
        ({"problem": "broken JSON"}, "broken JSON", False),
        ({"customer": None}, "guest", True),
        ({"customer": " nan "}, "guest", True),
        ({"sku": ""}, "missing item_id", False),
        ({"sku": "NULL"}, "missing item_id", False),
        ({"time": None}, "missing timestamp", False),
        ({"time": "yesterday"}, "timestamp is not a time", False),
        ({"time": "nan"}, "timestamp is not a time", False),
        ({"time": "1e400"}, "timestamp is not a time", False),
        ({"time": "0"}, "impossible timestamp", False),
        ({"time": "-1600000000000"}, "impossible timestamp", False),
        ({"time": "1e99"}, "impossible timestamp", False),
        ({"time": "6942672000000"}, "impossible timestamp", False),
        ({"time": str(NOW + 2 * 86_400_000)}, "impossible timestamp", False),
        ({"time": str(NOW + 1000)}, None, False),
        ({"pieces": None, "price": None}, None, False),
        ({"pieces": "-2"}, "return", True),
        ({"pieces": "(2)"}, "return", True),
        ({"pieces": "NULL", "price": "N/A"}, None, False),
        ({"pieces": "0"}, "quantity 0", True),
        ({"pieces": "two"}, "quantity is not a number", False),
        ({"price": "free"}, "price is not a number", False),
        ({"price": "0"}, None, False),
        # A row has one reason: rules of the shop come before missing values.
        ({"pieces": "-1", "customer": None, "time": None}, "return", True),
        ({"customer": None, "time": None}, "guest", True),
        ({"sku": "POST", "customer": None}, "excluded item", True),
        ({"sku": "POST", "pieces": "-1"}, "return", True),
    ],
)
def test_row_has_the_first_reason(row: Row, reason: str | None, is_excluded: bool) -> None:
    (found,) = typed(row, of=source(exclude_items={"ids": ["post"]}))
    assert (found["reason"], found["is_excluded"]) == (reason, is_excluded)
    assert (found["raw"] is None) == (reason is None)


def test_values_are_converted() -> None:
    plain, spaced = typed(
        {"sku": "0205616461", "order": " 7 ", "price": "1,234.50", "pieces": "12"},
        {"customer": " u 1 ", "time": "1.6e12", "price": "$9"},
    )
    assert (plain["item_id"], plain["order_id"]) == ("0205616461", "7")
    assert (plain["timestamp"], plain["source_order"]) == (1_600_000_000_000, 1)
    assert (plain["price"], plain["quantity"]) == (1234.5, 12.0)
    assert (plain["event_type"], plain["is_guest"]) == ("purchase", False)
    assert (spaced["user_id"], spaced["timestamp"], spaced["price"]) == ("u 1", 1.6e12, 9.0)
    (german,) = typed({"price": "1.234,50 \u20ac", "pieces": "2,0"}, of=source(decimal=","))
    assert (german["price"], german["quantity"]) == (1234.5, 2.0)
    rated = source(COLUMNS | {"rating": "stars"})
    assert [row["rating"] for row in typed({"stars": "4.5"}, {"stars": "none"}, of=rated)] == [
        4.5, None,
    ]  # fmt: skip


def test_times_are_read_in_the_format_and_zone_of_the_source() -> None:
    british = source(timestamp_format="%d/%m/%Y %H:%M", timezone="Europe/London")
    summer, winter, wrong = typed(
        {"time": "1/7/2020 12:00"}, {"time": "01/12/2020 12:00"}, {"time": "2020-07-01"}, of=british
    )
    assert summer["timestamp"] == 1_593_601_200_000
    assert winter["timestamp"] == 1_606_824_000_000
    assert wrong["reason"] == "timestamp is not a time"


def test_position_replaces_the_timestamp() -> None:
    rows = [{"place": "2"}, {"place": None}, {"place": "two"}]
    of = source({"user_id": "customer", "item_id": "sku", "position": "place"})
    found = type_rows(rows, of).order_by("source_order").to_pyarrow().to_pylist()
    assert [(row["position"], row["timestamp"], row["reason"]) for row in found] == [
        (2, None, None), (None, None, "missing position"), (None, None, "position is not a number"),
    ]  # fmt: skip


def test_a_row_with_a_position_needs_no_time() -> None:
    rows = [
        {"place": "1", "time": None}, {"place": "2", "time": " "}, {"place": "3"},
        {"place": "4", "time": "yesterday"}, {"place": "5", "time": "0"}, {"place": None},
    ]  # fmt: skip
    found = typed(*rows, of=source(COLUMNS | {"position": "place"}))
    assert [(row["position"], row["reason"]) for row in found] == [
        (1, None), (2, None), (3, None), (4, "timestamp is not a time"),
        (5, "impossible timestamp"), (None, "missing position"),
    ]  # fmt: skip
    assert [row["timestamp"] is None for row in found[:4]] == [True, True, False, True]


def test_rows_that_fail_a_condition_are_excluded() -> None:
    shop = source(
        where={"status": {"in": ["paid"]}, "Cancelled at": {"missing": True}},
        returns={"where": {"status": {"in": ["refunded"]}}},
    )
    rows = [
        {"status": "paid"}, {"status": "open"}, {"status": "paid", "Cancelled at": "1 May"},
        {"status": "refunded"},
    ]  # fmt: skip
    assert [row["reason"] for row in typed(*rows, of=shop)] == [
        None, "where: status", "where: Cancelled at", "return",
    ]  # fmt: skip


def test_values_of_the_first_line_hold_for_the_order() -> None:
    shop = source(
        COLUMNS | {"currency": "money"}, where={"status": {"in": ["paid"]}},
        fill_within_order=["status", "customer"],
    )  # fmt: skip
    rows = [
        {"order": "1", "status": "paid", "customer": "ana", "money": "EUR"},
        {"order": "1", "status": " ", "customer": None},
        {"order": "2", "status": None, "customer": "bo"},
        {"order": None, "status": "paid", "customer": "cy"},
        {"order": None, "status": None, "customer": None},
    ]
    found = typed(*rows, of=shop)
    assert [row["reason"] for row in found] == [
        None, None, "where: status", None, "where: status",
    ]  # fmt: skip
    assert [row["user_id"] for row in found][:2] == ["ana", "ana"]
    assert [row["currency"] for row in found][:2] == ["EUR", None]


def test_events_are_recognised_by_their_values() -> None:
    log = source(
        COLUMNS | {"event_type": "event"},
        events={"purchase": ["purchase", "order"], "view": ["view"]},
    )
    names = ["purchase", "order", "view", "scroll", None]
    found = typed(*({"event": name, "pieces": "0"} for name in names[2:]), of=log)
    assert [(row["event_type"], row["reason"]) for row in found] == [
        ("view", None), (None, "event: scroll"), (None, "event: none"),
    ]  # fmt: skip
    found = typed(*({"event": name} for name in names[:2]), of=log)
    assert {(row["event_type"], row["reason"]) for row in found} == {("purchase", None)}
    (view,) = typed({}, of=source(events="view"))
    assert (view["event_type"], view["reason"]) == ("view", None)


def test_guests_are_sessions_of_their_orders() -> None:
    rows = [
        {"customer": None, "order": "7"}, {"customer": None, "order": None}, {"customer": "u"},
    ]  # fmt: skip
    found = typed(*rows, of=source(guests="sessions"))
    assert [(row["user_id"], row["is_guest"], row["reason"]) for row in found] == [
        ("guest order 7", True, None), (None, True, "guest without order_id"), ("u", False, None),
    ]  # fmt: skip


def test_ids_are_normalised() -> None:
    steps = {"user_id": ["integer_like"], "item_id": ["strip", "upper"]}
    (found,) = typed({"customer": "17850.0", "sku": "85123a\u00a0"}, of=source(normalise_ids=steps))
    assert (found["user_id"], found["item_id"]) == ("17850", "85123A")


def test_order_ids_are_normalised() -> None:
    described = source(
        columns={**COLUMNS, "order_id": "order"},
        normalise_ids={"order_id": ["strip", "integer_like", "upper"]},
    )
    found = typed({"order": "1001"}, {"order": "1001.0 "}, {"order": "a7"}, of=described)
    assert [row["order_id"] for row in found] == ["1001", "1001", "A7"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"guests": "sessions"}, "guests: sessions needs columns.order_id"),
        ({"fill_within_order": ["t"]}, "fill_within_order needs columns.order_id"),
        ({"events": {"view": ["v"]}}, "needs columns.event_type"),
        ({"timestamp_format": "dd.mm.yyyy"}, "timestamp_format"),
        ({"timestamp_format": "%H:%M"}, "a year, a month and a day"),
        ({"timezone": "Mars/Olympus"}, "time zone"),
        ({"encoding": "utf-88"}, "encoding"),
        ({"where": {"status": {"matches": "("}}}, "regular expression"),
    ],
)
def test_impossible_rules_are_rejected(rules: Row, message: str) -> None:
    columns = {"user_id": "u", "item_id": "i", "timestamp": "t"}
    with pytest.raises(ValidationError, match=message):
        InteractionSource.model_validate({"files": "f", "columns": columns} | rules)


def products(*rows: dict[str, Any], **columns: str | list[str]) -> list[dict[str, Any]]:
    mapped = columns or {"item_id": "i", "title": "t"}
    content = [{"title": None, "url": None, "attributes": None} | row for row in rows]
    names = ("item_id", "title", "url", "attributes", "problem")
    raw = ibis.memtable(
        [
            {"source_file": "f", "row_number": number, "raw": "r", "problem": None} | row
            for number, row in enumerate(content)
        ],
        schema={"source_file": "string", "row_number": "int64", "raw": "string"}
        | dict.fromkeys(names, "string"),
    )
    options = ProductSource(files="f", format="csv", columns=mapped)  # type: ignore[arg-type]
    found = type_products(raw, options, "shop", 3).order_by("source_order")
    return found.to_pyarrow().to_pylist()


def test_product_without_title_is_accepted() -> None:
    found = products(
        {"item_id": "01", "title": "  Rose \t Toner\n200 ml "},
        {"item_id": "02", "title": "   "},
        {"item_id": "03", "title": None},
        {"item_id": None, "title": "Rose"},
        {"item_id": "05", "title": "<b>Rose &amp; Oat</b>"},
    )
    assert [(row["item_id"], row["title"], row["reason"]) for row in found] == [
        ("01", "Rose Toner 200 ml", None),
        ("02", None, None),
        ("03", None, None),
        (None, "Rose", "missing item_id"),
        ("05", "Rose & Oat", None),
    ]
    assert {(row["title_source"], row["trust"]) for row in found} == {("shop", 3)}


def test_title_is_taken_from_the_address() -> None:
    found = products(
        {"item_id": "1", "url": "https://www.amazon.in/Rose-Toner%2C-200-ml/dp/1/ref=sr_1_2"},
        {"item_id": "2", "url": "https://www.amazon.in/dp/2/ref=sr_1_2"},
        {"item_id": "3", "url": "Rose-Toner"},
        {"item_id": "4", "url": None},
        {"item_id": "5", "url": "http://shop.example/Cr%C3%A8me/dp/5"},
        item_id="i",
        url="u",
    )
    assert [row["title"] for row in found] == ["Rose Toner, 200 ml", None, None, None, "Crème"]


def test_product_attributes_are_combined() -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": "1", "title": "Rose", "attributes": '["Rosalind", "[[\\"Skin Care\\"]]"]'},
        {"item_id": "2", "title": None, "attributes": "Rosalind &amp; Co"},
        {"item_id": "3", "title": "Rose", "attributes": "Unknown"},
        {"item_id": "4", "title": "Rose", "attributes": None},
        {"item_id": None, "title": "Rose", "attributes": "Rosalind"},
    ]
    found = products(*rows, item_id="i", title="t", attributes=["b", "c"])
    assert [(row["title"], row["attributes"], row["reason"]) for row in found] == [
        ("Rose", "Rosalind, Skin Care", None),
        (None, "Rosalind & Co", None),
        ("Rose", None, None),
        ("Rose", None, None),
        ("Rose", "Rosalind", "missing item_id"),
    ]
    assert [row["attributes"] for row in products(*rows)] == [None] * 5


def test_only_attributes_may_be_several_columns() -> None:
    with pytest.raises(ValidationError, match=r"columns\.title must be one column"):
        products(item_id="i", title=["t", "u"])
    with pytest.raises(ValidationError, match="at least 1 item"):
        products(item_id="i", title="t", attributes=[])


SECONDS, MILLISECONDS = "1600000000", "1600000000000"


def test_each_file_is_converted_on_its_own() -> None:
    of = source()
    files = [
        raw_table([{"time": time}], of, name)
        for time, name in ((SECONDS, "old.csv"), (MILLISECONDS, "new.csv"))
    ]
    result = cache_table(type_interactions(ibis.union(*files), of, "ms", NOW))
    converted = convert_time_units(result, "ms", NOW)
    assert converted.timestamp.to_pyarrow().to_pylist() == [1_600_000_000_000] * 2
    assert converted.reason.notnull().sum().execute() == 0


def test_sources_with_timestamps_and_with_positions_are_rejected() -> None:
    positions = source({"user_id": "u", "item_id": "i", "position": "p"})
    check_timestamps_in_all_sources({"a": source(), "b": source()})
    with pytest.raises(InputError, match=r"interactions\.b has only positions"):
        check_timestamps_in_all_sources({"a": source(), "b": positions})
