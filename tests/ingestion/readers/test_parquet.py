"""Parquet as any engine writes it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.errors import InputError
from bazar.ingestion.readers.shape import inspect_file
from tests.ingestion.readers.reading import read_rows

TIME = datetime(2024, 7, 5, 10, 30, 15)


def read_values(path: Path, array: pa.Array, **options: Any) -> list[str | None]:
    """Return the texts of a column that is written to a Parquet file."""
    pq.write_table(pa.table({"value": array}), path, **options)
    return [row["value"] for row in read_rows(path, columns={"value": ["value"]})]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit_are_read(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "orders.parquet"
    local = pa.array([TIME, None], pa.timestamp(unit))
    assert read_values(path, local) == ["2024-07-05 10:30:15", None]
    zoned = pa.array([TIME.replace(tzinfo=UTC), None], pa.timestamp(unit, "Europe/London"))
    found = read_values(path, zoned)
    assert found == ["2024-07-05 10:30:15+00:00", None]
    assert datetime.fromisoformat(str(found[0])) == TIME.replace(tzinfo=UTC)


def test_times_of_old_engines_are_read(tmp_path: Path) -> None:
    array = pa.array([TIME], pa.timestamp("ns"))
    found = read_values(tmp_path / "orders", array, use_deprecated_int96_timestamps=True)
    assert found == ["2024-07-05 10:30:15"]


VALUES: dict[str, tuple[pa.Array, list[str | None]]] = {
    "whole floats": (
        pa.array([17850.0, 1.5, None, float("nan"), float("inf"), -0.0, 1e15]),
        ["17850", "1.5", None, None, None, "0", "1000000000000000"],
    ),
    "floats of 32 bits": (pa.array([17850.0, 0.5], pa.float32()), ["17850", "0.5"]),
    "large integers": (
        pa.array([2**63 - 1, 9007199254740993]), ["9223372036854775807", "9007199254740993"]
    ),
    "unsigned integers": (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    "decimals": (pa.array([Decimal("17850.00"), Decimal("2.50")]), ["17850", "2.50"]),
    "byte arrays": (pa.array(["é", None], pa.string()).cast(pa.binary()), ["é", None]),
    "dictionaries": (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
    "dates": (pa.array([date(2024, 7, 5)]), ["2024-07-05"]),
    "booleans": (pa.array([True, False]), ["true", "false"]),
    "lists": (pa.array([["a", None], []]), ['["a",null]', "[]"]),
    "structures": (pa.array([{"a": 1}]), ['{"a":1}']),
    "nothing": (pa.nulls(1), [None]),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_are_read_as_text(tmp_path: Path, name: str) -> None:
    array, expected = VALUES[name]
    assert read_values(tmp_path / "orders.parquet", array) == expected


def test_categories_of_pandas_are_read(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pd.DataFrame({"value": pd.Categorical(["b", None, "a"])}).to_parquet(path)
    rows = read_rows(path, columns={"value": ["value"]})
    assert [row["value"] for row in rows] == ["b", None, "a"]


def test_names_that_differ_by_case_are_read(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"ID": ["x"], "id": ["y"], 'a "b"': ["z"]}), path)
    columns = {"user_id": ["id"], "item_id": ["ID"], "timestamp": ['a "b"']}
    row = read_rows(path, columns=columns)[0]
    assert (row["user_id"], row["item_id"], row["timestamp"]) == ("y", "x", "z")


def test_damaged_file_raises(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"value": ["x"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        inspect_file(path)
