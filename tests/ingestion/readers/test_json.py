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
