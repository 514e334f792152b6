"""The routes of the demo shop."""

import time
import uuid
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from bazar.errors import InputError
from bazar.service.gateway import Gateway
from bazar.service.shop.forms import ShopEvent, read_events, read_form
from bazar.service.shop.lists import Question
from bazar.service.shop.pages import N_COMPARED, N_FOR_YOU, Shop, UnknownProductError
from bazar.service.shop.rendering import HEADERS, redirect, render_error, render_page
from bazar.service.shop.sessions import COOKIE, MAX_QUANTITY, ShopSession
from bazar.service.store import StoreError

STATIC = "/shop/static"
"""Where the style sheet and ``bazar.js`` are."""
PATHS = frozenset(
    {"/", "/category", "/search", "/product", "/cart", "/checkout", "/stock", "/visitor"}
)
"""The paths of the pages. Paths below ``/shop/`` belong to the shop, too."""

Form = Annotated[dict[str, str], Depends(read_form)]
Events = Annotated[list[ShopEvent], Depends(read_events)]
Text = Annotated[str, Query(max_length=100_000)]


def add_shop(app: FastAPI, gateway: Gateway) -> None:
    """Add the demo shop to an application: its pages and its static files.

    Args:
        app: the application.
        gateway: the gateway.
    """
    app.mount(STATIC, StaticFiles(packages=[("bazar.service.shop", "static")]))
    app.include_router(make_shop_router(gateway))


def is_shop_path(path: str) -> bool:
    """Return whether a path belongs to the demo shop, which needs no key."""
    return path in PATHS or path.startswith("/shop/")


def make_shop_router(gateway: Gateway) -> APIRouter:
    """Return the routes of the pages. The static files are not among them.

    Args:
        gateway: the gateway.
    """
    pages = _Pages(Shop(gateway))
    router = APIRouter(route_class=_ShopRoute, include_in_schema=False)
    for path in ("/", "/category", "/search", "/product", "/cart", "/checkout", "/stock"):
        name = f"show_{path.strip('/') or 'home'}"
        router.add_api_route(path, getattr(pages, name), response_model=None)
    for path in ("/cart", "/checkout", "/stock", "/visitor", "/shop/events"):
        name = f"post_{path.rpartition('/')[2]}"
        router.add_api_route(path, getattr(pages, name), methods=["POST"], response_model=None)
    return router


class _ShopRoute(APIRoute):
    """A route whose errors are pages instead of problem details."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_pages(request: Request) -> Response:
            try:
                return await handle(request)
            except UnknownProductError as error:
                return render_error(HTTPStatus.NOT_FOUND, str(error))
            except InputError as error:
                return render_error(HTTPStatus.BAD_REQUEST, str(error))
            except RequestValidationError:
                text = "A parameter of the address is missing or invalid."
                return render_error(HTTPStatus.BAD_REQUEST, text)
            except HTTPException as error:
                return render_error(error.status_code, error.detail)
            except StoreError:
                text = "The shop cannot reach its database. Try again in a moment."
                return render_error(HTTPStatus.SERVICE_UNAVAILABLE, text)

        return handle_with_pages


class _Pages:
    """The handlers of the routes."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    # Pages

    def show_home(
        self, request: Request, ordered: int = 0, why: Text = "", item: Text = ""
    ) -> Response:
        session, now = self._open(request)
        for_you, due, viewed = self._shop.list_home(session, now, _read_question(why, item))
        context = {
            "for_you": for_you,
            "buy_again": due,
            "viewed": viewed,
            "n_new": sum(card.is_new for card in for_you.cards),
            "n_ordered": max(0, ordered),
            "is_known": session.user_id is not None,
            "is_popular": for_you.answer.source == "recent_popularity",
        }
        session = session.remember_items(for_you.answer.item_ids[:N_FOR_YOU])
        return self._render(request, "home", session, context)

    def show_category(
        self, request: Request, name: Text, cursor: Text = "", why: Text = "", item: Text = ""
    ) -> Response:
        session, now = self._open(request)
        products = self._shop.list_category(session, now, name, cursor, _read_question(why, item))
        following = products.answer.cursor
        more = f"/category?{urlencode({'name': name, 'cursor': following})}" if following else None
        return self._render(request, "category", session, {"products": products, "more": more})

    def show_search(
        self, request: Request, q: Text = "", why: Text = "", item: Text = ""
    ) -> Response:
        session, now = self._open(request)
        query = q.strip()
        question = _read_question(why, item)
        lists = self._shop.search(session, now, query, question) if query else ()
        context = {"query": query, "lists": lists, "n_compared": N_COMPARED}
        return self._render(request, "search", session, context)

    def show_product(self, request: Request, id: Text, why: Text = "", item: Text = "") -> Response:
        session, now = self._open(request)
        product = self._shop.get_product(id)
        question = _read_question(why, item)
        context = {
            "product": product,
            "place": self._shop.explain_place(session, now, id),
            "variants": self._shop.list_variants(id),
            "lists": self._shop.list_related(session, now, id, question),
            "n_in_cart": session.cart.get(id, 0),
        }
        if question is None:
            self._shop.record(session, now, "view", id)
        return self._render(request, "product", session, context)

    def show_cart(self, request: Request, why: Text = "", item: Text = "") -> Response:
        session, now = self._open(request)
        cart = self._shop.read_cart(session)
        beside = None
        if cart.lines:
            question = _read_question(why, item)
            beside = self._shop.list_beside_cart(session, now, cart, question)
        context = {"cart": cart, "beside": beside}
        return self._render(request, "cart", session, context)

    def show_checkout(self, request: Request) -> Response:
        session, _ = self._open(request)
        cart = self._shop.read_cart(session)
        if not cart.can_be_ordered:
            return redirect("/cart")
        context = {"cart": cart, "order_id": uuid.uuid4().hex}
        return self._render(request, "checkout", session, context)

    def show_stock(self, request: Request, q: Text = "") -> Response:
        session, now = self._open(request)
        query = q.strip()
        unavailable, products = self._shop.list_stock(session, now, query)
        context = {"query": query, "unavailable": unavailable, "products": products}
        return self._render(request, "stock", session, context)

    # Forms

    def post_cart(self, request: Request, form: Form) -> Response:
        session, now = self._open(request)
        product = self._shop.get_product(_read_field(form, "item_id"))
        quantity = _read_quantity(form)
        if form.get("action") == "add":
            if not product.in_stock:
                return redirect(product.url)
            self._shop.record(session, now, "cart", product.item_id)
            quantity += session.cart.get(product.item_id, 0)
        session = session.set_quantity(product.item_id, quantity)
        return self._save(request, redirect("/cart"), session)

    def post_checkout(self, request: Request, form: Form) -> Response:
        session, now = self._open(request)
        cart = self._shop.read_cart(session)
        if not cart.can_be_ordered:
            return redirect("/cart")
        self._shop.order(session, now, cart, _read_field(form, "order_id"))
        session = session.model_copy(update={"cart": {}})
        return self._save(request, redirect(f"/?ordered={len(cart.lines)}"), session)

    def post_stock(self, request: Request, form: Form) -> Response:
        self._shop.set_stock(_read_field(form, "item_id"), form.get("in_stock") == "yes")
        query = form.get("q", "")
        return redirect(f"/stock?{urlencode({'q': query})}" if query else "/stock")

    def post_visitor(self, request: Request, form: Form) -> Response:
        session = self._shop.start_session(form.get("user_id") or None, _read_clock())
        return self._save(request, redirect("/"), session)

    def post_events(self, request: Request, events: Events) -> Response:
        session, now = self._open(request)
        known = self._shop.get_facts().assortment.products.index
        # Events that waited in the browser while the visitor became another customer are old.
        current = [
            (event.event_id, event.event_type, event.item_id)
            for event in events
            if event.session_id == session.session_id and event.item_id in known
        ]
        n_new = self._shop.record_all(session, now, current) if current else 0
        return JSONResponse({"stored": n_new}, HTTPStatus.ACCEPTED, HEADERS)

    # Parts

    def _open(self, request: Request) -> tuple[ShopSession, int]:
        now = _read_clock()
        return self._shop.open_session(request.cookies.get(COOKIE), now), now

    def _render(
        self, request: Request, name: str, session: ShopSession, context: dict[str, Any]
    ) -> Response:
        facts = self._shop.get_facts()
        response = render_page(
            name,
            context
            | {
                "page": name,
                "bundle_id": self._shop.bundle_id,
                "session": session,
                "customers": facts.customers,
                "categories": facts.assortment.categories,
                "n_units": sum(session.cart.values()),
                "max_quantity": MAX_QUANTITY,
                "search_text": context.get("query", "") if name == "search" else "",
            },
        )
        return self._save(request, response, session)

    def _save(self, request: Request, response: Response, session: ShopSession) -> Response:
        """Add the cookie with the session to a response, if the browser does not have it."""
        cookie = session.to_cookie()
        if cookie != request.cookies.get(COOKIE):
            response.set_cookie(
                COOKIE, cookie, httponly=True, samesite="lax", secure=request.url.scheme == "https"
            )
        return response


def _read_question(list_name: str, text: str) -> Question | None:
    return Question(list_name, text) if list_name and text.strip() else None


def _read_field(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise InputError(f"The field {name} of the form is missing.")
    return value


def _read_quantity(form: dict[str, str]) -> int:
    text = form.get("quantity", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(
            f"The quantity must be a number from 0 to {MAX_QUANTITY}, got {text!r:.40}."
        )
    return int(text)


def _read_clock() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000
