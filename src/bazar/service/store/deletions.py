"""Delete users, and remember it without their ids."""

import hashlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, delete, insert, select
from sqlalchemy import func as sql

from bazar.service.store.revisions import raise_revision
from bazar.service.store.tables import DELETIONS, EVENTS, SESSIONS

_DELETION_TIMES = (
    select(DELETIONS.c.user_hash, sql.max(DELETIONS.c.deleted_at))
    .where(DELETIONS.c.user_hash.in_(bindparam("hashes", expanding=True)))
    .group_by(DELETIONS.c.user_hash)
)


@dataclass(frozen=True)
class Receipt:
    """The proof that a user was deleted.

    Attributes:
        receipt_id: a random id.
        deleted_at: when, UTC milliseconds.
        n_events: number of deleted events.
    """

    receipt_id: str
    deleted_at: int
    n_events: int


@dataclass(frozen=True)
class Tombstone:
    """A deleted user.

    Purchases of the user up to ``deleted_at`` are left out of every training. Later ones are those
    of a new customer.

    Attributes:
        user_hash: SHA-256 of the UTF-8 user id, 64 hexadecimal digits.
        deleted_at: time of the last deletion, UTC milliseconds.
    """

    user_hash: str
    deleted_at: int


def hash_user_id(user_id: str) -> str:
    """Return the SHA-256 of a user id, as hexadecimal digits."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def delete_user(connection: Connection, user_id: str, deleted_at: int) -> Receipt:
    """Delete the events of a user and of the user's sessions, and write a tombstone."""
    owned = select(SESSIONS.c.session_id).where(SESSIONS.c.user_id == user_id)
    of_sessions = and_(EVENTS.c.user_id.is_(None), EVENTS.c.session_id.in_(owned))
    # Two statements, because PostgreSQL reads the table for a condition with "or".
    conditions = (EVENTS.c.user_id == user_id, of_sessions)
    n_events = sum(
        connection.execute(delete(EVENTS).where(condition)).rowcount for condition in conditions
    )
    connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id))
    revision = raise_revision(connection)
    receipt = Receipt(str(uuid.uuid4()), deleted_at, n_events)
    row = {
        "receipt_id": receipt.receipt_id,
        "user_hash": hash_user_id(user_id),
        "deleted_at": deleted_at,
        "n_events": n_events,
        "revision": revision,
    }
    connection.execute(insert(DELETIONS), row)
    return receipt


def list_tombstones(connection: Connection, after_revision: int = -1) -> list[Tombstone]:
    """Return the users that were deleted after a revision, by hash."""
    query = (
        select(DELETIONS.c.user_hash, sql.max(DELETIONS.c.deleted_at))
        .where(DELETIONS.c.revision > after_revision)
        .group_by(DELETIONS.c.user_hash)
    )
    rows = connection.execute(query.order_by(DELETIONS.c.user_hash))
    return [Tombstone(*row) for row in rows]


def find_deletion_times(connection: Connection, user_ids: Collection[str]) -> dict[str, int]:
    """Return when users were deleted, by user id, for those that were."""
    by_hash = {hash_user_id(user_id): user_id for user_id in user_ids}
    if not by_hash:
        return {}
    rows = connection.execute(_DELETION_TIMES, {"hashes": list(by_hash)})
    return {by_hash[user_hash]: time for user_hash, time in rows}
