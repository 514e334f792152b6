"""The connection to SQLite or PostgreSQL: its options, its transactions and the schema."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bazar.errors import InputError
from bazar.service.store.failures import (
    StoreError,
    explain_unusable_database,
    show_url,
    translate_failures,
)
from bazar.service.store.tables import METADATA, PROPERTIES, SCHEMA_VERSION

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_EXAMPLES = "sqlite:///folder/live.db or postgresql://user:password@host:5432/database"
_WAIT_MS = 5_000
# Of libpq. A server whose host or network is gone closes no connection. Without these limits, the
# system notices it after a quarter of an hour, and the process answers no request until then.
_NETWORK_LIMITS = {
    "connect_timeout": _WAIT_MS // 1000,
    "tcp_user_timeout": 2 * _WAIT_MS,
    "keepalives_idle": _WAIT_MS // 1000,
    "keepalives_interval": 1,
    "keepalives_count": _WAIT_MS // 1000,
}
# Any number, as long as all processes of Bazar use the same.
_WRITER_LOCK = 0x62617A6172


class Database:
    """A pool of connections to one database, for all threads of a process.

    A process opens its own: connections do not survive a fork.
    """

    def __init__(self, url: str) -> None:
        """Connect, and create the tables in an empty database.

        Args:
            url: such as ``sqlite:///folder/live.db`` or ``postgresql://user:password@host/name``.

        Raises:
            InputError: if the URL is invalid, the driver is missing, the database cannot be
                reached or written, or its tables have another version.
        """
        parsed = _parse_url(url)
        self.shown_url = show_url(parsed)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        self._lock = threading.Lock()
        # Of an SQLite file.
        self._path: str | None = None
        self._identity: tuple[int, int] | None = None
        self._writing, self._reading = _create_engines(parsed, self._is_sqlite)
        if self._is_sqlite:
            # All connections are to one file. SQLite would create a missing one.
            event.listen(self._reading, "do_connect", lambda *_: self.check_file())
        with explain_unusable_database():
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Return a connection whose every statement sees what is committed when it starts.

        Raises:
            StoreError: if the database fails.
        """
        with translate_failures(self.shown_url), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Return a connection in a transaction, which is committed at the end of the block.

        One transaction writes at a time, in all processes.

        Raises:
            StoreError: if the database fails. Nothing is stored then.
        """
        # Threads of one process wait in line here. SQLite lets waiting connections sleep and try
        # again, where some wait for a second and more.
        with (
            self._lock,
            translate_failures(self.shown_url),
            self._writing.begin() as connection,
        ):
            self.check_file()
            if not self._is_sqlite:
                # PostgreSQL draws the numbers of a sequence before the commit. Of two concurrent
                # transactions, the one with the higher numbers could commit first, and a reader
                # that saw them would never look for the lower ones. The lock is released after
                # the commit is visible, so the order of the numbers is the order of the commits.
                # BEGIN IMMEDIATE does the same in SQLite.
                connection.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
            yield connection

    def check_file(self) -> None:
        """Check that an SQLite file is still at its path.

        A process keeps a file open that another program removed or replaced. What it writes then
        is lost when it ends.

        Raises:
            StoreError: if the file is not there.
        """
        if self._path is not None and _identify(self._path) != self._identity:
            raise StoreError(
                f"The database {self.shown_url} was removed or replaced. Put the file back, or "
                "start the service again.",
                True,
            )

    def close(self) -> None:
        """Close all connections that no thread is using."""
        self._writing.dispose()

    def _prepare(self) -> None:
        """Create the tables, or check those that exist."""
        if self._is_sqlite:
            # The file keeps this mode, in which readers and the writer do not block each other.
            with self.read() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                self._path = connection.exec_driver_sql("PRAGMA database_list").one().file
                self._identity = _identify(self._path)
        with self.write() as connection:
            if not self._is_sqlite:
                _check_encoding(connection, self.shown_url)
            _prepare_schema(connection, self.shown_url)


def _identify(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of a file, which identify it; None if there is no file."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _parse_url(text: str) -> URL:
    """Return the URL as it is written.

    Raises:
        InputError: if it is no URL, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text can contain a password.
        raise InputError(
            f"The URL of the database cannot be read. Write it as {_EXAMPLES}. In a password, "
            "write @ as %40, : as %3A and / as %2F."
        ) from None
    if url.drivername not in _DRIVERS:
        raise InputError(
            f"The URL of the database starts with {url.drivername!r}, which is not supported. "
            f"Write it as {_EXAMPLES}."
        )
    if url.get_backend_name() == "sqlite":
        if url.host:
            raise InputError(
                f"The URL {show_url(url)} has too few slashes. Write three of them before a "
                "relative path, as in sqlite:///folder/live.db, and four before an absolute one."
            )
        if not url.database or ":memory:" in url.database or url.query.get("mode") == "memory":
            raise InputError(
                "The store cannot be in memory: processes share it. Name a file, as in "
                "sqlite:///folder/live.db."
            )
    return url


def _create_engines(url: URL, is_sqlite: bool) -> tuple[Engine, Engine]:
    """Return an engine for transactions that write, and one for single statements that read.

    They share their connections.
    """
    options: dict[str, Any] = {"pool_size": 10, "max_overflow": 10, "pool_timeout": _WAIT_MS / 1000}
    if is_sqlite:
        options["connect_args"] = {"timeout": _WAIT_MS / 1000}
    else:
        # A connection that a restart of the server closed is replaced before it is used.
        options["pool_pre_ping"] = True
        options["connect_args"] = {"client_encoding": "utf8"}
        for name, value in _NETWORK_LIMITS.items():
            if name not in url.query:
                options["connect_args"][name] = value
    try:
        engine = create_engine(
            url.set(drivername=_DRIVERS[url.drivername]), hide_parameters=True, **options
        )
    except ModuleNotFoundError as error:
        raise InputError(
            f"The database {show_url(url)} needs the package {error.name}, which is not "
            "installed. Run pip install 'psycopg[binary]'."
        ) from None
    if not is_sqlite:
        event.listen(engine, "connect", _configure_postgresql)
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT")
    event.listen(engine, "connect", _configure_sqlite)
    # A listener for both would make each statement that reads slower.
    writing = engine.execution_options()
    event.listen(writing, "begin", _begin_sqlite)
    return writing, engine


def _configure_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # _begin_sqlite opens the transactions, not the driver.
    connection.isolation_level = None
    # Every commit is in the operating system's cache before it is acknowledged, so it survives the
    # death of the process. Only a power failure can lose the last commits; it damages nothing.
    connection.execute("PRAGMA synchronous = NORMAL")
    # Overwrite what is deleted: events of a deleted user do not stay in the file.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads before it writes fails when another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _configure_postgresql(connection: Any, _: Any) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {_WAIT_MS}")
        # A process that was stopped within a transaction does not keep the lock of the writers.
        cursor.execute(f"SET idle_in_transaction_session_timeout = {2 * _WAIT_MS}")
    connection.autocommit = False


def _check_encoding(connection: Connection, shown_url: str) -> None:
    """Raise InputError if PostgreSQL cannot store all texts."""
    encoding = connection.scalar(select(func.current_setting("server_encoding")))
    if encoding != "UTF8":
        raise InputError(
            f"The database {shown_url} has the encoding {encoding}, and UTF8 is needed. Create it "
            "with createdb --encoding UTF8 --template template0."
        )


def _prepare_schema(connection: Connection, shown_url: str) -> None:
    """Create the tables in an empty database, or check the version of those that exist.

    Raises:
        InputError: if the tables have another version, or an SQLite file has other tables.
    """
    tables = inspect(connection).get_table_names()
    if PROPERTIES.name in tables:
        is_version = PROPERTIES.c.name == "schema_version"
        found = connection.scalar(select(PROPERTIES.c.value).where(is_version))
        if found != SCHEMA_VERSION:
            raise InputError(
                f"The database {shown_url} has version {found} of the tables, and this version of "
                f"Bazar needs version {SCHEMA_VERSION}. Use the version of Bazar that created it, "
                "or name another database."
            )
        # The transaction of a read-only database begins without an error. This write has one.
        connection.execute(update(PROPERTIES).where(is_version).values(value=found))
        return
    # A server's database may contain tables of others beside ours. A file with other tables was
    # named by mistake.
    if tables and connection.dialect.name == "sqlite":
        raise InputError(
            f"The database {shown_url} contains tables of another program. Name another file."
        )
    METADATA.create_all(connection, checkfirst=False)
    initial = {"schema_version": SCHEMA_VERSION, "revision": 0}
    connection.execute(
        insert(PROPERTIES), [{"name": name, "value": value} for name, value in initial.items()]
    )
