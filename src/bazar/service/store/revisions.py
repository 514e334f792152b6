"""The revision: a number that every change of the catalogue and every deletion of a user raises.

A worker reads it before each answer, and reads the changes only if it is higher than before.
"""

from sqlalchemy import Connection, select, update

from bazar.service.store.tables import PROPERTIES

_IS_REVISION = PROPERTIES.c.name == "revision"
_NEWEST = select(PROPERTIES.c.value).where(_IS_REVISION)
_NEXT = (
    update(PROPERTIES)
    .where(_IS_REVISION)
    .values(value=PROPERTIES.c.value + 1)
    .returning(PROPERTIES.c.value)
)


def read_revision(connection: Connection) -> int:
    """Return the newest revision."""
    return connection.scalar(_NEWEST) or 0


def raise_revision(connection: Connection) -> int:
    """Return the next revision. All changes of one call have the same."""
    return connection.execute(_NEXT).scalar_one()
