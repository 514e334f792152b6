"""The routes under ``/v1``."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic_core import to_json
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import Response

from bazar.errors import InputError
from bazar.service.api.answers import (
    BundleInformation,
    EventsAnswer,
    ListAnswer,
    PageAnswer,
    ReceiptAnswer,
    ReceivedAnswer,
    ReloadAnswer,
    RevisionAnswer,
    RulesAnswer,
    describe_absence,
    describe_list,
    format_time,
)
from bazar.service.api.context import Context
from bazar.service.api.middleware import KEY_KIND
from bazar.service.api.problems import Problem, ProblemError
from bazar.service.api.query_route import QueryRoute
from bazar.service.api.schemas import (
    BoughtTogetherQuery,
    Event,
    EventBatch,
    EventsBody,
    ItemChangeBody,
    NewItemBatch,
    NewItemsBody,
    PageBody,
    PagedFields,
    RecommendationBody,
    RecommendationQuery,
    SearchQuery,
)
from bazar.service.api.translation import check_maximum, make_placements, make_request
from bazar.service.engine.requests import (
    ListRequest,
    Placement,
    SearchRequest,
    SimilarRequest,
)
from bazar.service.gateway import UnknownItemError
from bazar.service.live import NewItem
from bazar.service.store import EventRecord, ItemChange, Outcome
from bazar.serving.requests import to_milliseconds

_DESCRIPTIONS = {
    400: "The body is not valid JSON.",
    401: "The request has no valid API key.",
    403: "The API key may not do this.",
    404: "There is no such product or path.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field is invalid.",
    429: "The key sends too many requests. See `Retry-After`.",
    503: "The service is busy, or its database does not answer. See `Retry-After`.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text} for status, text in _DESCRIPTIONS.items()
}
"""Errors that each route can have, for the reference."""

ItemId = Annotated[str, Path(description="The product.", examples=["P-17"], max_length=512)]
UserId = Annotated[str, Path(description="The customer.", examples=["C-1042"], max_length=512)]


class _IdConvertor(PathConvertor):
    """An id in a path, which can contain line breaks.

    The convertor ``path`` of Starlette leaves out a line break at the end. Then a request to delete
    the user ``bob`` with a line break would delete the user ``bob``.
    """

    regex = r"[\s\S]*"


register_url_convertor("id", _IdConvertor())


def make_router(context: Context) -> APIRouter:
    """Return the routes under ``/v1``.

    Args:
        context: what the requests share.
    """
    router = APIRouter(prefix="/v1", responses=PROBLEMS, route_class=QueryRoute)
    _add_recommendations(router, context)
    _add_product_lists(router, context)
    _add_search(router, context)
    _add_page(router, context)
    _add_events(router, context)
    _add_catalogue(router, context)
    _add_deletion(router, context)
    _add_operation(router, context)
    return router


def _add_recommendations(router: APIRouter, context: Context) -> None:
    @router.get(
        "/recommendations",
        tags=["Lists"],
        summary="Recommend what a visitor buys next",
        response_model=ListAnswer,
    )
    async def get_recommendations(fields: Annotated[RecommendationQuery, Query()]) -> Response:
        """Name the visitor by `user_id`, by `session_id`, or by both.

        Without both, the answer contains what is popular now.

        Web servers log the address of a request. Use `POST` to keep ids of customers out of logs.
        """
        return await _answer(context, fields)

    @router.post(
        "/recommendations",
        tags=["Lists"],
        summary="Recommend what a visitor buys next, also after a given history",
        response_model=ListAnswer,
    )
    async def post_recommendations(fields: RecommendationBody) -> Response:
        """The same as `GET`, and in addition for a history that the request contains."""
        return await _answer(context, fields)


def _add_product_lists(router: APIRouter, context: Context) -> None:
    @router.get(
        "/items/{item_id:id}/similar",
        tags=["Lists"],
        summary="List products with similar titles",
        response_model=ListAnswer,
    )
    async def get_similar(item_id: ItemId, fields: Annotated[PagedFields, Query()]) -> Response:
        """The scores are cosine similarities of the titles."""
        return await _answer(context, fields, item_id)

    @router.get(
        "/bought-together",
        tags=["Lists"],
        summary="List products that are bought together with a product or a cart",
        response_model=ListAnswer,
    )
    async def get_bought_together(fields: Annotated[BoughtTogetherQuery, Query()]) -> Response:
        """The products that were bought together most often come first.

        Products that were never bought together with them follow in the order of the similarity of
        their titles. Their source is `similar`.
        """
        return await _answer(context, fields)

    @router.get(
        "/buy-again",
        tags=["Lists"],
        summary="List products that a visitor bought and that are due",
        response_model=ListAnswer,
    )
    async def get_buy_again(fields: Annotated[PagedFields, Query()]) -> Response:
        """A product is due after half of the usual time between two purchases of it."""
        return await _answer(context, fields, is_buy_again=True)


def _add_search(router: APIRouter, context: Context) -> None:
    @router.get(
        "/search",
        tags=["Lists"],
        summary="Search products by words and by meaning",
        response_model=ListAnswer,
    )
    async def search(fields: Annotated[SearchQuery, Query()]) -> Response:
        """The search tolerates typing errors.

        If the visitor is known, products that fit the visitor's taste move up a little.
        """
        return await _answer(context, fields)


def _add_page(router: APIRouter, context: Context) -> None:
    options = context.options

    @router.post(
        "/page",
        tags=["Lists"],
        summary="Answer all lists of a page at once, without repeats across them",
        response_model=PageAnswer,
    )
    async def build_page(body: PageBody) -> Response:
        """The earlier lists get the products first."""
        placements = make_placements(body, options)
        return await context.answering.run(_answer_page, context, placements, body)


def _add_events(router: APIRouter, context: Context) -> None:
    options, gateway = context.options, context.gateway

    @router.post(
        "/events",
        tags=["Live data"],
        summary="Send what visitors do",
        response_model=EventsAnswer | ReceivedAnswer,
    )
    async def record_events(
        request: Request,
        body: Annotated[EventsBody, Body(description="One event, or `events`.")],
    ) -> Response:
        """Events are stored before the answer. The next list takes them into account.

        Send an event again, with the same `event_id`, if there was no answer: it is stored once.
        A publishable key may call this route alone, and does not learn what is stored.
        """
        events = body.events if isinstance(body, EventBatch) else [body]
        check_maximum("the number of events", len(events), options.max_batch, "events")
        records = _make_records(events, options.max_clock_error_seconds)
        outcomes: list[Outcome] = await context.writing.run(gateway.record_events, records)
        for outcome in outcomes:
            context.metrics.count_event(outcome)
        if request.scope.get(KEY_KIND) == "publishable":
            return _respond(context, {"n_received": len(outcomes)})
        return _respond(context, {"n_stored": outcomes.count("new"), "outcomes": outcomes})


def _add_catalogue(router: APIRouter, context: Context) -> None:
    options, gateway = context.options, context.gateway

    @router.patch(
        "/items/{item_id:id}",
        tags=["Live data"],
        summary="Change stock, price or visibility of a product",
        response_model=RevisionAnswer,
    )
    async def change_item(item_id: ItemId, body: ItemChangeBody) -> Response:
        """The next list takes the change into account.

        Lists stay full: unavailable products are removed before the best ones are selected.
        """
        change = ItemChange(item_id, body.in_stock, body.price, body.is_hidden)
        revision = await context.writing.run(gateway.change_items, [change])
        return _respond(context, {"revision": revision})

    @router.post(
        "/items",
        tags=["Live data"],
        summary="Add products, or replace the texts of existing ones",
        response_model=RevisionAnswer,
        status_code=HTTPStatus.CREATED,
    )
    async def add_items(
        body: Annotated[NewItemsBody, Body(description="One product, or `items`.")],
    ) -> Response:
        """The products are recommended as soon as there is an answer."""
        listed = body.items if isinstance(body, NewItemBatch) else [body]
        check_maximum("the number of items", len(listed), options.max_batch, "items")
        items = [
            NewItem(item.item_id, item.title, item.attributes, item.variant_group)
            for item in listed
        ]
        revision = await context.writing.run(gateway.add_items, items)
        return _respond(context, {"revision": revision}, HTTPStatus.CREATED)


def _add_deletion(router: APIRouter, context: Context) -> None:
    gateway = context.gateway

    @router.delete(
        "/users/{user_id:id}",
        tags=["Live data"],
        summary="Delete a customer",
        response_model=ReceiptAnswer,
    )
    async def delete_user(user_id: UserId) -> Response:
        """Delete the events of a customer, and ignore the served history from now on.

        All later trainings leave out the customer's purchases up to now. Keep the receipt as a
        proof.
        """
        receipt = await context.writing.run(gateway.delete_user, user_id)
        content = {
            "receipt_id": receipt.receipt_id,
            "deleted_at": format_time(receipt.deleted_at),
            "n_events": receipt.n_events,
        }
        return _respond(context, content)


def _add_operation(router: APIRouter, context: Context) -> None:
    loader = context.loader

    @router.get(
        "/bundle",
        tags=["Operation"],
        summary="Show what the service serves",
        response_model=BundleInformation,
    )
    async def describe_bundle() -> Response:
        """The models and the size of the catalogue."""
        recommender = context.gateway.engine.recommender
        content = {
            "models": recommender.models,
            "available_models": recommender.available_models,
            "n_products": len(recommender.products),
            "n_customers": len(loader.bundle.customers),
            "loaded_at": format_time(loader.state.loaded_at),
        }
        return _respond(context, content)

    @router.post(
        "/bundle/reload",
        tags=["Operation"],
        summary="Load the latest bundle now",
        response_model=ReloadAnswer,
    )
    async def reload_bundle() -> Response:
        """The service does so by itself within seconds after a run.

        Requests in flight finish with the old bundle. If the new one is damaged or of another shop,
        the old one stays.

        With several workers, the one that gets the request loads the bundle, and the others follow
        within seconds.
        """
        try:
            is_replaced = await asyncio.to_thread(loader.reload)
        finally:
            context.report_bundles()
        return _respond(context, {"is_replaced": is_replaced})

    @router.post(
        "/rules/reload",
        tags=["Operation"],
        summary="Read the file of business rules again",
        response_model=RulesAnswer,
    )
    async def reload_rules() -> Response:
        """If the file has an error, the old rules stay.

        With several workers, the others follow within seconds.
        """
        n_rules = await asyncio.to_thread(loader.reload_rules)
        return _respond(context, {"n_rules": n_rules})


async def _answer(
    context: Context, fields: PagedFields, item_id: str | None = None, is_buy_again: bool = False
) -> Response:
    request = make_request(fields, context.options, fields, item_id, is_buy_again)
    pool = context.searching if isinstance(request, SearchRequest) else context.answering
    return await pool.run(_answer_list, context, request, fields)


def _answer_list(context: Context, request: ListRequest, fields: PagedFields) -> Response:
    """Answer a request for a list, in a thread that computes answers."""
    gateway = context.gateway
    try:
        answer = gateway.answer(request, fields.session_id)
    except InputError as error:
        if isinstance(request, SimilarRequest) and not gateway.has_item(request.item_id):
            raise UnknownItemError(str(error)) from error
        raise
    content = describe_list(answer, fields.explain)
    content["cursor"] = answer.cursor
    content["absences"] = [
        describe_absence(gateway.explain_absence(request, item_id, fields.session_id))
        for item_id in fields.explain_missing
    ]
    context.metrics.count_answer(answer.source)
    return _respond(context, content)


def _answer_page(context: Context, placements: Sequence[Placement], body: PageBody) -> Response:
    """Answer a page, in a thread that computes answers."""
    answers = context.gateway.build_page(placements, body.session_id)
    described = {}
    for fields in body.placements:
        answer = answers[fields.name]
        described[fields.name] = describe_list(answer, fields.explain)
        context.metrics.count_answer(answer.source)
    bundle_id = next(iter(answers.values())).bundle_id
    return _respond(context, {"bundle_id": bundle_id, "placements": described})


def _respond(context: Context, content: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    """Return an answer that names the bundle."""
    bundle_id = content.setdefault("bundle_id", context.gateway.bundle_id)
    return Response(to_json(content), status, {"x-bundle-id": bundle_id}, "application/json")


def _make_records(events: Sequence[Event], max_clock_error_seconds: float) -> list[EventRecord]:
    """Return the events for the store.

    Raises:
        ProblemError: with the status 422 if an event is in the future, or has no visitor.
    """
    received_at = time.time_ns() // 1_000_000
    latest = received_at + round(1000 * max_clock_error_seconds)
    records = []
    for position, event in enumerate(events):
        place = f"events.{position}." if len(events) > 1 else ""
        if event.user_id is None and event.session_id is None:
            raise ProblemError(
                422, f"{place}user_id: is missing. Send user_id, session_id or both.",
                f"{place}user_id",
            )  # fmt: skip
        timestamp = None if event.timestamp is None else to_milliseconds(event.timestamp)
        if timestamp is not None and timestamp > latest:
            raise ProblemError(
                422,
                f"{place}timestamp: must not be in the future, found {event.timestamp}. Leave it "
                "out if the event happened now.",
                f"{place}timestamp",
            )
        values = event.model_dump(exclude={"timestamp"})
        records.append(EventRecord(**values, received_at=received_at, timestamp=timestamp))
    return records
