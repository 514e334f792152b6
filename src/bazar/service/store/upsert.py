"""INSERT with ON CONFLICT, which SQLAlchemy has only in its dialects."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def make_upsert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that has ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
