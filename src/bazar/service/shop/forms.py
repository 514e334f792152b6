"""Forms and other requests that change something: how they are read, and where they may come from.

Browsers do not send the cookie with the forms of other sites, because it has ``SameSite=Lax``. The
check of the origin is the second protection.
"""

from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bazar.service.store.checks import MAX_ID_LENGTH

MAX_BODY_BYTES = 65_536
"""Largest size of a form or of a batch of events."""
MAX_EVENTS = 100
"""Largest number of events in a batch."""
_MAX_FIELDS = 20

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


class ShopEvent(BaseModel):
    """An event that ``bazar.js`` sends. Other fields are ignored: the cookie names the visitor."""

    model_config = ConfigDict(extra="ignore")

    event_id: _Id
    event_type: Literal["impression", "click", "view"]
    item_id: _Id
    session_id: str | None = None


class ShopEvents(BaseModel):
    """A batch of events."""

    events: list[ShopEvent] = Field(min_length=1, max_length=MAX_EVENTS)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, each once.

    Raises:
        HTTPException: if another site sent the form, or it is too large or malformed.
    """
    body = await _read_body(request)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The form is malformed.") from error
    return dict(pairs)


async def read_events(request: Request) -> list[ShopEvent]:
    """Return a batch of events.

    Raises:
        HTTPException: if another site sent it, or it is too large or malformed.
    """
    body = await _read_body(request)
    try:
        return ShopEvents.model_validate_json(body).events
    except ValidationError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "The batch is malformed.") from error


async def _read_body(request: Request) -> bytes:
    if not _is_same_origin(request):
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "This came from another site. Open the shop and send it there."
        )
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large.")
    return bytes(body)


def _is_same_origin(request: Request) -> bool:
    """Return whether no other site sent a request.

    All current browsers send one of the two headers. A program that sends none has no cookie of a
    visitor that it could misuse.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
