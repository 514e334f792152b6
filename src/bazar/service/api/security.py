"""API keys, the names of this host, and headers that protect browsers."""

import ipaddress
from collections.abc import Mapping

from bazar.errors import InputError
from bazar.service.store import LiveStore

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""Paths that need no key, because they reveal nothing about the shop. The pages of the reference,
which begin with ``/docs``, need none, either."""
PUBLISHABLE = ("POST", "/v1/events")
"""What a publishable key may do."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer that does not set them itself."""


def decide_key_use(store: LiveStore, host: str, is_required: bool) -> bool:
    """Return whether requests need a key.

    They do if the service listens on more than loopback, if a key exists, or if the options say so.

    Args:
        store: the store of the keys.
        host: the address that the service listens on.
        is_required: whether a key is needed in any case.

    Raises:
        InputError: if a key is needed and no server key exists.
        StoreError: if the database fails.
    """
    valid = [key for key in store.list_keys() if key.revoked_at is None]
    is_open = not is_loopback(host)
    if not (is_open or is_required or valid):
        return False
    if not any(key.kind == "server" for key in valid):
        reason = (
            f"on {host}, which other computers can reach,"
            if is_open
            else "because require_keys is set or a publishable key exists,"
        )
        raise InputError(
            f"The service does not start {reason} without a server key. Create one: "
            "bazar keys create --kind server --database URL"
        )
    return True


def is_loopback(host: str) -> bool:
    """Return whether an address or a name is that of this computer alone."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_local_request(host_header: str) -> bool:
    """Return whether the header ``Host`` names this computer.

    A page of another site can make a browser call the service under the site's own name, after it
    changed the address of that name to 127.0.0.1 (DNS rebinding). Without keys, only the name shows
    it.
    """
    host = host_header.strip()
    if host.startswith("["):
        return is_loopback(host.partition("]")[0] + "]")
    return is_loopback(host.rpartition(":")[0] if ":" in host else host)


def needs_key(path: str) -> bool:
    """Return whether a path needs a key, if keys are in use."""
    return path not in OPEN_PATHS and path != "/docs" and not path.startswith("/docs/")


def read_secret(headers: Mapping[str, str]) -> str | None:
    """Return the key that a request sends in ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return headers.get("x-api-key") or None
