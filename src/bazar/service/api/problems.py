"""Errors as problem details (RFC 9457), in plain words and without personal data."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

_MAX_DETAIL = 500


class Problem(BaseModel):
    """What is wrong with a request, or with the service."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "k must be at most 100, found 500.",
                    "field": "k",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str = Field(description="The name of the status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, the value found, and what to do.")
    field: str | None = Field(
        default=None, description="The field of the request, if the problem is in one."
    )


class ProblemError(Exception):
    """An error that a client gets as problem details.

    Attributes:
        status: the HTTP status.
        detail: what is wrong, and what to do.
        field: the field of the request; None if it is not one field.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})


def make_busy_error(detail: str) -> ProblemError:
    """Return the error of a service that cannot answer now, but can in a second."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})


def make_response(error: ProblemError) -> Response:
    """Return the answer to a client."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": int(error.status),
        "detail": _clean(error.detail),
    }
    if error.field is not None:
        content["field"] = _clean(error.field)
    return Response(to_json(content), error.status, error.headers, MEDIA_TYPE)


def _clean(text: str) -> str:
    """Return a text that JSON can contain, of at most 500 characters."""
    text = text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]} ..."
    return text.encode(errors="backslashreplace").decode()
