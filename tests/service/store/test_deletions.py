import hashlib
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from bazar.errors import InputError
from bazar.service.store import LiveStore, Receipt, Tombstone, hash_user_id
from bazar.service.store.events import insert_events
from tests.service.store.records import make_record

USER = "jane@example.com"


def fill(store: LiveStore) -> None:
    """Store three events of the user, one of them before the login, and three of others."""
    store.insert_events(
        [
            make_record("a", 1, session_id="s"),
            make_record("b", 2, session_id="s", user_id=USER),
            make_record("c", 3, user_id=USER, event_type="purchase"),
            make_record("d", 4, user_id="other", session_id="s"),
            make_record("e", 5, user_id="other"),
            make_record("f", 6, session_id="t"),
        ]
    )


def test_events_of_the_user_and_of_the_sessions_are_deleted(store: LiveStore) -> None:
    fill(store)
    receipt = store.delete_user(USER, deleted_at=100)
    assert (receipt.n_events, receipt.deleted_at) == (3, 100)
    assert store.read_events(USER) == []
    assert [event.item_id for event in store.read_events(session_id="s")] == ["item of d"]
    assert len(store.read_events("other")) == 2
    assert len(store.read_events(session_id="t")) == 1
    assert list(store.read_purchases(0, store.newest_sequence())) == []


def test_tombstone_keeps_no_user_id(store: LiveStore) -> None:
    fill(store)
    store.delete_user(USER, deleted_at=100)
    user_hash = hashlib.sha256(USER.encode()).hexdigest()
    assert hash_user_id(USER) == user_hash
    assert store.list_tombstones() == [Tombstone(user_hash, 100)]


def test_deleted_id_leaves_the_file(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    fill(store)
    store.delete_user(USER)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["live.db"]
    content = (tmp_path / "live.db").read_bytes()
    assert b"item of d" in content
    assert USER.encode() not in content


def test_user_can_be_deleted_twice(store: LiveStore) -> None:
    fill(store)
    first = store.delete_user(USER, deleted_at=200)
    second = store.delete_user(USER, deleted_at=100)
    assert (first.n_events, second.n_events) == (3, 0)
    assert first.receipt_id != second.receipt_id
    # A clock that was set back makes no deletion earlier.
    assert store.list_tombstones() == [Tombstone(hash_user_id(USER), 200)]


def test_unknown_user_gets_a_tombstone(store: LiveStore) -> None:
    assert store.delete_user("known to the bundle only", deleted_at=7).n_events == 0
    assert store.list_tombstones() == [Tombstone(hash_user_id("known to the bundle only"), 7)]


def test_workers_read_new_deletions_with_the_changes(store: LiveStore) -> None:
    first = store.read_changes().revision
    store.delete_user("a", deleted_at=7)
    changes = store.read_changes(first)
    assert changes.tombstones == [Tombstone(hash_user_id("a"), 7)]
    store.delete_user("b", deleted_at=8)
    assert store.read_changes(changes.revision).tombstones == [Tombstone(hash_user_id("b"), 8)]


def test_user_who_comes_back_is_a_new_customer(store: LiveStore) -> None:
    fill(store)
    before = store.newest_sequence()
    store.delete_user(USER, deleted_at=100)
    # The client repeats an event that it sent before, and sends a late one.
    late = make_record("late", 100, user_id=USER)
    assert store.insert_events([make_record("c", 3, user_id=USER), late]) == ["duplicate"] * 2
    assert store.insert_events([make_record("new", 101, user_id=USER, event_type="purchase")]) == [
        "new"
    ]
    assert [event.item_id for event in store.read_events(USER)] == ["item of new"]
    found = pa.Table.from_batches(store.read_purchases(before, store.newest_sequence()))
    assert found["event_id"].to_pylist() == ["new"]


def test_sequence_of_a_deleted_event_is_not_used_again(store: LiveStore) -> None:
    store.insert_events([make_record("a"), make_record("b", user_id="v")])
    store.delete_user("v")
    assert store.newest_sequence() == 1
    store.insert_events([make_record("c", user_id="w")])
    assert store.newest_sequence() == 3


def test_time_of_a_deletion_is_now(store: LiveStore) -> None:
    earlier = store.delete_user("u").deleted_at
    assert earlier <= store.delete_user("v").deleted_at
    assert earlier > 1_700_000_000_000


def test_invalid_user_id_is_an_input_error(store: LiveStore) -> None:
    with pytest.raises(InputError, match="user_id must not be empty"):
        store.delete_user("")
    with pytest.raises(InputError, match="user_id must have at most 512 characters"):
        store.delete_user("u" * 513)


def test_events_before_the_turn_of_a_deletion_do_not_come_back(store: LiveStore) -> None:
    receipts: list[Receipt] = []
    thread = threading.Thread(target=lambda: receipts.append(store.delete_user(USER)))
    with store._database.write() as connection:
        thread.start()
        # The deletion waits for this transaction.
        time.sleep(0.02)
        record = make_record("a", time.time_ns() // 1_000_000, user_id=USER)
        assert insert_events(connection, [record]) == ["new"]
    thread.join()
    assert receipts[0].n_events == 1
    assert store.insert_events([record]) == ["duplicate"]
    assert store.read_events(USER) == []
