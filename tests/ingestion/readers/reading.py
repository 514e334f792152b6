"""Read files in tests, and write the small ones."""

from pathlib import Path
from typing import Any

import duckdb

from bazar.ingestion.readers.raw_file import RawFile
from bazar.ingestion.readers.records import select_records

COLUMNS = {"user_id": ["user"], "item_id": ["item"], "timestamp": ["time"]}


def make_file(path: Path, **changes: Any) -> RawFile:
    """Return a raw file of purchases with default settings."""
    settings: dict[str, Any] = {
        "path": path,
        "name": path.name,
        "file_format": "auto",
        "columns": COLUMNS,
        "setting": "interactions.orders",
        "max_rows": 10**9,
        "max_bytes": 10**12,
    }
    return RawFile(**(settings | changes))


def read_rows(path: Path, **changes: Any) -> list[dict[str, Any]]:
    """Return all records of a file in file order."""
    with duckdb.connect() as connection:
        sql = select_records(make_file(path, **changes), connection)
        connection.execute(f"CREATE TEMP TABLE found AS {sql}")
        return connection.sql("FROM found ORDER BY row_number").to_arrow_table().to_pylist()


def read_columns(path: Path, **changes: Any) -> list[tuple[Any, ...]]:
    """Return user, item and time of each record."""
    return [
        (row["user_id"], row["item_id"], row["timestamp"]) for row in read_rows(path, **changes)
    ]
