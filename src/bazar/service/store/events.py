"""Store events once, and read those of a user or a session."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    insert,
    or_,
    select,
    union_all,
)
from sqlalchemy import func as sql

from bazar.errors import InputError
from bazar.service.live import EventType, LiveEvent
from bazar.service.store.checks import check_count, check_id, check_number, check_time
from bazar.service.store.deletions import find_deletion_times
from bazar.service.store.tables import EVENTS, SESSIONS
from bazar.service.store.upsert import make_upsert

MAX_EVENTS = 10_000
"""Largest number of events that one call stores."""

Outcome = Literal["new", "duplicate", "conflict"]
"""What became of an event: stored now, stored before, or not stored, because another event has the
same id."""

_CONTENT = (
    "event_type", "user_id", "session_id", "item_id", "order_id", "quantity", "price", "timestamp",
)  # fmt: skip


_STORED_EVENTS = select(EVENTS.c.event_id, *(EVENTS.c[name] for name in _CONTENT)).where(
    EVENTS.c.event_id.in_(bindparam("event_ids", expanding=True))
)


@dataclass(frozen=True)
class EventRecord:
    """An event as a client sends it.

    Attributes:
        event_id: the client's id of the event. An event that is sent twice is stored once.
        event_type: what happened.
        item_id: the product.
        received_at: when the service received the event, UTC milliseconds.
        timestamp: when it happened, UTC milliseconds; None if the client did not send it, for
            ``received_at``.
        user_id: the user; None for an anonymous visitor.
        session_id: the visit; None if it is not known. At least one of both is given.
        order_id: the order of a purchase.
        quantity: number of units.
        price: price of one unit.
    """

    event_id: str
    event_type: EventType
    item_id: str
    received_at: int
    timestamp: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    order_id: str | None = None
    quantity: float | None = None
    price: float | None = None


def check_events(records: Sequence[EventRecord]) -> None:
    """Raise InputError if an event cannot be stored."""
    check_count("events", len(records), MAX_EVENTS)
    for record in records:
        check_id("event_id", record.event_id)
        check_id("item_id", record.item_id)
        if record.event_type not in get_args(EventType):
            names = ", ".join(get_args(EventType))
            raise InputError(f"event_type must be one of {names}, got {record.event_type!r:.40}.")
        if record.user_id is None and record.session_id is None:
            raise InputError("An event needs a user_id, a session_id or both.")
        for name in ("user_id", "session_id", "order_id"):
            if (value := getattr(record, name)) is not None:
                check_id(name, value)
        for name in ("quantity", "price"):
            if (value := getattr(record, name)) is not None:
                check_number(name, value)
        check_time("received_at", record.received_at)
        if record.timestamp is not None:
            check_time("timestamp", record.timestamp)


def insert_events(connection: Connection, records: Sequence[EventRecord]) -> list[Outcome]:
    """Store the events whose ids are new, and return what became of each.

    Events up to the deletion of their user are not stored; they count as duplicates, because most
    are repetitions of deleted ones.
    """
    known = _read_contents(connection, {record.event_id for record in records})
    user_ids = {record.user_id for record in records if record.user_id is not None}
    deletion_times = find_deletion_times(connection, user_ids)
    outcomes: list[Outcome] = []
    rows: list[dict[str, Any]] = []
    for record in records:
        row = _make_row(record)
        if (stored := known.get(record.event_id)) is not None:
            outcomes.append("duplicate" if _is_same(record, stored) else "conflict")
        elif row["timestamp"] <= deletion_times.get(record.user_id or "", -1):
            outcomes.append("duplicate")
        else:
            known[record.event_id] = tuple(row[name] for name in _CONTENT)
            rows.append(row)
            outcomes.append("new")
    if rows:
        connection.execute(insert(EVENTS), rows)
        _insert_sessions(connection, rows)
    return outcomes


def read_events(
    connection: Connection,
    user_id: str | None,
    session_id: str | None,
    after_sequence: int,
    limit: int,
) -> list[LiveEvent]:
    """Return the latest events of a user, a session or both, except impressions; oldest first."""
    query = _make_query(user_id is not None, session_id is not None)
    values = {
        "user": user_id,
        "session": session_id,
        "after_sequence": after_sequence,
        "limit": limit,
    }
    rows = connection.execute(query, values).all()
    return [LiveEvent(*row) for row in reversed(rows)]


# Building a query takes longer than running it.
@cache
def _make_query(has_user: bool, has_session: bool) -> Select[Any]:
    """Return the query of the latest events, the latest first.

    Its parameters are ``user``, ``session``, ``after_sequence`` and ``limit``.
    """
    parts = [_select_latest(condition) for condition in _make_conditions(has_user, has_session)]
    found = union_all(*(select(part) for part in parts)).subquery()
    columns = [found.c[field.name] for field in fields(LiveEvent)]
    return (
        select(*columns)
        .order_by(found.c.timestamp.desc(), found.c.sequence.desc())
        .limit(bindparam("limit"))
    )


def _make_conditions(has_user: bool, has_session: bool) -> list[ColumnElement[bool]]:
    """Return conditions that no event fulfils twice; each is one range of an index."""
    user, session = bindparam("user", type_=String), bindparam("session", type_=String)
    if not has_user:
        return [EVENTS.c.session_id == session]
    is_anonymous = EVENTS.c.user_id.is_(None)
    owned = select(SESSIONS.c.session_id).where(SESSIONS.c.user_id == user)
    conditions = [EVENTS.c.user_id == user, and_(is_anonymous, EVENTS.c.session_id.in_(owned))]
    if has_session:
        # A session that has a user is either read above or belongs to another user.
        has_owner = select(SESSIONS.c.session_id).where(SESSIONS.c.session_id == session).exists()
        conditions.append(and_(is_anonymous, EVENTS.c.session_id == session, ~has_owner))
    return conditions


def _select_latest(condition: ColumnElement[bool]) -> Subquery:
    query: Select[Any] = (
        select(EVENTS)
        .where(
            condition,
            # Lists do not depend on impressions, of which there are many.
            EVENTS.c.event_type != "impression",
            # Only purchases are exported to a training.
            or_(
                EVENTS.c.event_type != "purchase",
                EVENTS.c.sequence > bindparam("after_sequence"),
            ),
        )
        .order_by(EVENTS.c.timestamp.desc(), EVENTS.c.sequence.desc())
        .limit(bindparam("limit"))
    )
    return query.subquery()


def find_newest_sequence(connection: Connection) -> int:
    """Return the sequence of the newest event, or 0."""
    return connection.scalar(select(sql.max(EVENTS.c.sequence))) or 0


def _read_contents(connection: Connection, event_ids: set[str]) -> dict[str, tuple[Any, ...]]:
    """Return the content of stored events by id."""
    rows = connection.execute(_STORED_EVENTS, {"event_ids": list(event_ids)})
    return {row[0]: tuple(row[1:]) for row in rows}


def _make_row(record: EventRecord) -> dict[str, Any]:
    """Return the values of all columns except the sequence."""
    row = {name: getattr(record, name) for name in ("event_id", *_CONTENT, "received_at")}
    if record.timestamp is None:
        row["timestamp"] = record.received_at
    return row


def _is_same(record: EventRecord, stored: tuple[Any, ...]) -> bool:
    """Return whether an event is sent again. The time of receipt is no part of it."""
    return all(
        getattr(record, name) == value
        for name, value in zip(_CONTENT, stored, strict=True)
        if name != "timestamp" or record.timestamp is not None
    )


def _insert_sessions(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Store the user of each session. The first user of a session keeps it."""
    found = [
        {"session_id": row["session_id"], "user_id": row["user_id"]}
        for row in rows
        if row["session_id"] is not None and row["user_id"] is not None
    ]
    if found:
        connection.execute(make_upsert(connection, SESSIONS).on_conflict_do_nothing(), found)
