"""Numbers of orders and ties on Spark: equal to those on DuckDB."""

import random
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.data.ordering import index_items, list_items, list_users, sort_interactions

pytestmark = pytest.mark.spark
INTERACTIONS = pa.schema(
    {
        "user_id": pa.string(), "item_id": pa.string(), "timestamp": pa.int64(),
        "position": pa.int64(), "order_id": pa.string(), "is_guest": pa.bool_(),
        "source_file": pa.string(), "source_order": pa.int64(),
    }
)  # fmt: skip


def make_interactions(has_times: bool, untimed_user: str = "") -> pa.Table:
    """Return random lines with ties, with and without order ids, of customers and guests.

    All lines of the untimed user have a position, and some of them have no time.
    """
    chance = random.Random(7)
    rows = [
        {
            "user_id": chance.choice(["Ann", "bob", "éve", "10", "9"]),
            "item_id": f"é{chance.randrange(30)}",
            "timestamp": chance.randrange(25) if has_times else None,
            "position": None if has_times and number % 2 else chance.randrange(25),
            "order_id": chance.choice([None, None, "1", "2", "10"]),
            "is_guest": False,
            "source_file": chance.choice(["a.csv", "B.csv"]),
            "source_order": number,
        }
        for number in range(400)
    ]
    for row in (row for row in rows if row["user_id"] == untimed_user):
        row["position"] = chance.randrange(25)
        row["timestamp"] = chance.choice([row["timestamp"], None])
    return pa.Table.from_pylist(rows, schema=INTERACTIONS)


@pytest.mark.parametrize(("has_times", "untimed_user"), [(True, ""), (True, "bob"), (False, "")])
def test_rows_of_sequences_are_equal_on_both_engines(
    session: Any, tmp_path: Path, has_times: bool, untimed_user: str
) -> None:
    path = tmp_path / "lines.parquet"
    pq.write_table(make_interactions(has_times, untimed_user), path)
    found = []
    for backend in (ibis.duckdb.connect(), ibis.pyspark.connect(session)):
        lines = backend.read_parquet(str(path))
        sequences = sort_interactions(lines, index_items(lines.select("item_id").distinct()))
        found.append(
            [
                table.to_pyarrow()
                for table in (sequences, list_users(sequences), list_items(sequences))
            ]
        )
    for on_duckdb, on_spark in zip(*found, strict=True):
        assert on_spark.schema.equals(on_duckdb.schema)
        assert on_spark.to_pylist() == on_duckdb.to_pylist()
    sequences = found[0][0].to_pandas()
    # There are orders of several lines, and orders with lines that have an order.
    assert sequences["order_number"].nunique() < sequences["tie_number"].nunique() < 400
