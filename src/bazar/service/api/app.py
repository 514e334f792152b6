"""The application: all routes behind the guard."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.responses import Response

import bazar
from bazar.config.service import ServiceOptions
from bazar.service.api.answers import HealthAnswer, ReadinessAnswer
from bazar.service.api.context import Context, make_context
from bazar.service.api.errors import add_error_handlers
from bazar.service.api.metrics import CONTENT_TYPE
from bazar.service.api.middleware import Guard
from bazar.service.api.problems import MEDIA_TYPE, make_busy_error
from bazar.service.api.reference import make_reference_router
from bazar.service.api.routes import PROBLEMS, make_router
from bazar.service.loading import BundleLoader
from bazar.service.process import settle_process

logger = logging.getLogger(__name__)

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_DESCRIPTION = """
Recommendations for the pages of a shop, with live events.

Send what visitors do to `POST /v1/events`. The next list takes it into account, in every worker.

**Keys.** Send a key in the header `Authorization: Bearer KEY` or `X-API-Key: KEY`. A *server key*
may do everything; keep it out of browsers. A *publishable key*, for browsers, may only send events.
Without keys, the service answers only this computer.

**Errors** are problem details (RFC 9457). If the status is 503 or 429, try again after as many
seconds as the header `Retry-After` says.

**Times** are ISO 8601, in UTC unless they have an offset.
"""


class _Application(FastAPI):
    """An application whose errors are problem details in the reference, too."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of the API."""
        schema = super().openapi()
        for methods in schema["paths"].values():
            for operation in methods.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    if content.get("application/json", {}).get("schema") == _PROBLEM:
                        content[MEDIA_TYPE] = content.pop("application/json")
        return schema


def create_app(
    loader: BundleLoader,
    options: ServiceOptions,
    uses_keys: bool,
    has_shop: bool = False,
) -> FastAPI:
    """Create the application of one process.

    Args:
        loader: the loader of the bundle, with the gateway.
        options: limits and defaults.
        uses_keys: whether requests need a key;
            see :func:`~bazar.service.api.security.decide_key_use`. Without keys, the application
            answers only requests to localhost.
        has_shop: whether the demo shop is at ``/``. Its pages need no key, and anybody can act as
            any customer there.

    Returns:
        The application. When it has ended, ``state.is_stuck`` says whether some of its threads
        still wait for the database.
    """
    context = make_context(loader, options, uses_keys)

    app = _Application(
        title="Bazar",
        version=bazar.__version__,
        summary="Next-purchase recommendations over HTTP.",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_make_lifespan(context),
        swagger_ui_oauth2_redirect_url=None,
    )
    add_error_handlers(app)
    app.include_router(make_router(context))
    app.include_router(_make_health_router(context))
    app.include_router(make_reference_router("Bazar: reference of the API"))
    if has_shop:
        from bazar.service.shop.router import add_shop

        add_shop(app, context.gateway)
    app.add_middleware(Guard, context=context, has_shop=has_shop)
    if options.cors_origins:
        # The last one is the first to see a request: browsers ask without a key whether they may
        # send one.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key"],
            expose_headers=["x-bundle-id", "retry-after"],
            max_age=3600,
        )
    return app


def _make_lifespan(context: Context) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        async with _watch(context):
            yield
        # All are closed in any case.
        are_closed = [pool.close() for pool in context.pools]
        app.state.is_stuck = not all(are_closed)
        if app.state.is_stuck:
            logger.error("the process stops although its database does not answer")

    return live


def _make_health_router(context: Context) -> APIRouter:
    router = APIRouter(tags=["Operation"])

    @router.get("/healthz", summary="Show that the process runs", response_model=HealthAnswer)
    async def show_health() -> Response:
        """Use it to restart a process that does not answer."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    @router.get(
        "/readyz",
        summary="Show whether the service can answer",
        response_model=ReadinessAnswer,
        responses={503: PROBLEMS[503]},
    )
    async def show_readiness() -> ReadinessAnswer:
        """Use it to send requests only to processes that can answer."""
        if not await context.checking.run(context.gateway.is_ready):
            raise make_busy_error("The database of the service does not answer.")
        state = context.loader.state
        problems = [problem for problem in (state.problem, state.rules_problem) if problem]
        return ReadinessAnswer(
            bundle_id=context.gateway.bundle_id,
            status="ready",
            problem=" ".join(problems) or None,
        )

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        responses={200: {"content": {"text/plain": {}}}, 401: PROBLEMS[401]},
        response_class=Response,
    )
    async def show_metrics() -> Response:
        """No label names a customer, a product or an address."""
        context.report_bundles()
        content = await asyncio.to_thread(context.metrics.write)
        return Response(content, headers={"content-type": CONTENT_TYPE})

    return router


@asynccontextmanager
async def _watch(context: Context) -> AsyncIterator[None]:
    """Load a new bundle when the folder has one, or the process gets SIGHUP."""
    loader = context.loader
    wakes = asyncio.Event()

    async def reload_again_and_again() -> None:
        has_encoder = False
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(wakes.wait(), context.options.watch_seconds)
            if not has_encoder:
                # Not at once: it would delay the first answers.
                await asyncio.to_thread(loader.load_encoder)
                settle_process()
                has_encoder = True
            wakes.clear()
            await asyncio.to_thread(loader.reload_if_changed)
            context.report_bundles()

    loop = asyncio.get_running_loop()
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        loop.add_signal_handler(signal.SIGHUP, wakes.set)
    task = asyncio.create_task(reload_again_and_again())
    try:
        yield
    finally:
        task.cancel()
        if is_main:
            loop.remove_signal_handler(signal.SIGHUP)
