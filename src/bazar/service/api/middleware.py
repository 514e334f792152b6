"""The guard: keys, limits, headers, logs and metrics of every request.

It runs before the routes, so that a request without a key is rejected before its body is read.
"""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bazar.service.api.context import Context
from bazar.service.api.logs import REQUESTS
from bazar.service.api.problems import ProblemError, make_busy_error, make_response
from bazar.service.api.security import (
    PUBLISHABLE,
    SECURITY_HEADERS,
    is_local_request,
    needs_key,
    read_secret,
)
from bazar.service.store import StoreError

KEY_KIND = "bazar.key_kind"
"""Key of the scope of a request: the kind of its API key, if keys are in use."""

_HTTP_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Guard:
    """Middleware that checks requests, and completes and counts answers."""

    def __init__(self, app: ASGIApp, context: Context, has_shop: bool = False) -> None:
        """Wrap an application.

        Args:
            app: the application.
            context: what the requests share.
            has_shop: whether the pages of the demo shop need no key.
        """
        self._app = app
        self._has_shop = has_shop
        self._context = context
        self._n_active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status: int | None = None

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                bundle_id = self._context.gateway.bundle_id.encode("latin-1")
                sent = {name for name, _ in message["headers"]}
                added = (*SECURITY_HEADERS, (b"x-bundle-id", bundle_id))
                message["headers"] += [header for header in added if header[0] not in sent]
            await send(message)

        self._n_active += 1
        try:
            await self._answer(scope, receive, send_completed)
        except ProblemError as error:
            await make_response(error)(scope, receive, send_completed)
        except StoreError as error:
            REQUESTS.error("%s", error)
            problem = make_busy_error("The database of the service does not answer. Try again.")
            await make_response(problem)(scope, receive, send_completed)
        except Exception:
            REQUESTS.exception("a request failed")
            if status is not None:
                raise
            problem = ProblemError(500, "The service failed. Its log says where.")
            await make_response(problem)(scope, receive, send_completed)
        finally:
            self._n_active -= 1
            self._report(scope, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and let the application answer it.

        Raises:
            ProblemError: if the request is rejected.
            StoreError: if the database fails.
        """
        if self._n_active > self._context.options.max_connections:
            raise make_busy_error("The service has too many requests. Try again in a second.")
        headers = Headers(scope=scope)
        await self._authorise(scope, headers)
        body = await self._read_body(headers, receive)
        if body and scope["path"].startswith("/v1/"):
            _check_content_type(headers)
        is_sent = False

        async def receive_again() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_again, send)

    async def _authorise(self, scope: Scope, headers: Mapping[str, str]) -> None:
        path = scope["path"]
        if not self._context.uses_keys:
            if not is_local_request(headers.get("host", "")):
                raise ProblemError(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "Without API keys, the service answers only requests to localhost. Call it as "
                    "http://localhost, or create keys and start it again.",
                )
            return
        if not needs_key(path) or (self._has_shop and _is_shop_path(path)):
            return
        secret = read_secret(headers)
        challenge = {"WWW-Authenticate": "Bearer"}
        if secret is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "The request has no API key. Send it in the header Authorization: Bearer KEY, or "
                "X-API-Key: KEY.",
                headers=challenge,
            )
        context = self._context
        kind = await context.checking.run(context.gateway.store.find_key_kind, secret)
        if kind is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "The API key is unknown or was revoked. Create one: bazar keys create",
                headers=challenge,
            )
        if kind != "server" and (scope["method"], path) != PUBLISHABLE:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "A publishable key may only send events (POST /v1/events). Use a server key, and "
                "never in a browser.",
            )
        if context.rate is not None and (delay := context.rate.find_delay(secret)) > 0:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"The key sends more than {context.options.requests_per_second:g} requests per "
                "second. Wait as long as Retry-After says.",
                headers={"Retry-After": str(int(delay) + 1)},
            )
        scope[KEY_KIND] = kind

    async def _read_body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body. No more of it than the limit is read.

        Raises:
            ProblemError: if it is too large, or is not sent in time.
        """
        options = self._context.options
        too_large = ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body of a request must have at most {options.max_body_bytes} bytes. Split it.",
            headers={"Connection": "close"},
        )
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > options.max_body_bytes:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(options.body_timeout_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > options.max_body_bytes:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT,
                "The body of the request was not sent in time.",
                headers={"Connection": "close"},
            ) from None
        return b"".join(parts)

    def _report(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Count and log a request. A request without an answer has the status 499."""
        route = getattr(scope.get("route"), "path_format", "other")
        method = scope["method"] if scope["method"] in _HTTP_METHODS else "other"
        self._context.metrics.count_request(route, method, status or 499, seconds)
        content: dict[str, Any] = {
            "route": route,
            "method": method,
            "status": status or 499,
            "milliseconds": round(1000 * seconds, 2),
            "bundle_id": self._context.gateway.bundle_id,
        }
        REQUESTS.info("request", extra={"request": content})


def _check_content_type(headers: Mapping[str, str]) -> None:
    """Raise ProblemError if a body is not JSON.

    Pages of other sites can send other types from a browser without asking.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be JSON with the header Content-Type: application/json, found "
            f"{media_type[:80]!r}.",
        )


def _is_shop_path(path: str) -> bool:
    from bazar.service.shop.router import is_shop_path

    return is_shop_path(path)
