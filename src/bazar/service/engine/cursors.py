"""Cursors: opaque texts that a client sends to get the next page of a list.

A cursor contains the products that the earlier pages showed, the time of the first page, the id of
the bundle, and a fingerprint of the request. The next page is the ranking at that time without the
products that were shown. Therefore no product is shown twice, whatever changes in between: stock,
rules or events. If nothing changes, the pages together equal one long list.

A server keeps nothing for a cursor, and any worker can answer it. Its size is bounded, because all
pages together show at most :data:`~bazar.service.engine.requests.MAX_LISTED` products. Products of
the bundle are stored by item index. Products that were added later are stored by id, because
workers may number them differently.

The checksum detects damaged cursors. It is no secret: who forges a cursor can only leave products
out of the own list, as with ``exclude``.
"""

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from bazar.errors import InputError
from bazar.service.engine.requests import MAX_LISTED, MAX_TIME, ListRequest

_MAX_LENGTH = 100_000
_MAX_UNPACKED = 1_000_000
_CHECKSUM_BYTES = 8
# The bundle, the fingerprint of the request, the time, the gaps between the item indices that were
# shown, and the ids of the added products that were shown.
_CONTENT = TypeAdapter(
    tuple[
        str,
        str,
        Annotated[int, Field(ge=0, lt=MAX_TIME, strict=True)],
        list[Annotated[int, Field(ge=1, le=2**31, strict=True)]],
        list[str],
    ]
)
_FIRST_PAGE = "Request the first page again, without a cursor."


@dataclass(frozen=True)
class Cursor:
    """What the next page needs.

    Attributes:
        at: time of the first page, UTC milliseconds.
        shown: item indices of the products of the bundle that were shown.
        shown_added: ids of the products that were added later and were shown.
    """

    at: int
    shown: tuple[int, ...]
    shown_added: tuple[str, ...]


def encode_cursor(cursor: Cursor, request: ListRequest, bundle_id: str) -> str:
    """Return a cursor as text of letters, digits, ``-`` and ``_``."""
    shown = sorted(cursor.shown)
    gaps = [index - before for before, index in zip([0, *shown], shown, strict=False)]
    content = [bundle_id, _fingerprint(request), cursor.at, gaps, cursor.shown_added]
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(_compute_checksum(packed) + packed).decode().rstrip("=")


def decode_cursor(text: str, request: ListRequest, bundle_id: str, n_items: int) -> Cursor:
    """Return the content of a cursor.

    Args:
        text: result of :func:`encode_cursor`.
        request: the request that the cursor belongs to. Its page size, its time, the events
            of its visitor, and whether it is explained may differ.
        bundle_id: the bundle that answers.
        n_items: number of items + 1 of the bundle.

    Raises:
        InputError: if the cursor is damaged, or belongs to another request or another bundle.
    """
    damaged = InputError(f"cursor {text[:40]!r} is damaged. {_FIRST_PAGE}")
    if len(text) > _MAX_LENGTH or not text.isascii():
        raise damaged
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise damaged from None
    checksum, packed = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
    if checksum != _compute_checksum(packed):
        raise damaged
    try:
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        found_bundle, fingerprint, at, gaps, added = _CONTENT.validate_json(unpacked)
    except (zlib.error, ValidationError):
        raise damaged from None
    if found_bundle != bundle_id:
        raise InputError(
            f"cursor belongs to the bundle {found_bundle!r}, but {bundle_id!r} answers now. "
            f"{_FIRST_PAGE}"
        )
    if fingerprint != _fingerprint(request):
        raise InputError(
            "cursor belongs to another request. Send it with the same visitor, filters and "
            f"options as the first page. {_FIRST_PAGE}"
        )
    shown = tuple(accumulate(gaps))
    if len(shown) + len(added) > MAX_LISTED or (shown and shown[-1] >= n_items):
        raise damaged
    return Cursor(at, shown, tuple(dict.fromkeys(added)))


def _fingerprint(request: ListRequest) -> str:
    """Return a text that differs for requests whose pages do not belong together."""
    visitor = replace(request.visitor, events=())
    same = replace(request, visitor=visitor, k=1, at=None, cursor=None, is_explained=True)
    return hashlib.blake2b(repr(same).encode(errors="replace"), digest_size=8).hexdigest()


def _compute_checksum(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_CHECKSUM_BYTES).digest()
