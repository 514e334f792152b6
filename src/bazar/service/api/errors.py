"""Translate errors of the routes into problem details."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bazar.errors import InputError
from bazar.service.api.problems import ProblemError, make_response
from bazar.service.api.schemas import PlacementType
from bazar.service.gateway import UnknownItemError

# Names of the kinds of bodies and of placements, which Pydantic puts into the places of errors.
_KINDS = {"one", "batch", *get_args(PlacementType)}
_FIELD = re.compile(r"^([a-z]+(?:_[a-z]+)*)(?: must|:)")


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer errors with problem details."""
    app.add_exception_handler(RequestValidationError, _answer_invalid_fields)
    app.add_exception_handler(InputError, _answer_invalid_input)
    app.add_exception_handler(HTTPException, _answer_http_error)


async def _answer_invalid_fields(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    first = problems[0]
    if first["type"] == "json_invalid":
        return make_response(ProblemError(400, "The body is not valid JSON."))
    field = _name_field(first["loc"])
    more = f" Number of further problems: {len(problems) - 1}." if len(problems) > 1 else ""
    named = f"{field}: " if field else ""
    return make_response(ProblemError(422, f"{named}{_explain(first)}.{more}", field or None))


async def _answer_invalid_input(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UnknownItemError) else 422
    found = _FIELD.match(str(error))
    return make_response(ProblemError(status, str(error), found and found[1]))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        400: "The body of the request cannot be read. Send valid JSON in UTF-8.",
        404: "There is nothing at this path. The paths are listed at /docs.",
        405: f"The path does not have the method {request.method[:20]}.",
    }
    detail = details.get(error.status_code, str(error.detail))
    return make_response(ProblemError(error.status_code, detail, headers=error.headers))


def _name_field(place: Sequence[int | str]) -> str:
    """Return a field such as ``events.3.price``; empty if the problem is not in one field."""
    # The first part says whether it is in the body, the path or the query.
    parts = list(place[1:])
    kinds = [position for position in (0, 2) if position < len(parts) - 1]
    return ".".join(
        str(part)
        for position, part in enumerate(parts)
        if position not in kinds or part not in _KINDS
    )


def _explain(problem: Mapping[str, Any]) -> str:
    """Return a validation error in words, with the value found."""
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "extra_forbidden":
        return "is unknown. The fields are listed at /docs"
    message = re.sub(
        r"^(Input|String|List|Tuple|Dictionary|Value) should ",
        "must ",
        problem["msg"].removeprefix("Value error, "),
    )
    value = problem.get("input")
    if isinstance(value, Mapping | list):
        return message
    return f"{message}, found {value!r:.80}"
