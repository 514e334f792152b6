"""The tables of the store, equal on SQLite and PostgreSQL.

Times are int64 UTC milliseconds.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

SCHEMA_VERSION = 2
"""Version of these tables. It must increase when a table changes."""

# Only an INTEGER primary key generates numbers in SQLite.
_GENERATED = BigInteger().with_variant(Integer(), "sqlite")

METADATA = MetaData()

PROPERTIES = Table(
    "bazar_properties",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""The version of the schema, and the newest revision: the number of the latest change of the
catalogue or deletion of a user."""

_USER_ID = Column("user_id", String)

EVENTS = Table(
    "bazar_events",
    METADATA,
    Column("sequence", _GENERATED, Identity(), primary_key=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("event_type", String, nullable=False),
    _USER_ID,
    Column("session_id", String),
    Column("item_id", String, nullable=False),
    Column("order_id", String),
    Column("quantity", Float),
    Column("price", Float),
    Column("timestamp", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    # With the events without a user in it, both databases search them all for those of a session.
    Index(
        "bazar_events_by_user",
        "user_id",
        "timestamp",
        "sequence",
        sqlite_where=_USER_ID.is_not(None),
        postgresql_where=_USER_ID.is_not(None),
    ),
    Index("bazar_events_by_session", "session_id", "timestamp", "sequence"),
    # Without it, SQLite uses the number of a deleted event again, and readers that saw the deleted
    # event never see the new one.
    sqlite_autoincrement=True,
)

SESSIONS = Table(
    "bazar_sessions",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("user_id", String, nullable=False, index=True),
)
"""The user of each session: the first user that an event of the session named."""

ITEM_STATES = Table(
    "bazar_item_states",
    METADATA,
    Column("item_id", String, primary_key=True),
    Column("in_stock", Boolean),
    Column("price", Float),
    Column("is_hidden", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
)

NEW_ITEMS = Table(
    "bazar_new_items",
    METADATA,
    Column("item_id", String, primary_key=True),
    Column("title", String),
    Column("attributes", String),
    Column("variant_group", String),
    Column("vector", LargeBinary),
    Column("revision", BigInteger, nullable=False, index=True),
)
"""``vector`` contains little-endian float32."""

DELETIONS = Table(
    "bazar_deletions",
    METADATA,
    Column("receipt_id", String, primary_key=True),
    Column("user_hash", String, nullable=False),
    Column("deleted_at", BigInteger, nullable=False),
    Column("n_events", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
    Index("bazar_deletions_by_user", "user_hash", "deleted_at"),
)
"""One row for each deletion of a user. ``user_hash`` is the SHA-256 of the user id."""

API_KEYS = Table(
    "bazar_api_keys",
    METADATA,
    Column("key_id", String, primary_key=True),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("note", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
