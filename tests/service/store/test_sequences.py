"""The sequences of events after an older backup of the database was restored."""

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bazar.service.store import LiveStore
from tests.project import ROOT
from tests.service.store.postgresql import Server
from tests.service.store.records import make_record


def insert(store: LiveStore, *event_ids: str, user_id: str = "u") -> None:
    records = [
        make_record(event_id, event_type="purchase", user_id=user_id) for event_id in event_ids
    ]
    assert store.insert_events(records) == ["new"] * len(records)


def read_sequences(store: LiveStore) -> list[int]:
    batches = store.read_purchases(0, store.newest_sequence())
    return [sequence for batch in batches for sequence in batch["sequence"].to_pylist()]


def test_the_last_sequence_counts_deleted_events(store: LiveStore) -> None:
    assert store.read_last_sequence() == 0
    insert(store, "a", "b")
    assert store.read_last_sequence() == store.newest_sequence() == 2
    store.delete_user("u")
    assert store.newest_sequence() == 0
    assert store.read_last_sequence() == 2


@pytest.mark.parametrize("n_stored", [0, 2])
def test_events_get_sequences_above_a_watermark(
    store: LiveStore, url: str, n_stored: int, caplog: pytest.LogCaptureFixture
) -> None:
    insert(store, *"ab"[:n_stored])
    assert store.raise_sequence(10)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"had the number {n_stored}, but a training has used events up to the number 10" in (
        record.getMessage()
    )
    assert store.read_last_sequence() == 10
    # The service starts again, before and after the next event.
    again = LiveStore(url)
    assert not again.raise_sequence(10)
    insert(again, "c")
    again.close()
    assert not store.raise_sequence(10)
    insert(store, "d")
    assert read_sequences(store) == [*[1, 2][:n_stored], 11, 12]
    assert [event.item_id for event in store.read_events("u", after_sequence=10)] == [
        "item of c", "item of d",
    ]  # fmt: skip
    assert len(caplog.records) == 1


def test_a_sequence_is_never_lowered(store: LiveStore, caplog: pytest.LogCaptureFixture) -> None:
    assert not store.raise_sequence(0)
    insert(store, "a", "b", "c")
    for watermark in (0, 1, 3):
        assert not store.raise_sequence(watermark)
    insert(store, "d")
    assert read_sequences(store) == [1, 2, 3, 4]
    # Users may have deleted the newest events.
    store.delete_user("u")
    assert not store.raise_sequence(4)
    insert(store, "e", user_id="v")
    assert read_sequences(store) == [5]
    assert caplog.records == []


def test_a_sequence_that_an_administrator_set_is_not_lowered(server: Server) -> None:
    url = server.create_schema()
    store = LiveStore(url)
    insert(store, "a")
    server.run_sql("ALTER TABLE bazar_events ALTER COLUMN sequence RESTART WITH 21", url)
    assert store.read_last_sequence() == 20
    assert not store.raise_sequence(10)
    insert(store, "b")
    assert read_sequences(store) == [1, 21]
    store.close()


def test_threads_raise_once_while_others_store_events(store: LiveStore, url: str) -> None:
    insert(store, "before")
    barrier = threading.Barrier(8)

    def raise_and_insert(number: int) -> bool:
        own = LiveStore(url)
        barrier.wait()
        is_raised = own.raise_sequence(100) if number % 2 else False
        insert(own, *(f"{number}-{position}" for position in range(5)))
        if number % 2:
            after = own.read_events("u", after_sequence=100)
            assert {f"item of {number}-{position}" for position in range(5)} <= {
                event.item_id for event in after
            }
        own.close()
        return is_raised

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(raise_and_insert, range(8))) == 1
    sequences = read_sequences(store)
    assert len(sequences) == 41
    above = [sequence for sequence in sequences if sequence > 100]
    # All are in the order of the commits, without a gap apart from that of the watermark.
    assert above == list(range(101, 101 + len(above)))
    assert sequences[: -len(above)] == list(range(1, 42 - len(above)))


RAISE = """
import sys
from bazar.service.store import LiveStore
print("ready", flush=True)
sys.stdin.readline()
store = LiveStore(sys.argv[1])
print(store.raise_sequence(50))
store.close()
"""


def test_workers_that_start_at_once_raise_once(store: LiveStore, url: str) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", RAISE, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    outputs = [worker.communicate("go\n", timeout=60)[0].strip() for worker in workers]
    assert sorted(outputs) == ["False", "False", "True"]
    insert(store, "a")
    assert read_sequences(store) == [51]
