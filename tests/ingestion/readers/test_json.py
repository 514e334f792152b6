"""JSON keys with any character, nested objects, and numbers."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.readers.shape import inspect_file
from tests.ingestion.readers.reading import read_columns, read_rows


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_nested_keys_are_read_with_dots(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "orders"
    records = [
        {"customer": {"id": 7, "address": {"zip": "01"}}, "item.id": "a", "item": {"id": "no"}},
        {"customer": None, "item.id": "b"},
        {"customer": {"id": None}, "item.id": "c"},
        {"customer": "text", "item.id": "d"},
    ]
    lines = map(json.dumps, records)
    path.write_text("\n".join(lines) if layout == "lines" else json.dumps(records))
    columns = {
        "user_id": ["customer.id"],
        "item_id": ["item.id"],
        "timestamp": ["customer.address.zip"],
    }
    assert read_columns(path, columns=columns) == [
        ("7", "a", "01"),
        (None, "b", None),
        (None, "c", None),
        (None, "d", None),
    ]
    assert inspect_file(path).columns == [
        "customer", "item.id", "item", "customer.id", "customer.address", "customer.address.zip",
    ]  # fmt: skip


ORDERS = [
    {"id": 1.0, "buyer": {"id": 7}, "a/b~c": [{"sku": "x", "size": {"ml": 50}}, {"sku": 2.0}]},
    {"id": 2, "buyer": None, "a/b~c": [{"sku": None, "size": "text"}]},
]
LIST_COLUMNS = {
    "user_id": ["buyer.id"],
    "item_id": ["a/b~c.sku"],
    "timestamp": ["a/b~c.size.ml"],
    "order_id": ["id"],
}


@pytest.mark.parametrize("layout", ["lines", "array", "response"])
def test_each_element_of_a_list_is_a_row(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "orders"
    columns = LIST_COLUMNS
    if layout == "lines":
        path.write_text("\n".join(map(json.dumps, ORDERS)))
    elif layout == "array":
        path.write_text(json.dumps(ORDERS, indent=2))
    else:
        path.write_text(json.dumps({"count": 2, "orders": ORDERS}))
        columns = {column: [f"orders.{name}"] for column, [name] in LIST_COLUMNS.items()}
    rows = read_rows(path, columns=columns)
    assert [tuple(row[column] for column in ("row_number", *columns)) for row in rows] == [
        (1, "7", "x", "50", "1"),
        (2, "7", "2", None, "1"),
        (3, None, None, None, "2"),
    ]
    assert [row["problem"] for row in rows] == [None] * 3
    assert rows[1]["raw"] == '{"sku":2.0}'


def test_list_as_text_and_columns_outside_of_lists_give_a_row_per_object(tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("\n".join(map(json.dumps, ORDERS)))
    columns = {"user_id": ["id"], "item_id": ["a/b~c"], "timestamp": ["buyer.id"]}
    found = read_columns(tmp_path / "orders", columns=columns)
    assert [(user, time) for user, _, time in found] == [("1", "7"), ("2", None)]
    assert json.loads(found[0][1]) == ORDERS[0]["a/b~c"]


def test_many_elements_keep_the_order_of_the_file(tmp_path: Path) -> None:
    orders = [
        {"id": n, "lines": [{"sku": f"{n}-{k}"} for k in range(n % 4 + 1)]} for n in range(5000)
    ]
    (tmp_path / "orders").write_text("\n".join(map(json.dumps, orders)))
    columns = {"user_id": ["id"], "item_id": ["lines.sku"], "timestamp": ["id"]}
    found = [item for _, item, _ in read_columns(tmp_path / "orders", columns=columns)]
    assert found == [line["sku"] for order in orders for line in order["lines"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("layout", ["lines", "response"])
def test_lines_without_an_object_are_rows_with_a_problem(tmp_path: Path, layout: str) -> None:
    orders = [{"id": 1, "lines": [{"sku": "a"}, 3]}, {"id": 2, "lines": []}, {"id": 3}]
    prefix = "" if layout == "lines" else "orders."
    text = "\n".join(map(json.dumps, orders)) if not prefix else json.dumps({"orders": orders})
    (tmp_path / "orders").write_text(f"{text}\n{{cut\n" if not prefix else text)
    columns = {"user_id": [f"{prefix}id"], "item_id": [f"{prefix}lines.sku"], "timestamp": []}
    rows = read_rows(tmp_path / "orders", columns=columns)
    problem = f"no object in {prefix}lines"
    expected = [None, problem, problem, problem] + ([] if prefix else ["broken JSON"])
    assert [row["problem"] for row in rows] == expected
    assert [row["raw"] for row in rows[1:4]] == [
        "3", *(json.dumps(order, separators=(",", ":") if prefix else None) for order in orders[1:])
    ]  # fmt: skip


NUMBERS = {
    "17850.0": "17850",
    "17850": "17850",
    '"17850.0"': "17850.0",
    '"007"': "007",
    "1.5": "1.5",
    "-3.0": "-3",
    "NaN": None,
    '"NaN"': "NaN",
    "null": None,
    "9007199254740993": "9007199254740993",
    "18446744073709551615": "18446744073709551615",
    "123456789012345678901234567890": "123456789012345678901234567890",
    "1e20": "100000000000000000000",
    "true": "true",
}


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_whole_numbers_are_written_without_a_fraction(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "orders"
    lines = [f'{{"user": {number}, "item": "a", "time": 1}}' for number in NUMBERS]
    path.write_text("\n".join(lines) if layout == "lines" else f"[{','.join(lines)}]")
    found = [user for user, _, _ in read_columns(path)]
    assert dict(zip(NUMBERS, found, strict=True)) == NUMBERS


def test_elements_that_are_no_objects_are_rows_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "orders"
    path.write_text('[{"user": "u", "item": "a", "time": 1}, 5, null, ["x"]]')
    assert [row["problem"] for row in read_rows(path)] == [None, *["not a JSON object"] * 3]


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, min_size=3, max_size=3, unique=True))
def test_keys_of_any_characters_are_read(names: list[str]) -> None:
    columns = {
        column: [name]
        for column, name in zip(("user_id", "item_id", "timestamp"), names, strict=True)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders"
        path.write_text(json.dumps(dict(zip(names, "uat", strict=True))) + "\n")
        assert read_columns(path, columns=columns) == [("u", "a", "t")]
