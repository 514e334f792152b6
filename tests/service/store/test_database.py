import re
import resource
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from bazar.errors import InputError
from bazar.service.store import ItemChange, LiveStore, StoreError
from tests.service.store.postgresql import Server
from tests.service.store.records import make_record

PASSWORD = "hunter2"


def open_store(url: str) -> str:
    """Return the message of a URL that cannot be opened."""
    with pytest.raises(InputError) as caught:
        LiveStore(url)
    message = str(caught.value)
    assert PASSWORD not in message
    return message


def set_version(url: str, server: Server | None, version: int) -> None:
    sql = f"UPDATE bazar_properties SET value = {version} WHERE name = 'schema_version'"
    if server is None:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        with connection:
            connection.execute(sql)
        connection.close()
    else:
        server.run_sql(sql, url)


def get_server(url: str, request: pytest.FixtureRequest) -> Server | None:
    found: Server | None = None
    if url.startswith("postgresql"):
        found = request.getfixturevalue("server")
    return found


# Opening


def test_store_that_exists_is_opened_again(url: str) -> None:
    store = LiveStore(url)
    store.insert_events([make_record("a")])
    store.change_items([ItemChange("i", in_stock=False)])
    store.close()
    again = LiveStore(url)
    assert again.is_ready()
    assert again.newest_sequence() == 1
    assert again.read_changes().revision == 1
    again.close()


@pytest.mark.parametrize("version", [0, 99])
def test_other_version_of_the_tables_is_an_input_error(
    url: str, version: int, request: pytest.FixtureRequest
) -> None:
    LiveStore(url).close()
    set_version(url, get_server(url, request), version)
    message = open_store(url)
    assert f"version {version} of the tables" in message
    assert "needs version 2. Use the version of Bazar that created it, or name another" in message
    assert f"The database {url.partition('?')[0]} has version" in message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("live.db", "cannot be read. Write it as sqlite:///folder/live.db or postgresql://"),
        ("", "cannot be read"),
        (f"postgresql://u:{PASSWORD}@h:port/db", "cannot be read.*write @ as %40"),
        (f"mysql://u:{PASSWORD}@h/db", "starts with 'mysql', which is not supported"),
        ("postgresql+psycopg2://h/db", "starts with 'postgresql\\+psycopg2', which is not"),
        ("sqlite://data/live.db", "sqlite://data/live.db has too few slashes"),
        ("sqlite://", "cannot be in memory: processes share it. Name a file"),
        ("sqlite:///:memory:", "cannot be in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "cannot be in memory"),
    ],
)
def test_invalid_url_is_an_input_error(url: str, message: str) -> None:
    assert re.search(message, open_store(url))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://shop:{PASSWORD}@127.0.0.1:1/live",
        f"postgresql+psycopg://shop@127.0.0.1:1/live?password={PASSWORD}",
    ],
)
def test_server_that_does_not_answer_is_an_input_error(url: str) -> None:
    message = open_store(url)
    assert "shop@127.0.0.1:1/live cannot be reached. Check that the server runs" in message


def test_missing_database_or_account_is_an_input_error(server: Server) -> None:
    assert "does not exist on the server. Create it" in open_store(server.make_url("missing"))
    url = server.make_url().replace("postgres@", f"nobody:{PASSWORD}@")
    assert "does not let this user in" in open_store(url)


def test_wrong_option_of_the_url_is_an_input_error(server: Server) -> None:
    message = open_store(f"{server.make_url()}&{PASSWORD}=1")
    assert "failed (ProgrammingError)" in message


def test_missing_driver_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = open_store(f"postgresql://u:{PASSWORD}@localhost/db")
    assert "needs the package psycopg, which is not installed" in message


def test_account_without_rights_is_an_input_error(server: Server) -> None:
    server.run_sql("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    message = open_store(server.make_url().replace("postgres@", "guest@"))
    assert "does not let this user create or write tables" in message


def test_read_only_file_is_an_input_error(tmp_path: Path) -> None:
    LiveStore(f"sqlite:///{tmp_path}/live.db").close()
    message = open_store(f"sqlite:///file:{tmp_path}/live.db?mode=ro&uri=true")
    assert "is read-only. Give this account permission to write the file" in message


def test_read_only_server_is_an_input_error(server: Server) -> None:
    database = server.create_database()
    LiveStore(server.make_url(database)).close()
    server.run_sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    message = open_store(server.make_url(database))
    assert "is read-only. Name the primary server" in message


def test_database_of_another_encoding_is_an_input_error(server: Server) -> None:
    database = server.create_database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    assert "has the encoding SQL_ASCII, and UTF8 is needed" in open_store(server.make_url(database))


def test_file_that_is_no_database_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("customer,product\n" * 200)
    assert f"sqlite:///{path} is not an SQLite database" in open_store(f"sqlite:///{path}")
    assert path.read_text() == "customer,product\n" * 200


def test_database_of_another_program_is_an_input_error(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("CREATE TABLE orders (id)")
    connection.close()
    message = open_store(f"sqlite:///{tmp_path}/shop.db")
    assert "contains tables of another program. Name another file." in message


def test_missing_folder_is_an_input_error(tmp_path: Path) -> None:
    message = open_store(f"sqlite:///{tmp_path}/missing/live.db")
    assert "cannot be opened. Create its folder" in message
    assert "cannot be opened" in open_store(f"sqlite:///{tmp_path}")


# Failures while the store is in use


@contextmanager
def fill_disk(url: str, server: Server | None) -> Iterator[Callable[[], None]]:
    """Let the database report that the disk is full; return a function that frees space."""
    if server is not None:
        # PostgreSQL has no limit that can be set: a trigger raises its error.
        server.run_sql(
            "CREATE FUNCTION fail() RETURNS trigger AS $$ BEGIN "
            "RAISE SQLSTATE '53100' USING DETAIL = 'row of secret-user'; END $$ LANGUAGE plpgsql; "
            "CREATE TRIGGER fail AFTER INSERT ON bazar_events FOR EACH STATEMENT "
            "EXECUTE FUNCTION fail()",
            url,
        )

        def drop_trigger() -> None:
            server.run_sql("DROP TRIGGER fail ON bazar_events", url)

        yield drop_trigger
        return
    pages = [1]

    def limit_pages(connection: sqlite3.Connection, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[-1]}")

    event.listen(Pool, "checkout", limit_pages)
    yield lambda: pages.append(1_000_000)
    event.remove(Pool, "checkout", limit_pages)


def test_full_disk_is_reported_and_nothing_is_acknowledged(
    store: LiveStore, url: str, request: pytest.FixtureRequest
) -> None:
    store.insert_events([make_record("before")])
    batch = [make_record(f"{n}", user_id="secret-user", order_id="o" * 500) for n in range(200)]
    with fill_disk(url, get_server(url, request)) as free_space:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"disk is full. Free space") as caught:
                store.insert_events(batch)
            assert caught.value.is_retryable
            assert "secret-user" not in repr(caught.value)
        # Reading goes on.
        assert store.is_ready()
        assert store.newest_sequence() == 1
        assert store.read_events("secret-user") == []
        free_space()
        assert store.insert_events(batch) == ["new"] * 200
    assert len(store.read_events("secret-user")) == 200


def test_failed_write_of_the_system_is_reported(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    batch = [make_record(f"{number}", order_id="o" * 500) for number in range(500)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(
            StoreError, match=r"disk I/O error.*Check the disk, its quota"
        ) as caught:
            store.insert_events(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.is_retryable
    assert store.read_events("u") == []
    assert store.insert_events(batch) == ["new"] * 500
    store.close()


def test_locked_database_is_reported_as_retryable(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")

    def wait_briefly(connection: sqlite3.Connection, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 10")

    event.listen(Pool, "checkout", wait_briefly)
    other = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is locked by another process") as caught:
        store.insert_events([make_record("a")])
    assert caught.value.is_retryable
    # Readers do not wait for the writer.
    assert store.newest_sequence() == 0
    other.execute("ROLLBACK")
    other.close()
    event.remove(Pool, "checkout", wait_briefly)
    assert store.insert_events([make_record("a")]) == ["new"]
    store.close()


def test_sqlite_waits_five_seconds_for_a_lock_and_uses_wal(tmp_path: Path) -> None:
    settings: dict[str, Any] = {}

    def read_settings(connection: sqlite3.Connection, *_: Any) -> None:
        for name in ("busy_timeout", "journal_mode", "synchronous"):
            settings[name] = connection.execute(f"PRAGMA {name}").fetchone()[0]

    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    event.listen(Pool, "checkout", read_settings)
    assert store.is_ready()
    event.remove(Pool, "checkout", read_settings)
    assert settings == {"busy_timeout": 5_000, "journal_mode": "wal", "synchronous": 1}
    store.close()


@pytest.mark.parametrize("replacement", ["nothing", "folder", "copy"])
def test_file_that_is_replaced_is_reported_and_nothing_is_acknowledged(
    tmp_path: Path, replacement: str
) -> None:
    path = tmp_path / "live.db"
    store = LiveStore(f"sqlite:///{path}")
    store.insert_events([make_record("a")])
    original = path.rename(tmp_path / "original.db")
    if replacement == "folder":
        path.mkdir()
    elif replacement == "copy":
        shutil.copy(original, path)
    with pytest.raises(StoreError, match="was removed or replaced") as caught:
        store.insert_events([make_record("b")])
    assert caught.value.is_retryable
    assert not store.is_ready()
    # An open connection reads on. Nobody creates a file.
    assert len(store.read_events("u")) == 1
    assert path.exists() == (replacement != "nothing")
    store.close()
    with pytest.raises(StoreError, match="was removed or replaced"):
        store.read_events("u")
    if replacement == "folder":
        path.rmdir()
    original.rename(path)
    assert store.insert_events([make_record("b")]) == ["new"]
    assert store.is_ready()
    store.close()
    assert len(LiveStore(f"sqlite:///{path}").read_events("u")) == 2


def test_damaged_file_is_reported_as_not_retryable(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    store = LiveStore(f"sqlite:///{path}")
    store.insert_events([make_record(f"{number}") for number in range(1_000)])
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        # All pages except the first one, which contains the schema.
        file.seek(4_096)
        file.write(b"\xff" * (size - 4_096))
    with pytest.raises((StoreError, InputError), match=r"is damaged. Restore it from a copy"):
        LiveStore(f"sqlite:///{path}").read_events("u")


def test_restart_of_the_server_is_survived(server: Server) -> None:
    database = server.create_database()
    store = LiveStore(server.make_url(database))
    store.insert_events([make_record("a")])
    server.run_sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS off")
    end_sessions = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    )
    server.run_sql(end_sessions)
    with pytest.raises(StoreError) as caught:
        store.insert_events([make_record("b")])
    assert database in str(caught.value)
    assert not store.is_ready()
    server.run_sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS on")
    assert store.insert_events([make_record("b")]) == ["new"]
    server.run_sql(end_sessions)
    assert store.is_ready()
    assert store.newest_sequence() == 2
    store.close()


def test_dropped_tables_are_reported(server: Server) -> None:
    url = server.create_schema()
    store = LiveStore(url)
    server.run_sql("DROP TABLE bazar_events, bazar_properties", url)
    with pytest.raises(StoreError, match=r"failed .SQLSTATE 42P01.") as caught:
        store.insert_events([make_record("a", user_id="secret-user")])
    assert not caught.value.is_retryable
    assert "secret-user" not in str(caught.value)
    assert not store.is_ready()
    store.close()
