"""The errors of the store, without passwords, ids of users or values of rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bazar.errors import InputError

_SQLITE_PROBLEMS = {
    "SQLITE_BUSY": ("is locked by another process", True),
    "SQLITE_LOCKED": ("is locked by another process", True),
    "SQLITE_FULL": ("cannot grow: the database or disk is full. Free space", True),
    "SQLITE_IOERR": (
        "cannot be read or written (disk I/O error). Check the disk, its quota and its mount",
        True,
    ),
    "SQLITE_NOMEM": ("needs more memory than is available", True),
    "SQLITE_READONLY": ("is read-only. Give this account permission to write the file", False),
    "SQLITE_PERM": ("may not be opened. Give this account permission to write the file", False),
    "SQLITE_CANTOPEN": (
        "cannot be opened. Create its folder, and give this account permission to write there",
        False,
    ),
    "SQLITE_NOTADB": ("is not an SQLite database. Name another file", False),
    "SQLITE_CORRUPT": ("is damaged. Restore it from a copy", False),
}

_FULL = "cannot grow: the database or disk is full. Free space on the server"
_STOPS = "is starting or stopping"
_DENIED = "does not let this user in. Correct the user and the password"
# Parts of libpq's messages.
_DENIALS = ("authentication failed", "no pg_hba.conf entry", 'role "', "no password supplied")

# By the first letters of PostgreSQL's SQLSTATE, the longest first.
_POSTGRESQL_PROBLEMS = {
    "53100": (_FULL, True),
    "53300": ("has no free connection. Raise max_connections, or start fewer workers", True),
    "55P03": ("is locked by another process", True),
    "57P01": (_STOPS, True),
    "57P02": (_STOPS, True),
    "57P03": (_STOPS, True),
    "3D000": ("does not exist on the server. Create it with createdb", False),
    "42501": ("does not let this user create or write tables. Grant it the rights", False),
    "25006": ("is read-only. Name the primary server", False),
    "08": ("cannot be reached. Check that the server runs, and the address", True),
    "28": (_DENIED, False),
    "40": ("is busy: two transactions conflicted", True),
    "53": ("has no resources left", True),
    "57": ("cancelled the statement", True),
    "58": ("cannot be read or written by its server. Check the server's disk", True),
}


class StoreError(Exception):
    """The store failed; nothing of the failed call is stored.

    The message contains the problem and the fix, but neither a password nor an id of a user.

    Attributes:
        is_retryable: whether the same call can succeed later without another configuration, as it
            can after a lock, a restart of the server or a full disk.
    """

    def __init__(self, message: str, is_retryable: bool) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable


@contextmanager
def translate_failures(shown_url: str) -> Iterator[None]:
    """Raise StoreError instead of the errors of SQLAlchemy and its drivers.

    Args:
        shown_url: the URL of the database, without its password.
    """
    # Messages of SQLAlchemy and of PostgreSQL quote rows, so the cause is dropped.
    try:
        yield
    except PoolTimeoutError:
        raise StoreError(
            f"The database {shown_url} is busy: all connections of this process are in use.", True
        ) from None
    except (SQLAlchemyError, sqlite3.Error) as error:
        problem, is_retryable = _find_problem(getattr(error, "orig", None) or error)
        raise StoreError(f"The database {shown_url} {problem}.", is_retryable) from None


@contextmanager
def explain_unusable_database() -> Iterator[None]:
    """Raise InputError instead of StoreError: a database that cannot be opened is an input."""
    try:
        yield
    except StoreError as error:
        raise InputError(str(error)) from None


def show_url(url: URL) -> str:
    """Return a URL for messages.

    The password and the query, which can contain a password too, are left out.
    """
    shown = URL.create(
        url.drivername, url.username, host=url.host, port=url.port, database=url.database
    )
    return shown.render_as_string()


def _find_problem(error: BaseException) -> tuple[str, bool]:
    """Return the end of a message, "The database URL ...", and whether to try again later."""
    name: str | None = getattr(error, "sqlite_errorname", None)
    if name is not None:
        # Extended names continue the basic ones, as SQLITE_IOERR_WRITE does.
        for start, problem in _SQLITE_PROBLEMS.items():
            if name.startswith(start):
                return problem
        return f"failed ({name})", False
    state: str | None = getattr(error, "sqlstate", None)
    if state is not None:
        for start, problem in _POSTGRESQL_PROBLEMS.items():
            if state.startswith(start):
                return problem
        return f"failed (SQLSTATE {state})", False
    return _find_connection_problem(error)


def _find_connection_problem(error: BaseException) -> tuple[str, bool]:
    """Return the problem of a connection that failed before PostgreSQL sent a SQLSTATE."""
    text = str(error)
    if 'database "' in text and "does not exist" in text:
        return _POSTGRESQL_PROBLEMS["3D000"]
    if any(part in text for part in _DENIALS):
        return _POSTGRESQL_PROBLEMS["28"]
    if "the database system is" in text:
        return _STOPS, True
    if type(error).__name__ in {"OperationalError", "ConnectionTimeout"}:
        return _POSTGRESQL_PROBLEMS["08"]
    return f"failed ({type(error).__name__})", False
