"""The number that the next event gets, its sequence.

A bundle contains the purchases up to its watermark, and lists and exports leave them out. New
events must get higher sequences, also after an older backup of the database was restored.
"""

from sqlalchemy import Connection, column, func, insert, select, table, text, update

from bazar.service.store.tables import EVENTS

# SQLite keeps the highest sequence of each table with AUTOINCREMENT in this table.
_SQLITE_SEQUENCE = table("sqlite_sequence", column("name"), column("seq"))


def read_last_sequence(connection: Connection) -> int:
    """Return the highest sequence that an event ever had, also one that was deleted; 0 if none."""
    if connection.dialect.name == "sqlite":
        return _read_sqlite(connection) or 0
    # The functions of PostgreSQL return no value after RESTART WITH. The name is quoted already.
    query = f"SELECT last_value, is_called FROM {_find_postgresql_name(connection)}"
    last_value, is_called = connection.execute(text(query)).one()
    return int(last_value) if is_called else int(last_value) - 1


def raise_sequence(connection: Connection, minimum: int) -> None:
    """Make the next event get a sequence above a minimum.

    Args:
        connection: a transaction of the only writer: no other can use a sequence in between.
        minimum: above :func:`read_last_sequence`.
    """
    if connection.dialect.name != "sqlite":
        name = _find_postgresql_name(connection)
        connection.execute(select(func.setval(name, minimum)))
    elif _read_sqlite(connection) is None:
        connection.execute(insert(_SQLITE_SEQUENCE).values(name=EVENTS.name, seq=minimum))
    else:
        is_own = _SQLITE_SEQUENCE.c.name == EVENTS.name
        connection.execute(update(_SQLITE_SEQUENCE).where(is_own).values(seq=minimum))


def _read_sqlite(connection: Connection) -> int | None:
    """Return the highest sequence; None if there is no row for it, because no event was stored."""
    query = select(_SQLITE_SEQUENCE.c.seq).where(_SQLITE_SEQUENCE.c.name == EVENTS.name)
    return connection.scalar(query)


def _find_postgresql_name(connection: Connection) -> str:
    name = connection.scalar(select(func.pg_get_serial_sequence(EVENTS.name, "sequence")))
    assert isinstance(name, str)
    return name
