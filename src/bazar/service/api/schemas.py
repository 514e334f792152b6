"""Requests of the API: their fields, descriptions and examples."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from bazar.config.times import EARLIEST_MS
from bazar.service.engine.requests import SearchMode
from bazar.service.live import EventType
from bazar.serving.requests import to_milliseconds

_MAX_MISSING = 10


def _check_no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain a NUL character")
    return text


def _check_earliest(time: datetime) -> datetime:
    if to_milliseconds(time) < EARLIEST_MS:
        raise ValueError("must not be before 1995-01-01")
    return time


Text = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_check_no_nul)]
Id = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_check_no_nul)]
Price = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class Fields(BaseModel):
    """A part of a request. Unknown fields are errors, so that no misspelt one is ignored."""

    model_config = ConfigDict(extra="forbid")


class VisitorFields(Fields):
    """Who a list is for."""

    user_id: Id | None = Field(
        default=None, description="A customer of the shop.", examples=["C-1042"]
    )
    session_id: Id | None = Field(
        default=None,
        description="An anonymous visit, or the visit of the customer. Its events count from the "
        "next answer on.",
        examples=["visit-7f3a"],
    )
    at: datetime | None = Field(
        default=None,
        description="The time of the request, ISO 8601, in UTC unless it has an offset. Without "
        "it, now.",
        examples=["2026-06-30T12:00:00Z"],
    )


class HistoryFields(VisitorFields):
    """Who a list is for, with a history that the request gives."""

    history: list[Id] = Field(
        default=[],
        description="Products that the visitor bought, the oldest first, for a visitor without "
        "`user_id`.",
        examples=[["P-17", "P-4"]],
    )
    times: list[datetime] | None = Field(
        default=None,
        description="The time of each purchase of `history`, ascending. Purchases at the same "
        "time are one order. Without it, each purchase is an order of its own.",
    )


class ListFields(Fields):
    """What all lists have in common."""

    k: int | None = Field(
        default=None, ge=1, description="Number of products of a page.", examples=[10]
    )
    categories: list[Text] = Field(
        default=[], description="Only products with at least one of these categories."
    )
    brands: list[Text] = Field(
        default=[], description="Only products with at least one of these brands."
    )
    min_price: Price | None = Field(
        default=None,
        description="Lowest price. Products whose price is not known are left out.",
    )
    max_price: Price | None = Field(
        default=None,
        description="Highest price. Products whose price is not known are left out.",
    )
    only_in_stock: bool = Field(
        default=True, description="Whether products that are out of stock are left out."
    )
    exclude: list[Id] = Field(default=[], description="Products that are not listed.")
    max_per_variant_group: int | None = Field(
        default=None,
        ge=1,
        description="How many variants of one product, such as sizes, the list contains. Without "
        "it, the setting of the service.",
    )
    max_title_cosine: float | None = Field(
        default=None,
        ge=-1,
        le=1,
        allow_inf_nan=False,
        description="Highest cosine similarity of the titles of two products of the list. Without "
        "it, the setting of the service.",
    )
    placement: Id | None = Field(
        default=None,
        description="Name of the place in the shop, which business rules select.",
        examples=["home"],
    )
    explain: bool = Field(
        default=False,
        description="Whether each product has an explanation: the past purchase, its rhythm, and "
        "the business rules.",
    )


class PagedFields(ListFields, VisitorFields):
    """A list that has pages."""

    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=100_000,
        description="The `cursor` of the page before this one. Send it with the same fields.",
    )
    explain_missing: list[Id] = Field(
        default=[],
        max_length=_MAX_MISSING,
        description=f"At most {_MAX_MISSING} products. The answer explains why each is not in the "
        "list.",
    )


class RecommendFields(Fields):
    """What only recommendations have."""

    model: Id | None = Field(
        default=None,
        description="The model that answers. Without it, the default of the bundle.",
        examples=["classifier"],
    )
    filter_seen: bool | None = Field(
        default=None,
        description="Whether products that the visitor bought are left out. Without it, the "
        "setting of the bundle.",
    )


class RecommendationQuery(PagedFields, RecommendFields):
    """Fields of `GET /v1/recommendations`."""


class RecommendationBody(PagedFields, RecommendFields, HistoryFields):
    """Fields of `POST /v1/recommendations`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "C-1042", "k": 5, "explain": True},
                {"history": ["P-17", "P-4"], "k": 5, "max_price": 20},
            ]
        }
    )


class SearchFields(Fields):
    """What only a search has."""

    query: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What the visitor typed.", examples=["rosemary shampoo"]
    )
    mode: SearchMode = Field(
        default="both", description="Whether words, the meaning, or both are compared."
    )


class SearchQuery(PagedFields, SearchFields):
    """Fields of `GET /v1/search`."""


class BoughtTogetherFields(Fields):
    """What only products that are bought together have."""

    item_ids: list[Id] = Field(
        min_length=1, description="A product, or the products of a cart.", examples=[["P-17"]]
    )


class BoughtTogetherQuery(PagedFields, BoughtTogetherFields):
    """Fields of `GET /v1/bought-together`."""


PlacementType = Literal["recommendations", "similar", "bought_together", "buy_again", "search"]
"""The kinds of lists of a page."""


class NamedPlacement(ListFields):
    """A list of a page."""

    name: Id = Field(description="A unique name within the page.", examples=["for you"])


class RecommendationsPlacement(NamedPlacement, RecommendFields):
    """Recommendations."""

    type: Literal["recommendations"]


class SimilarPlacement(NamedPlacement):
    """Products with similar titles."""

    type: Literal["similar"]
    item_id: Id = Field(description="The product that the others are compared with.")


class BoughtTogetherPlacement(NamedPlacement, BoughtTogetherFields):
    """Products that are bought together."""

    type: Literal["bought_together"]


class BuyAgainPlacement(NamedPlacement):
    """Products that are due."""

    type: Literal["buy_again"]


class SearchPlacement(NamedPlacement, SearchFields):
    """Products that match a search."""

    type: Literal["search"]


AnyPlacement = Annotated[
    RecommendationsPlacement
    | SimilarPlacement
    | BoughtTogetherPlacement
    | BuyAgainPlacement
    | SearchPlacement,
    Field(discriminator="type"),
]


class PageBody(HistoryFields):
    """Fields of `POST /v1/page`."""

    placements: list[AnyPlacement] = Field(
        min_length=1,
        description="The lists. A product is listed once: in the first list that proposes it.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "C-1042",
                    "placements": [
                        {"name": "buy again", "type": "buy_again", "k": 4},
                        {"name": "for you", "type": "recommendations", "k": 8},
                    ],
                }
            ]
        }
    )


class Event(Fields):
    """Something that a visitor did with a product."""

    event_id: Id = Field(
        description="Your id of the event. An event that is sent twice is stored once.",
        examples=["order-9001-line-1"],
    )
    event_type: EventType = Field(description="What happened.")
    item_id: Id = Field(description="The product.", examples=["P-17"])
    user_id: Id | None = Field(
        default=None, description="The customer. An event has a `user_id`, a `session_id` or both."
    )
    session_id: Id | None = Field(default=None, description="The visit.")
    timestamp: Annotated[datetime, AfterValidator(_check_earliest)] | None = Field(
        default=None,
        description="When it happened, ISO 8601, in UTC unless it has an offset, not before "
        "1995-01-01. Leave it out for now, above all in browsers, whose clocks are often wrong.",
    )
    order_id: Id | None = Field(default=None, description="The order of a purchase.")
    quantity: float | None = Field(
        default=None, ge=0, le=1e9, allow_inf_nan=False, description="Number of units."
    )
    price: Price | None = Field(default=None, description="Price of one unit.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event_id": "order-9001-line-1",
                    "event_type": "purchase",
                    "item_id": "P-17",
                    "user_id": "C-1042",
                    "order_id": "9001",
                    "quantity": 2,
                    "price": 3.5,
                }
            ]
        }
    )


class EventBatch(Fields):
    """Several events."""

    events: list[Event] = Field(min_length=1, description="The events. All are stored, or none.")


def _select_one_or_batch(key: str) -> Any:
    def select(value: Any) -> str:
        return "batch" if isinstance(value, dict) and key in value else "one"

    return Discriminator(select)


EventsBody = Annotated[
    Annotated[Event, Tag("one")] | Annotated[EventBatch, Tag("batch")],
    _select_one_or_batch("events"),
]


class ItemChangeBody(Fields):
    """A change of a product. Fields that are left out stay as they are."""

    in_stock: bool | None = Field(default=None, description="Whether it can be bought.")
    price: Price | None = Field(default=None, description="Price of one unit.")
    is_hidden: bool | None = Field(default=None, description="Whether it is never shown.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"in_stock": False}]})


class NewItemFields(Fields):
    """A product."""

    item_id: Id = Field(description="Its id.", examples=["P-2044"])
    title: Text | None = Field(
        default=None, description="Its title.", examples=["Rosemary shampoo 250 ml"]
    )
    attributes: Text | None = Field(
        default=None,
        description="Brand, categories and similar attributes, separated by a comma and a space.",
        examples=["Care, Flora"],
    )
    variant_group: Id | None = Field(
        default=None,
        description="Name of the group of products that differ only in a variant, such as a size.",
    )


class NewItemBatch(Fields):
    """Several products."""

    items: list[NewItemFields] = Field(min_length=1, description="The products, each once.")


NewItemsBody = Annotated[
    Annotated[NewItemFields, Tag("one")] | Annotated[NewItemBatch, Tag("batch")],
    _select_one_or_batch("items"),
]
