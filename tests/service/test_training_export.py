import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.errors import InputError
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA, LIVE_PURCHASES_SCHEMA
from bazar.service.store import EventRecord, LiveStore, StoreError, hash_user_id
from bazar.service.training_export import export_for_training

NOW = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LiveStore]:
    opened = LiveStore(f"sqlite:///{tmp_path}/live.db")
    yield opened
    opened.close()


def insert(store: LiveStore, *events: tuple[str, str], **values: Any) -> None:
    """Store an event for each user and item, one millisecond after the other."""
    start = store.newest_sequence()
    records = [
        EventRecord(**{
            "event_id": f"e{number}", "event_type": "purchase", "item_id": item, "user_id": user,
            "order_id": f"o{number}", "quantity": 2.0, "price": 1.5, "received_at": NOW + number,
        } | values)
        for number, (user, item) in enumerate(events, start=start + 1)
    ]  # fmt: skip
    assert store.insert_events(records) == ["new"] * len(records)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(path).read().to_pylist()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_purchase_is_exported_once(store: LiveStore, tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "live"
    export = export_for_training(store, folder)
    assert (export.path, export.n_purchases, export.last_sequence) == (None, 0, 0)
    assert list_names(folder) == ["deleted_users.parquet"]
    insert(store, ("a", "x"), ("b", "y"))
    insert(store, ("a", "z"), event_type="view", order_id=None, quantity=None, price=None)
    first = export_for_training(store, folder)
    assert first.path == folder / "live_purchases_000000000001_000000000003.parquet"
    assert (first.n_purchases, first.last_sequence) == (2, 3)
    assert pq.read_schema(first.path).equals(LIVE_PURCHASES_SCHEMA)
    assert read_rows(first.path) == [
        {"user_id": user, "item_id": item, "timestamp": NOW + number, "order_id": f"o{number}",
         "quantity": 2.0, "price": 1.5, "event_type": "purchase"}
        for number, (user, item) in enumerate([("a", "x"), ("b", "y")], start=1)
    ]  # fmt: skip
    # Nothing is new, then only a view is.
    for _ in range(2):
        assert export_for_training(store, folder).path is None
        insert(store, ("a", "z"), event_type="view")
    insert(store, ("a", "x"))
    second = export_for_training(store, folder)
    assert second.path == folder / "live_purchases_000000000004_000000000006.parquet"
    assert [row["timestamp"] for row in read_rows(second.path)] == [NOW + 6]
    names = list_names(folder)
    assert names == ["deleted_users.parquet", first.path.name, second.path.name]


def test_anonymous_purchases_have_no_user(store: LiveStore, tmp_path: Path) -> None:
    insert(store, ("", "x"), user_id=None, session_id="s")
    insert(store, ("", "y"), user_id=None, session_id="t")
    insert(store, ("a", "z"), session_id="t")
    export = export_for_training(store, tmp_path / "live")
    assert export.path is not None
    assert [row["user_id"] for row in read_rows(export.path)] == [None, "a", "a"]


def test_deleted_users_are_removed_from_all_files(store: LiveStore, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    insert(store, ("a", "x"), ("b", "y"))
    first = export_for_training(store, folder)
    insert(store, ("a", "y"), ("é", "x"))
    second = export_for_training(store, folder)
    assert first.path is not None
    assert second.path is not None
    unchanged = second.path.read_bytes()
    store.delete_user("a", NOW + 2)
    insert(store, ("a", "z"))
    third = export_for_training(store, folder)
    assert third.path is not None
    assert third.n_deleted_users == third.n_anonymised == 1
    deleted = pq.read_table(folder / "deleted_users.parquet")
    assert deleted.schema.equals(DELETED_USERS_SCHEMA)
    assert deleted.to_pylist() == [{"user_hash": hash_user_id("a"), "deleted_at": NOW + 2}]
    # Purchases after the deletion are those of a new customer.
    assert second.path.read_bytes() == unchanged
    assert [row["user_id"] for row in read_rows(third.path)] == ["a"]
    rows = read_rows(first.path)
    assert [(row["user_id"], row["order_id"]) for row in rows] == [(None, None), ("b", "o2")]
    assert [row["item_id"] for row in rows] == ["x", "y"]
    assert pq.read_schema(first.path).equals(LIVE_PURCHASES_SCHEMA)
    store.delete_user("a", NOW + 100)
    assert export_for_training(store, folder).n_anonymised == 2
    assert export_for_training(store, folder).n_anonymised == 0
    # The events of the newest sequences were deleted. That is no other database.
    assert store.newest_sequence() < third.last_sequence
    assert store.read_last_sequence() == third.last_sequence


def test_files_that_do_not_fit_are_reported(store: LiveStore, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    insert(store, ("a", "x"))
    first = export_for_training(store, folder).path
    insert(store, ("a", "y"))
    export_for_training(store, folder)
    assert first is not None
    other = LiveStore(f"sqlite:///{tmp_path}/other.db")
    for _ in range(2):
        with pytest.raises(InputError, match=r"sequence 2, but the newest event .* has sequence 0"):
            export_for_training(other, folder)
        # Deletions of users do not make it the same database.
        other.delete_user("a")
    other.close()
    first.rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"purchases 1 to 1 are missing.*\nPut the file back"):
        export_for_training(store, folder)
    first.write_bytes(b"PAR1")
    store.delete_user("a")
    with pytest.raises(InputError, match=f"{first.name} cannot be read"):
        export_for_training(store, folder)


def test_purchases_after_a_backup_was_restored_are_exported(
    store: LiveStore, tmp_path: Path
) -> None:
    insert(store, ("a", "x"))
    with sqlite3.connect(tmp_path / "live.db") as database:
        database.execute("VACUUM INTO ?", [str(tmp_path / "backup.db")])
    insert(store, ("a", "y"), ("b", "y"))
    assert export_for_training(store, tmp_path / "live").last_sequence == 3
    restored = LiveStore(f"sqlite:///{tmp_path}/backup.db")
    with pytest.raises(InputError, match=r"has sequence 1\..* was restored, use --restored"):
        export_for_training(restored, tmp_path / "live")
    assert export_for_training(restored, tmp_path / "live", is_restored=True).path is None
    insert(restored, ("c", "z"), event_id="new")
    export = export_for_training(restored, tmp_path / "live")
    assert export.path == tmp_path / "live" / "live_purchases_000000000004_000000000004.parquet"
    assert [row["user_id"] for row in read_rows(export.path)] == ["c"]
    restored.close()


def test_purchases_are_not_visible_without_the_deleted_users(
    store: LiveStore, tmp_path: Path
) -> None:
    insert(store, ("a", "x"))
    with sqlite3.connect(tmp_path / "live.db") as database:
        database.execute("DROP TABLE bazar_deletions")
    with pytest.raises(StoreError):
        export_for_training(store, tmp_path / "live")
    assert list_names(tmp_path / "live") == []


def test_a_file_in_place_of_the_folder_is_reported(store: LiveStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"live\.db is a file\. Choose a folder"):
        export_for_training(store, tmp_path / "live.db")


def test_two_exports_at_once_raise(store: LiveStore, tmp_path: Path) -> None:
    insert(store, ("a", "x"))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="Another export is writing to"):
        export_for_training(store, tmp_path)
    os.close(descriptor)
    assert export_for_training(store, tmp_path).n_purchases == 1


def test_files_are_written_in_batches(store: LiveStore, tmp_path: Path) -> None:
    for _ in range(6):
        insert(store, *[("a", "x")] * 10_000)
    export = export_for_training(store, tmp_path)
    assert export.path is not None
    table = pq.read_table(export.path)
    assert table.num_rows == export.n_purchases == 60_000
    assert (
        table["timestamp"]
        .combine_chunks()
        .equals(pa.array(range(NOW + 1, NOW + 60_001), pa.int64()))
    )
