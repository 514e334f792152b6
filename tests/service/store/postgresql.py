"""A throwaway PostgreSQL server."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ACCOUNT = "postgres"
_NEEDED_BYTES = 1_000_000_000
_FAST = "-c fsync=off -c full_page_writes=off -c shared_buffers=16MB -c max_connections=60"


def find_binaries() -> Path | None:
    """Return the folder of the newest server's programs, or None."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(
        (path.parent for path in found), key=lambda path: int(path.parent.name), default=None
    )


def explain_missing_server() -> str | None:
    """Return why no server can be started, or None."""
    if find_binaries() is None:
        return "PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb)"
    if os.getuid() == 0 and _ACCOUNT not in {account.pw_name for account in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no account 'postgres'"
    return None


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        folder: its socket and its data.
    """

    folder: Path

    def make_url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def run_sql(self, sql: str, url: str | None = None) -> None:
        """Run statements with psql."""
        binaries = find_binaries()
        assert binaries is not None
        subprocess.run(
            [binaries / "psql", "-Xqd", url or self.make_url(), "-v", "ON_ERROR_STOP=1", "-c", sql],
            check=True,
            capture_output=True,
        )

    def create_schema(self) -> str:
        """Create an empty schema and return the URL of a store in it.

        This is faster than a database, which is a copy of 7 MB.
        """
        name = f"test_{uuid.uuid4().hex}"
        self.run_sql(f"CREATE SCHEMA {name}")
        return f"{self.make_url()}&options=-csearch_path%3D{name}"

    def create_database(self, options: str = "") -> str:
        """Create an empty database and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self.run_sql(f"CREATE DATABASE {name} {options}")
        return name


def _find_fast_folder() -> str:
    """Return a folder in memory if there is space, because a server has thousands of files."""
    memory = Path("/dev/shm")
    has_space = memory.is_dir() and shutil.disk_usage(memory).free > _NEEDED_BYTES
    return str(memory) if has_space else "/tmp"


@contextmanager
def run_server() -> Iterator[Server]:
    """Start a server that listens on a socket in a temporary folder, and remove it at the end."""
    binaries = find_binaries()
    assert binaries is not None
    # Paths of sockets have at most 107 characters, so this is not a folder of pytest.
    folder = Path(tempfile.mkdtemp(prefix="bazar-pg-", dir=_find_fast_folder()))
    folder.chmod(0o755)
    prefix: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, _ACCOUNT)
        prefix = ["runuser", "-u", _ACCOUNT, "--"]

    def run(program: str, *arguments: str) -> None:
        # The server inherits no pipe of the tests, which would stay open with it.
        with (folder / "output.txt").open("ab") as output:
            subprocess.run(
                [*prefix, str(binaries / program), *arguments],
                check=True,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
            "--no-sync")  # fmt: skip
        options = f"{_FAST} -c listen_addresses= -k {folder}"
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "server.log"), "-o", options, "start")
        try:
            yield Server(folder)
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
