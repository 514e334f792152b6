from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bazar.config.data import InteractionSource, ProductSource
from bazar.errors import InputError
from bazar.ingestion.typing_rules import (
    cache_table,
    check_timestamps_in_all_sources,
    collect_rejects,
    convert_time_units,
    count_rows,
    select_accepted,
    type_interactions,
    type_products,
)

NOW = 1_700_000_000_000
VALID = {
    "user_id": "u",
    "item_id": "i",
    "timestamp": "1600000000000",
    "rating": "5",
    "problem": None,
}


def source(unit: str | None = "ms", **columns: str) -> InteractionSource:
    mapped = columns or {"user_id": "u", "item_id": "i", "timestamp": "t", "rating": "r"}
    return InteractionSource(files="f", format="csv", columns=mapped, timestamp_unit=unit)  # type: ignore[arg-type]


def table(rows: list[dict[str, Any]], names: tuple[str, ...] = tuple(VALID)) -> ir.Table:
    full = [
        {
            "source_file": "shop.csv",
            "row_number": number + 1,
            "raw": f"row {number + 1}",
            **{name: (VALID | row)[name] for name in names},
        }
        for number, row in enumerate(rows)
    ]
    types = {"source_file": "string", "row_number": "int64", "raw": "string"}
    return ibis.memtable(full, schema=types | dict.fromkeys(names, "string"))


def typed(*rows: dict[str, Any], unit: str = "ms") -> list[dict[str, Any]]:
    result = type_interactions(table(list(rows)), source(unit), NOW)
    result = convert_time_units(cache_table(result), source(unit), NOW)
    return result.order_by("source_order").to_pyarrow().to_pylist()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, None),
        ({"problem": "broken JSON"}, "broken JSON"),
        ({"user_id": None}, "missing user_id"),
        ({"user_id": "  "}, "missing user_id"),
        ({"item_id": ""}, "missing item_id"),
        ({"user_id": None, "timestamp": None}, "missing user_id"),
        ({"timestamp": None}, "missing timestamp"),
        ({"timestamp": "yesterday"}, "timestamp is not a time"),
        ({"timestamp": "nan"}, "timestamp is not a time"),
        ({"timestamp": "1e400"}, "timestamp is not a time"),
        ({"timestamp": "0"}, "impossible timestamp"),
        ({"timestamp": "-1600000000000"}, "impossible timestamp"),
        ({"timestamp": "1e99"}, "impossible timestamp"),
        ({"timestamp": "6942672000000"}, "impossible timestamp"),
        ({"timestamp": str(NOW + 2 * 86_400_000)}, "impossible timestamp"),
        ({"timestamp": str(NOW + 1000)}, None),
        ({"rating": "none"}, None),
    ],
)
def test_row_is_rejected_with_the_first_reason(row: dict[str, Any], reason: str | None) -> None:
    (found,) = typed(row)
    assert found["reason"] == reason
    assert (found["raw"] is None) == (reason is None)


def test_values_are_converted() -> None:
    plain, spaced, unrated = typed(
        {"item_id": "0205616461"}, {"user_id": " u 1 "}, {"rating": "inf", "timestamp": "1.6e12"}
    )
    assert plain["item_id"] == "0205616461"
    assert plain["timestamp"] == 1_600_000_000_000
    assert plain["rating"] == 5.0
    assert plain["source_order"] == 1
    assert spaced["user_id"] == "u 1"
    assert unrated["rating"] is None
    assert unrated["timestamp"] == 1_600_000_000_000


def test_timestamp_units_are_converted() -> None:
    assert typed({"timestamp": "1600000000"}, unit="s")[0]["timestamp"] == 1_600_000_000_000
    for text, milliseconds in (
        ("2020-09-13T12:26:40", 1_600_000_000_000),
        ("2020-09-13 12:26:40.250", 1_600_000_000_250),
        ("2020-09-13T14:26:40+02:00", 1_600_000_000_000),
        ("2020-09-13 06:56:40.5-0530", 1_600_000_000_500),
        ("2020-09-13T12:26:40Z", 1_600_000_000_000),
        ("2020-09-13", 1_599_955_200_000),
    ):
        assert typed({"timestamp": text}, unit="iso")[0]["timestamp"] == milliseconds
    assert typed({"timestamp": "13.09.20"}, unit="iso")[0]["reason"] == "timestamp is not a time"


def test_position_replaces_the_timestamp() -> None:
    names = ("user_id", "item_id", "position", "problem")
    rows = [{"position": "2"}, {"position": None}, {"position": "two"}]
    mapped = source(None, user_id="u", item_id="i", position="p")
    found = type_interactions(table(rows, names), mapped, NOW).order_by("source_order")
    assert [
        (row["position"], row["timestamp"], row["reason"]) for row in found.to_pyarrow().to_pylist()
    ] == [
        (2, None, None), (None, None, "missing position"), (None, None, "position is not a number"),
    ]  # fmt: skip


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


@pytest.mark.parametrize(
    ("unit", "times", "expected"),
    [
        ("ms", [SECONDS, SECONDS], [1_600_000_000_000] * 2),
        ("s", [MILLISECONDS, MILLISECONDS], [1_600_000_000_000] * 2),
        # A time that is impossible in both units does not prevent the conversion.
        ("ms", [SECONDS, "0", None], [1_600_000_000_000, None, None]),
        # One time is possible in milliseconds, so the file is not converted.
        ("ms", [SECONDS, MILLISECONDS], [None, 1_600_000_000_000]),
        ("ms", ["0", "-1"], [None, None]),
    ],
)
def test_file_in_another_unit_is_converted(
    unit: str, times: list[str | None], expected: list[int | None]
) -> None:
    found = typed(*({"timestamp": time} for time in times), unit=unit)
    kept = [row["timestamp"] if row["reason"] is None else None for row in found]
    assert kept == expected
    assert all((row["raw"] is None) == (row["reason"] is None) for row in found)


def test_each_file_is_converted_on_its_own() -> None:
    rows = [VALID | {"timestamp": SECONDS}, VALID | {"timestamp": MILLISECONDS}]
    files = [
        table([row]).mutate(source_file=ibis.literal(name))
        for row, name in zip(rows, ("old.csv", "new.csv"), strict=True)
    ]
    result = cache_table(type_interactions(ibis.union(*files), source("ms"), NOW))
    converted = convert_time_units(result, source("ms"), NOW)
    assert converted.timestamp.to_pyarrow().to_pylist() == [1_600_000_000_000] * 2
    assert converted.reason.notnull().sum().execute() == 0


def test_sources_with_timestamps_and_with_positions_are_rejected() -> None:
    positions = source(None, user_id="u", item_id="i", position="p")
    check_timestamps_in_all_sources({"a": source(), "b": source("s")})
    with pytest.raises(InputError, match=r"interactions\.b has only positions"):
        check_timestamps_in_all_sources({"a": source(), "b": positions})


row_strategy = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u", "", None, "0"]),
        "item_id": st.sampled_from(["i", " ", None]),
        "timestamp": st.sampled_from(["1600000000000", "0", "x", None, "-1", "nan"]),
        "problem": st.sampled_from([None, None, "broken JSON"]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(row_strategy, min_size=1, max_size=12))
def test_every_row_is_kept_or_rejected(rows: list[dict[str, Any]]) -> None:
    expected_kept = sum(
        bool(row["problem"] is None and row["user_id"] and (row["item_id"] or "").strip())
        and row["timestamp"] == "1600000000000"
        for row in rows
    )
    result = cache_table(type_interactions(table(rows), source(), NOW))
    (counts,) = count_rows(result).to_pyarrow().to_pylist()
    rejects = collect_rejects(result).to_pyarrow().to_pylist()
    assert counts["rows_read"] == len(rows)
    assert counts["rows_kept"] == expected_kept
    assert counts["rows_kept"] + counts["rows_rejected"] == counts["rows_read"]
    assert sum(row["count"] for row in rejects) == counts["rows_rejected"]
    if expected_kept:
        accepted = select_accepted(result, 1.0).to_pyarrow().to_pylist()
        assert len(accepted) == expected_kept
        assert "reason" not in accepted[0]


def test_rejects_have_the_first_twenty_examples() -> None:
    rows = [{"user_id": None}] * 30 + [{"item_id": ""}] * 2
    found = collect_rejects(type_interactions(table(rows), source(), NOW)).to_pyarrow().to_pylist()
    assert [(row["reason"], row["count"], len(row["examples"])) for row in found] == [
        ("missing item_id", 2, 2),
        ("missing user_id", 30, 20),
    ]
    assert found[1]["examples"] == [f"row {number}" for number in range(1, 21)]


def test_too_many_rejects_raise_with_the_reasons() -> None:
    rows = [{}] * 18 + [{"user_id": None}, {"timestamp": "x"}]
    result = type_interactions(table(rows), source(), NOW)
    assert select_accepted(result, 0.10).count().execute() == 18
    with pytest.raises(InputError) as error:
        select_accepted(result, 0.05)
    message = str(error.value)
    assert "shop.csv: 2 of 20 rows (10.0%)" in message
    assert "ingestion.max_reject_share allows 5.0%" in message
    assert "1 x missing user_id, for example: row 19" in message
    assert "1 x timestamp is not a time, for example: row 20" in message


def test_file_without_a_usable_row_raises() -> None:
    with pytest.raises(InputError, match="1 of 1 rows"):
        select_accepted(type_interactions(table([{"user_id": None}]), source(), NOW), 1.0)


def test_most_frequent_reason_is_first_and_followed_by_advice() -> None:
    rows = [{"user_id": None}] + [{"timestamp": "13.09.20"}] * 3
    with pytest.raises(InputError) as error:
        select_accepted(type_interactions(table(rows), source("iso"), NOW), 0.5)
    message = str(error.value).splitlines()
    assert message[1].startswith("  3 x timestamp is not a time")
    assert message[2].startswith("  1 x missing user_id")
    assert "2024-03-01T10:21:00+02:00" in message[-1]
