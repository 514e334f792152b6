"""Answers of the API: their schemas, and their JSON."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from bazar.service.engine.answers import Absence, Answer, ListedProduct


class BundleAnswer(BaseModel):
    """What all answers have in common."""

    bundle_id: str = Field(description="The bundle that answered.", examples=["1f0c9a4be2d35a77"])


class Explanation(BaseModel):
    """Why a product is recommended."""

    reason: str = Field(
        description="The past purchases behind it, in words.",
        examples=["bought 3 times, about every 40 days, last 38 days ago"],
    )
    nearest_item_id: str | None = Field(
        description="The past purchase with the most similar title."
    )
    nearest_title: str | None
    nearest_cosine: float | None
    n_orders: int = Field(description="Number of past orders with the product.")
    days_between_orders: float | None
    days_since_last_order: float | None
    orders_since: int | None = Field(
        description="Number of orders after the last one with the product."
    )


class ListedProductAnswer(BaseModel):
    """A product of a list."""

    rank: int = Field(description="From 1, over all pages.")
    item_id: str
    title: str | None
    score: float = Field(
        description="Higher is better within one answer. Scores of different answers cannot be "
        "compared."
    )
    source: str = Field(description="The model or the method that proposed it.")
    attributes: str | None
    price: float | None
    in_stock: bool
    rules: list[str] = Field(description="The business rules that pinned or boosted it.")
    explanation: Explanation | None = Field(
        default=None, description="Only if the request says `explain`."
    )


class AbsenceAnswer(BaseModel):
    """Why a product is not in a list."""

    item_id: str
    reason: str = Field(examples=["out_of_stock"])
    text: str = Field(description="The reason in words.")
    rank: int | None
    score: float | None


class ListContent(BundleAnswer):
    """A list without its next page."""

    source: str = Field(
        description="The model or the method that answered. `recent_popularity` answers for "
        "visitors without a known history."
    )
    at: datetime = Field(description="The time that the answer is for.")
    products: list[ListedProductAnswer] = Field(description="The products, the best first.")
    rules: list[str] = Field(description="The business rules that changed the list.")
    unknown_items: list[str] = Field(
        description="Products of the history that are not in the catalogue."
    )
    notes: list[str] = Field(description="What else there is to know about the list.")


class ListAnswer(ListContent):
    """A page of a list."""

    cursor: str | None = Field(description="Send it to get the next page; null if there is none.")
    absences: list[AbsenceAnswer] = Field(description="One for each product of `explain_missing`.")


class PageAnswer(BundleAnswer):
    """The lists of a page."""

    placements: dict[str, ListContent] = Field(description="The lists by name.")


class EventsAnswer(BundleAnswer):
    """What became of events that were sent with a server key."""

    n_stored: int = Field(description="Number of events that are stored now for the first time.")
    outcomes: list[Literal["new", "duplicate", "conflict"]] = Field(
        description="For each event: `new`, `duplicate` (stored before), or `conflict` (not "
        "stored, because another event has its id)."
    )


class ReceivedAnswer(BundleAnswer):
    """The answer to a publishable key, which may not learn what is stored."""

    n_received: int = Field(description="Number of events that were sent.")


class RevisionAnswer(BundleAnswer):
    """The answer to a change of the catalogue."""

    revision: int = Field(description="Number of the change. Later changes have higher numbers.")


class ReceiptAnswer(BundleAnswer):
    """The proof that a customer was deleted."""

    receipt_id: str
    deleted_at: datetime
    n_events: int = Field(description="Number of deleted events.")


class ReloadAnswer(BundleAnswer):
    """The answer to a request to load the bundle again."""

    is_replaced: bool = Field(description="Whether another bundle answers now.")


class RulesAnswer(BundleAnswer):
    """The answer to a request to read the rules again."""

    n_rules: int


class BundleInformation(BundleAnswer):
    """What the service serves."""

    models: list[str] = Field(description="The models, the default first.")
    available_models: list[str] = Field(description="All models that a request may name.")
    n_products: int
    n_customers: int
    loaded_at: datetime


class ReadinessAnswer(BundleAnswer):
    """Whether the service can answer."""

    status: Literal["ready"]
    problem: str | None = Field(
        description="Why the latest bundle could not be loaded; null if there is no problem. An "
        "earlier bundle answers then."
    )


class HealthAnswer(BaseModel):
    """The process runs."""

    status: Literal["ok"]


def describe_list(answer: Answer, is_explained: bool) -> dict[str, Any]:
    """Return the content of a list, without its next page."""
    return {
        "bundle_id": answer.bundle_id,
        "source": answer.source,
        "at": format_time(answer.at),
        "products": [_describe_product(product, is_explained) for product in answer.products],
        "rules": answer.rules,
        "unknown_items": answer.unknown_items,
        "notes": answer.notes,
    }


def describe_absence(absence: Absence) -> dict[str, Any]:
    """Return why a product is not in a list."""
    return {
        "item_id": absence.item_id,
        "reason": absence.reason,
        "text": absence.text,
        "rank": absence.rank,
        "score": absence.score,
    }


def format_time(milliseconds: int) -> str:
    """Return a time as ISO 8601, in UTC."""
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _describe_product(product: ListedProduct, is_explained: bool) -> dict[str, Any]:
    recommended = product.recommendation
    described = {
        "rank": recommended.rank,
        "item_id": recommended.item_id,
        "title": recommended.title,
        "score": recommended.score,
        "source": product.source,
        "attributes": product.attributes,
        "price": product.price,
        "in_stock": product.in_stock,
        "rules": product.rules,
    }
    if is_explained:
        described["explanation"] = {
            name: getattr(recommended, name) for name in Explanation.model_fields
        }
    return described
