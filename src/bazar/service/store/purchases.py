"""Read the purchases for the next training."""

from collections.abc import Iterator

import pyarrow as pa
from sqlalchemy import func as sql
from sqlalchemy import select

from bazar.service.store.database import Database
from bazar.service.store.tables import EVENTS, SESSIONS

PURCHASES_SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("order_id", pa.string()),
        pa.field("quantity", pa.float64()),
        pa.field("price", pa.float64()),
        pa.field("timestamp", pa.int64(), nullable=False),
    ]
)
"""Columns of :func:`read_purchases`. ``timestamp`` is UTC milliseconds. ``user_id`` is null for
visitors who stayed anonymous; otherwise it is also that of the purchase's session."""


def read_purchases(
    database: Database, after_sequence: int, up_to_sequence: int, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the purchases with a sequence in (after_sequence, up_to_sequence], in its order.

    Each batch is a short query of its own, so that a slow reader keeps no transaction open.
    """
    user_id = sql.coalesce(EVENTS.c.user_id, SESSIONS.c.user_id).label("user_id")
    columns = [user_id if name == "user_id" else EVENTS.c[name] for name in PURCHASES_SCHEMA.names]
    query = (
        select(*columns)
        .select_from(EVENTS.outerjoin(SESSIONS, EVENTS.c.session_id == SESSIONS.c.session_id))
        .where(EVENTS.c.event_type == "purchase", EVENTS.c.sequence <= up_to_sequence)
        .order_by(EVENTS.c.sequence)
        .limit(batch_rows)
    )
    last = after_sequence
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(EVENTS.c.sequence > last)).all()
        if not rows:
            return
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(zip(*rows, strict=True), PURCHASES_SCHEMA, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=PURCHASES_SCHEMA)
        last = rows[-1].sequence
