"""The store of the online service."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from bazar.errors import InputError
from bazar.service.live import LiveEvent, NewItem
from bazar.service.store import catalogue, deletions, events, keys, sequences
from bazar.service.store.catalogue import Changes, ItemChange
from bazar.service.store.checks import check_id
from bazar.service.store.database import Database
from bazar.service.store.deletions import Receipt, Tombstone
from bazar.service.store.events import EventRecord, Outcome
from bazar.service.store.failures import StoreError
from bazar.service.store.keys import ApiKey, CreatedKey, KeyKind
from bazar.service.store.tables import PROPERTIES

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)


class LiveStore:
    """Events, changes of the catalogue, deleted users and API keys, in SQLite or PostgreSQL.

    Threads and processes share a database; each process opens its own store. What a method wrote
    is visible to every process when it returns. Every method raises StoreError if the database
    fails, and has stored nothing then.
    """

    def __init__(self, url: str) -> None:
        """Connect, and create the tables in an empty database.

        Args:
            url: ``sqlite:///folder/live.db`` or ``postgresql://user:password@host:port/database``.

        Raises:
            InputError: if the URL is invalid, the driver is missing, the database cannot be
                reached or written, or its tables have another version.
        """
        self._database = Database(url)

    # Events

    def insert_events(self, records: Sequence[EventRecord]) -> list[Outcome]:
        """Store events in one transaction, each id once.

        Args:
            records: at most 10,000 events.

        Returns:
            For each event ``"new"`` (stored now), ``"duplicate"`` (stored before, or up to the
            deletion of its user) or ``"conflict"`` (another event has its id; not stored). Events
            without a timestamp equal a stored one at any time.

        Raises:
            InputError: if an event is invalid. None is stored then.
        """
        events.check_events(records)
        if not records:
            return []
        with self._database.write() as connection:
            return events.insert_events(connection, records)

    def read_events(
        self,
        user_id: str | None = None,
        session_id: str | None = None,
        after_sequence: int = 0,
        limit: int = 1_000,
    ) -> list[LiveEvent]:
        """Return the events of a user, of a session or of both, except impressions; oldest first.

        The events of a user include those without a user in the sessions that were later, or
        before, sent with the user. A session belongs to its first user. With both ids, a session
        without a user counts as the user's, and a session of another user does not.

        Args:
            user_id: the user.
            session_id: the session. Without a user, all its events are returned.
            after_sequence: the watermark of the bundle; purchases up to it are left out.
            limit: the largest number of events. The latest are kept.

        Returns:
            Events by (timestamp, sequence).

        Raises:
            InputError: if neither id is given, or one is invalid.
        """
        if user_id is None and session_id is None:
            raise InputError("Events are read by user_id, session_id or both. Pass one.")
        for name, value in (("user_id", user_id), ("session_id", session_id)):
            if value is not None:
                check_id(name, value)
        with self._database.read() as connection:
            return events.read_events(connection, user_id, session_id, after_sequence, limit)

    def newest_sequence(self) -> int:
        """Return the sequence of the newest event that is not deleted, or 0.

        Sequences increase in the order of the commits: who sees one sees all lower ones.
        """
        with self._database.read() as connection:
            return events.find_newest_sequence(connection)

    def read_last_sequence(self) -> int:
        """Return the highest sequence that an event ever had, also one that was deleted, or 0."""
        with self._database.read() as connection:
            return sequences.read_last_sequence(connection)

    def raise_sequence(self, watermark: int) -> bool:
        """Make all later events get sequences above a watermark, if they would not.

        They would not after an older backup was restored. Lists and exports would ignore later
        purchases then. A warning is logged. If nothing must be changed, this is one query.
        Processes can call it at the same time, while others store events.

        Args:
            watermark: events up to this sequence are in a bundle, or were exported for a training.

        Returns:
            Whether later events get higher sequences now than without the call.
        """
        if self.read_last_sequence() >= watermark:
            return False
        with self._database.write() as connection:
            # Another process may have done it.
            last = sequences.read_last_sequence(connection)
            if last >= watermark:
                return False
            sequences.raise_sequence(connection, watermark)
        logger.warning(
            "the latest event of the database had the number %d, but a training has used events up "
            "to the number %d: an older backup was restored, or this is another database. New "
            "events get higher numbers, so that none is ignored",
            last,
            watermark,
        )
        return True

    def read_purchases(
        self, after_sequence: int, up_to_sequence: int, batch_rows: int = 50_000
    ) -> "Iterator[pa.RecordBatch]":
        """Return the purchases for the next training, in the order of their sequence.

        Tombstones are not applied here, because the other sources of a training need them too.

        Args:
            after_sequence: the watermark of the last training.
            up_to_sequence: the new watermark, from :meth:`newest_sequence`.
            batch_rows: largest number of rows of a batch.

        Returns:
            Batches with the columns of :data:`bazar.service.store.purchases.PURCHASES_SCHEMA`.
        """
        # The service itself needs no Arrow tables.
        from bazar.service.store.purchases import read_purchases

        return read_purchases(self._database, after_sequence, up_to_sequence, batch_rows)

    # Catalogue

    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """Store changes of stock, price and visibility.

        Args:
            changes: at most 10,000. Fields that are None stay as they are.

        Returns:
            The revision of the changes.

        Raises:
            InputError: if a change is invalid. None is stored then.
        """
        catalogue.check_changes(changes)
        with self._database.write() as connection:
            return catalogue.change_items(connection, changes)

    def add_items(self, items: Sequence[NewItem]) -> int:
        """Store new items. An item with the id of an earlier one replaces it.

        Args:
            items: at most 10,000, each id once.

        Returns:
            The revision of the items.

        Raises:
            InputError: if an item is invalid. None is stored then.
        """
        catalogue.check_items(items)
        with self._database.write() as connection:
            return catalogue.add_items(connection, items)

    def read_changes(self, after_revision: int = 0) -> Changes:
        """Return the changes of the catalogue, and the deleted users, after a revision.

        If nothing changed, this is one query by primary key: a worker calls it before each answer.

        Args:
            after_revision: the revision that the last call returned; 0 for all changes.
        """
        with self._database.read() as connection:
            return catalogue.read_changes(connection, after_revision)

    # Deleted users

    def delete_user(self, user_id: str, deleted_at: int | None = None) -> Receipt:
        """Delete the events of a user and of the user's sessions, and write a tombstone.

        The tombstone contains the SHA-256 of the id. A user can be deleted several times, also
        without any events.

        Args:
            user_id: the user.
            deleted_at: UTC milliseconds; None for now. Purchases of the user up to this time are
                left out of every later training.

        Raises:
            InputError: if the id is invalid.
        """
        check_id("user_id", user_id)
        with self._database.write() as connection:
            # Not earlier: a deleted event would come back if it is sent again and happened between
            # the request and its turn to write.
            time_ms = _read_clock() if deleted_at is None else deleted_at
            return deletions.delete_user(connection, user_id, time_ms)

    def list_tombstones(self) -> list[Tombstone]:
        """Return all deleted users, by hash."""
        with self._database.read() as connection:
            return deletions.list_tombstones(connection)

    # API keys

    def create_key(self, kind: KeyKind, note: str = "") -> CreatedKey:
        """Store a new API key and return it with its secret, which cannot be read again.

        Args:
            kind: ``"server"``, or ``"publishable"`` for a key that may only write events.
            note: what it is for, at most 200 characters.

        Raises:
            InputError: if the kind is unknown, or the note is too long.
        """
        with self._database.write() as connection:
            return keys.create_key(connection, kind, note, _read_clock())

    def find_key_kind(self, secret: str) -> KeyKind | None:
        """Return what a secret allows; None if it is unknown or revoked."""
        with self._database.read() as connection:
            return keys.find_key_kind(connection, secret)

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key. The next request with it is answered with 401.

        Raises:
            InputError: if there is no such key.
        """
        with self._database.write() as connection:
            keys.revoke_key(connection, key_id, _read_clock())

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first, without their secrets."""
        with self._database.read() as connection:
            return keys.list_keys(connection)

    # State

    def is_ready(self) -> bool:
        """Return whether the database answers a query, and its file is at its path."""
        try:
            self._database.check_file()
            with self._database.read() as connection:
                connection.execute(select(PROPERTIES.c.value).limit(1))
        except StoreError:
            return False
        return True

    def close(self) -> None:
        """Close the connections. Call it when no thread uses the store."""
        self._database.close()


def _read_clock() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000
