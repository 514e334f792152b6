"""Responses with pages."""

import re
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""Headers of every response. Pages contain neither scripts nor styles, and load only those of the
shop."""
# The space between a number and a unit, such as that of "150 ml".
_SPACE_BEFORE_UNIT = re.compile(r"(?<=\d) (?=[^\W\d_]{1,2}\b)")


def render_page(name: str, context: dict[str, Any]) -> Response:
    """Return a page.

    Args:
        name: name of the template, without its suffix.
        context: all variables of the template.
    """
    return HTMLResponse(_TEMPLATES.get_template(f"{name}.html.j2").render(context), headers=HEADERS)


def render_error(status: int, text: str) -> Response:
    """Return the page of an error. It needs no database.

    Args:
        status: the HTTP status.
        text: what is wrong.
    """
    context = {"status": status, "title": HTTPStatus(status).phrase, "text": text}
    html = _TEMPLATES.get_template("error.html.j2").render(context)
    retry = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return HTMLResponse(html, status, HEADERS | retry)


def redirect(path: str) -> Response:
    """Return a redirection after a form. The browser gets the page by GET."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)


def _format_price(price: float) -> str:
    return f"{price:,.2f}"


def _keep_units(text: str) -> str:
    """Return a text that is not broken between a number and a unit of one or two letters."""
    return _SPACE_BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


_TEMPLATES = Environment(
    loader=PackageLoader("bazar.service.shop"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["price"] = _format_price
_TEMPLATES.filters["keep_units"] = _keep_units
