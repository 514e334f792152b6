"""Numbers of orders on Spark: equal to those on DuckDB."""

import random
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.data.order_statistics import count_catalogue, count_orders

pytestmark = pytest.mark.spark
DAY = 86_400_000
INTERACTIONS = pa.schema(
    {
        "user_id": pa.string(), "item_id": pa.string(), "timestamp": pa.int64(),
        "position": pa.int64(), "order_id": pa.string(), "is_guest": pa.bool_(),
    }
)  # fmt: skip
PRODUCTS = pa.schema(
    dict.fromkeys(("item_id", "title", "title_source", "variant_group"), pa.string())
)


def make_interactions(has_times: bool) -> pa.Table:
    """Return random order lines with and without order ids, of customers and guests."""
    chance = random.Random(5)
    rows = []
    for number in range(400):
        user = chance.choice(["Ann", "bob", "guest", "0", "contest", "Test-1", "guests", None])
        rows.append(
            {
                "user_id": user or f"guest {number}",
                "item_id": f"é{chance.randrange(9)}",
                "timestamp": chance.randrange(40) * DAY + chance.randrange(3) * 1_000
                if has_times
                else None,
                "position": None if has_times else chance.randrange(30),
                "order_id": chance.choice([None, None, "1", "2", "10"]),
                "is_guest": user is None,
            }
        )
    return pa.Table.from_pylist(rows, schema=INTERACTIONS)


@pytest.mark.parametrize(("has_times", "test_from"), [(True, 30 * DAY), (False, None)])
def test_numbers_are_equal_on_both_engines(
    session: Any, tmp_path: Path, has_times: bool, test_from: int | None
) -> None:
    path = tmp_path / "lines.parquet"
    pq.write_table(make_interactions(has_times), path)
    on_duckdb, on_spark = (
        count_orders(backend.read_parquet(str(path)), 20 * DAY, test_from)
        for backend in (ibis.duckdb.connect(), ibis.pyspark.connect(session))
    )
    assert on_spark == on_duckdb
    assert on_spark.repeats > 0
    assert on_spark.guest_orders > 0
    assert set(on_spark.placeholder_customers) == {"guest", "0", "Test-1"}


def test_catalogue_is_equal_on_both_engines(session: Any, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.parquet"
    rows = pa.Table.from_pylist(
        [
            {
                "item_id": str(number),
                "title": "Tea" if number % 3 else None,
                "title_source": "orders" if number % 3 else "without title",
                "variant_group": str(number % 20) if number % 3 else None,
            }
            for number in range(50)
        ],
        schema=PRODUCTS,
    )
    pq.write_table(rows, path)
    on_duckdb, on_spark = (
        count_catalogue(backend.read_parquet(str(path)))
        for backend in (ibis.duckdb.connect(), ibis.pyspark.connect(session))
    )
    assert on_spark == on_duckdb
    assert on_spark.variants > on_spark.variant_groups > 0
