"""API keys. The store contains only their hashes."""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from sqlalchemy import Connection, insert, select, update

from bazar.errors import InputError
from bazar.service.store.checks import check_text
from bazar.service.store.tables import API_KEYS

KeyKind = Literal["server", "publishable"]
"""``server`` keys may do everything. ``publishable`` keys, for browsers, may only write events."""

_SECRET_BYTES = 32
_MAX_NOTE_LENGTH = 200


@dataclass(frozen=True)
class CreatedKey:
    """A new key, with its secret.

    Attributes:
        key_id: the public id, which revokes the key.
        secret: what clients send. It cannot be read again.
    """

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret.

    Attributes:
        key_id: the public id.
        kind: what the key allows.
        note: what it is for.
        created_at: UTC milliseconds.
        revoked_at: UTC milliseconds; None if the key is valid.
    """

    key_id: str
    kind: KeyKind
    note: str
    created_at: int
    revoked_at: int | None


def create_key(connection: Connection, kind: KeyKind, note: str, created_at: int) -> CreatedKey:
    """Store a new key and return it."""
    if kind not in get_args(KeyKind):
        raise InputError(
            f"The kind of a key must be {' or '.join(get_args(KeyKind))}, got {kind!r}."
        )
    check_text("note", note, _MAX_NOTE_LENGTH)
    created = CreatedKey(
        uuid.uuid4().hex[:12], f"bazar_{kind}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    )
    row = {
        "key_id": created.key_id,
        "secret_hash": _hash(created.secret),
        "kind": kind,
        "note": note,
        "created_at": created_at,
    }
    connection.execute(insert(API_KEYS), row)
    return created


def find_key_kind(connection: Connection, secret: str) -> KeyKind | None:
    """Return what a secret allows; None if it is unknown or revoked."""
    secret_hash = _hash(secret)
    query = select(API_KEYS.c.kind, API_KEYS.c.secret_hash).where(
        API_KEYS.c.secret_hash == secret_hash, API_KEYS.c.revoked_at.is_(None)
    )
    # The time of the look-up in the index depends on the stored hashes. This reveals nothing about
    # a secret: who does not know one cannot choose a text whose hash begins as that of a secret.
    row = connection.execute(query).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_hash, secret_hash):
        return None
    return cast(KeyKind, row.kind)


def revoke_key(connection: Connection, key_id: str, revoked_at: int) -> None:
    """Revoke a key. A key that is revoked already keeps its time.

    Raises:
        InputError: if there is no such key.
    """
    is_key = API_KEYS.c.key_id == key_id
    if connection.scalar(select(API_KEYS.c.key_id).where(is_key)) is None:
        raise InputError(f"There is no key with the id {key_id!r:.40}. List the keys.")
    connection.execute(
        update(API_KEYS)
        .where(is_key, API_KEYS.c.revoked_at.is_(None))
        .values(revoked_at=revoked_at)
    )


def list_keys(connection: Connection) -> list[ApiKey]:
    """Return all keys, the oldest first."""
    query = select(
        API_KEYS.c.key_id,
        API_KEYS.c.kind,
        API_KEYS.c.note,
        API_KEYS.c.created_at,
        API_KEYS.c.revoked_at,
    ).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)
    return [ApiKey(*row) for row in connection.execute(query)]


def _hash(secret: str) -> str:
    """Return the SHA-256 of a secret.

    Slow hashes such as Argon2 protect passwords, which people choose and attackers can guess. A
    secret has 256 random bits: nobody can try a noticeable part of them, however fast the hash is.
    """
    # Headers of requests can contain half surrogate pairs.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
