"""The shared connection and its temporary folder, in real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bazar.datasets.connection import SharedConnection

CONNECTION = {"backend": "duckdb", "database": ":memory:", "memory_limit": "40MB"}
N_ROWS = 2_000_000

# Store more rows than the memory has space for, and read them when a line arrives.
SPILL = f"""
import sys
from bazar.datasets.connection import SharedConnection

class Tables(SharedConnection):
    _connection_config = {CONNECTION}

connection = Tables().connection
connection.raw_sql("SET threads = 1")
connection.raw_sql(
    "CREATE TABLE rows AS SELECT i, hash(i), repeat('x', 50) FROM range({N_ROWS}) numbers(i)"
)
(folder,) = connection.raw_sql("SELECT current_setting('temp_directory')").fetchone()
print(folder, flush=True)
if sys.stdin.readline() == "fail\\n":
    raise ValueError
print(connection.raw_sql("SELECT sum(i)::BIGINT FROM rows").fetchone()[0])
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
    )


@contextmanager
def spilling(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a process that spills to a temporary folder, and yield it with its own folder."""
    process = start(SPILL, folder)
    try:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_processes_spill_to_folders_of_their_own(tmp_path: Path) -> None:
    # DuckDB would read the brackets as a pattern if they stood in the path of a table.
    tmp_path = tmp_path / "eigener Ordner ñ [1]"
    tmp_path.mkdir()
    with spilling(tmp_path) as (first, first_folder), spilling(tmp_path) as (second, folder):
        assert first_folder != folder
        for path in (first_folder, folder):
            assert path.parent == tmp_path
            assert path.stat().st_mode & 0o777 == 0o700
            assert any(name.startswith("duckdb_temp") for name in list_names(path))
        # A killed process cannot remove its folder. The other one is not disturbed.
        first.send_signal(signal.SIGKILL)
        first.wait()
        printed, _ = second.communicate("go\n")
        assert int(printed) == N_ROWS * (N_ROWS - 1) // 2
        assert second.returncode == 0
        assert list_names(tmp_path) == [first_folder.name, f"{first_folder.name}.lock"]
    with spilling(tmp_path) as (third, folder):
        assert list_names(tmp_path) == [folder.name, f"{folder.name}.lock"]
        third.communicate("fail\n")
        assert third.returncode == 1
    assert list_names(tmp_path) == []


def test_data_sets_with_equal_settings_share_a_connection() -> None:
    def connect(**changes: str) -> object:
        tables = SharedConnection()
        tables._connection_config = CONNECTION | changes
        return tables.connection

    assert connect() is connect()
    assert connect() is not connect(memory_limit="50MB")


# Interrupt a query that runs for minutes. Without an end of the query, the process would not end.
INTERRUPTED = f"""
import _thread, signal, threading, time
from bazar.datasets.connection import SharedConnection

# A process that was started in the background ignores Ctrl+C.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Tables(SharedConnection):
    _connection_config = {CONNECTION}

connection = Tables().connection
threading.Timer(0.5, _thread.interrupt_main).start()
try:
    connection.raw_sql("SELECT sum(hash(a.range * b.range)) FROM range(10000000) a, range(10000) b")
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


def test_process_ends_at_once_after_a_query_was_interrupted(tmp_path: Path) -> None:
    process = start(INTERRUPTED, tmp_path)
    try:
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert printed in {"RuntimeError\n", "KeyboardInterrupt\n"}
    assert list_names(tmp_path) == []
