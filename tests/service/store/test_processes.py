"""Threads and processes that share one database."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from bazar.service.live import NewItem
from bazar.service.store import ItemChange, LiveStore
from tests.project import ROOT
from tests.service.store.records import make_record


def start_writers(
    url: str, prefixes: str, n_batches: int, batch_size: int
) -> list[subprocess.Popen[str]]:
    """Start one process for each letter. All open the store at the same time."""
    writers = [
        subprocess.Popen(
            [
                sys.executable, "-m", "tests.service.store.writer", url, prefix, str(n_batches),
                str(batch_size),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for prefix in prefixes
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return writers


def read_ids(store: LiveStore) -> list[str]:
    return [
        event.item_id.removeprefix("item of ") for event in store.read_events("u", limit=100_000)
    ]


def test_two_processes_lose_and_double_no_event(url: str) -> None:
    acknowledged = []
    # Both find an empty database, and create its tables.
    for writer in start_writers(url, "ab", 40, 5):
        output, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        acknowledged += [line.split() for line in output.splitlines()]
    store = LiveStore(url)
    stored = read_ids(store)
    assert len(stored) == 600
    assert set(stored) == {f"{prefix}-{n}" for prefix in ("a", "b", "shared") for n in range(200)}
    # Each event was new to exactly one of the processes.
    assert sorted(i for i, outcome in acknowledged if outcome == "new") == sorted(stored)
    assert {outcome for _, outcome in acknowledged} == {"new", "duplicate"}
    # Nothing was rolled back, so the sequences have no gap and no duplicate.
    assert store.newest_sequence() == 600
    store.close()


def test_acknowledged_events_survive_sigkill(url: str) -> None:
    (writer,) = start_writers(url, "a", 1_000_000, 3)
    assert writer.stdin is not None
    assert writer.stdout is not None
    printed = [writer.stdout.readline() for _ in range(60)]
    # The process is in the middle of a transaction or between two.
    writer.kill()
    # A last line can be incomplete.
    printed += [line for line in writer.stdout if line.endswith("\n")]
    writer.stdin.close()
    writer.stdout.close()
    writer.wait()
    acknowledged = {line.split()[0] for line in printed}
    assert len(acknowledged) >= 60
    store = LiveStore(url)
    stored = read_ids(store)
    assert acknowledged <= set(stored)
    # Each batch is complete.
    assert len(stored) % 6 == 0
    assert len(set(stored)) == len(stored)
    assert store.insert_events([make_record("after")]) == ["new"]
    store.close()


def test_reader_with_a_watermark_misses_no_event(store: LiveStore, url: str) -> None:
    writers = start_writers(url, "ab", 40, 3)
    is_written = threading.Event()

    def read_all() -> list[int]:
        seen: list[int] = []
        watermark, is_last = 0, False
        while not is_last:
            is_last = is_written.is_set()
            newest = store.newest_sequence()
            for batch in store.read_purchases(watermark, newest):
                seen += batch["sequence"].to_pylist()
            watermark = newest
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_all)
        for writer in writers:
            writer.communicate(timeout=120)
        is_written.set()
        assert reading.result() == list(range(1, 361))


def test_threads_count_revisions_once(store: LiveStore) -> None:
    def change(number: int) -> list[int]:
        return [
            store.change_items([ItemChange(f"item {number}", price=number)]),
            store.add_items([NewItem(f"new {number}")]),
        ]

    with ThreadPoolExecutor(8) as pool:
        revisions = [one for pair in pool.map(change, range(20)) for one in pair]
    assert sorted(revisions) == list(range(1, 41))
    changes = store.read_changes()
    assert (len(changes.item_states), len(changes.new_items)) == (20, 20)
