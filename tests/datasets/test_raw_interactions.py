from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from bazar.datasets.raw_interactions import RawInteractionsDataset
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA, name_live_purchases

SOURCES = {
    "orders": {
        "files": "orders.csv",
        "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"},
    },
    "live": {
        "files": "live/live_purchases_*.parquet",
        "optional": True,
        "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"},
        "timestamp_format": "ms",
    },
}
HASH = sha256(b"u").hexdigest()


def make_dataset(folder: Path, deleted_users: Any = "live/deleted_users.parquet") -> Any:
    (folder / "orders.csv").write_text("u,i,t\na,b,2024-01-01\n")
    return RawInteractionsDataset(
        path=str(folder),
        deleted_users=deleted_users,
        sources=SOURCES,
        max_rows=100,
        max_bytes=1_000,
        connection={"backend": "duckdb", "database": ":memory:"},
    )


def write_deleted(path: Path, columns: list[Any], names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, names), path)


def test_live_files_may_be_missing(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    loaded = dataset.load()
    assert list(loaded.tables) == ["orders"]
    assert loaded.deleted_users.equals(DELETED_USERS_SCHEMA.empty_table())
    assert dataset.exists()
    assert dataset.preview()["data"] == [["a", "b", "2024-01-01"]]
    assert "deleted_users.parquet" in str(dataset)
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save(loaded)


def test_live_files_are_a_source(tmp_path: Path) -> None:
    columns = {"u": ["a"], "i": ["b"], "t": pa.array([5])}
    name = f"live/{name_live_purchases(1, 7)}"
    write_deleted(tmp_path / name, [*columns.values()], [*columns])
    rows = make_dataset(tmp_path).load().tables["live"].to_pyarrow().to_pylist()
    assert [(row["source_file"], row["user_id"], row["timestamp"]) for row in rows] == [
        (name, "a", "5")
    ]


def test_a_missing_live_file_raises_before_any_work(tmp_path: Path) -> None:
    write_deleted(tmp_path / f"live/{name_live_purchases(3, 7)}", [["a"]], ["u"])
    with pytest.raises(DatasetError, match="live purchases 1 to 2 are missing"):
        make_dataset(tmp_path).load()


@pytest.mark.parametrize("is_absolute", [False, True])
def test_deleted_users_are_loaded(tmp_path: Path, is_absolute: bool) -> None:
    path = tmp_path / "deleted=1" / "users.parquet"
    # A column more, in another order and of another type.
    write_deleted(path, [[1], pa.array([5], pa.int32()), [HASH]], ["a", "deleted_at", "user_hash"])
    name = str(path) if is_absolute else "deleted=1/users.parquet"
    loaded = make_dataset(tmp_path, name).load().deleted_users
    assert loaded.schema.equals(DELETED_USERS_SCHEMA)
    assert loaded.to_pylist() == [{"user_hash": HASH, "deleted_at": 5}]


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ([[HASH]], ["user_hash"], "cannot be read"),
        ([[HASH], ["soon"]], ["user_hash", "deleted_at"], "cannot be read"),
        ([[HASH], pa.array([None], pa.int64())], ["user_hash", "deleted_at"], "cannot be read"),
        ([[HASH.upper()], [5]], ["user_hash", "deleted_at"], "not 64 lower-case hex digits"),
        ([["u"], [5]], ["user_hash", "deleted_at"], "not 64 lower-case hex digits"),
    ],
)
def test_invalid_deleted_users_raise(
    tmp_path: Path, columns: list[Any], names: list[str], message: str
) -> None:
    write_deleted(tmp_path / "live/deleted_users.parquet", columns, names)
    with pytest.raises(DatasetError, match=message) as error:
        make_dataset(tmp_path).load()
    assert "Run bazar export-training again" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PAR1 and more"])
def test_a_damaged_file_raises(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "live/deleted_users.parquet"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        make_dataset(tmp_path).load()


def test_the_path_must_be_a_text(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="deleted_users in globals"):
        make_dataset(tmp_path, None)
