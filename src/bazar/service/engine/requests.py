"""Requests to the engine, and their checks."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bazar.errors import InputError, suggest_names
from bazar.service.live import EventType, LiveEvent
from bazar.serving.requests import check_k

MAX_LISTED = 1_000
"""Maximum number of products of a list, all pages together."""
MAX_TIME = 253_402_300_800_000
"""The first UTC millisecond that cannot be written as a date: the year 10000."""
MAX_QUERY_LENGTH = 200
"""Maximum number of characters of the words of a search."""

SearchMode = Literal["both", "words", "meaning"]


@dataclass(frozen=True)
class Visitor:
    """Who a list is for: a user, an anonymous session, a given history, or nobody.

    Attributes:
        user_id: a user of the shop. Users that the bundle does not know have only live events.
        events: the live events of the user or of the session, the oldest first. Purchases that the
            bundle contains must not be among them; see ``live_sequence`` in the options of the
            bundle.
        history: ids of earlier purchases, the oldest first, for a visitor without ``user_id``.
        times: time of each purchase of ``history``, ascending, UTC milliseconds. Purchases at the
            same time are one order. None: each purchase is an order of its own.
    """

    user_id: str | None = None
    events: tuple[LiveEvent, ...] = ()
    history: tuple[str, ...] = ()
    times: tuple[int, ...] | None = None

    def check(self) -> None:
        """Raise InputError if a field is invalid."""
        if self.user_id is not None:
            _check_text("user_id", self.user_id)
            if self.history:
                raise InputError(
                    "history must be empty if user_id is given, found "
                    f"{len(self.history)} purchases. The history of the user is known."
                )
        for item_id in self.history:
            _check_text("history", item_id)
        if self.times is not None:
            if len(self.times) != len(self.history):
                raise InputError(
                    "times must contain one time for each item of the history, found "
                    f"{len(self.times)} for {len(self.history)} items."
                )
            for time in self.times:
                check_time("times", time)
            if any(later < time for time, later in zip(self.times, self.times[1:], strict=False)):
                raise InputError("times must be ascending, as the purchases happened.")
        for event in self.events:
            check_event(event)


@dataclass(frozen=True)
class Filters:
    """Conditions that all listed products fulfil.

    Attributes:
        categories: a product has at least one of these attributes; empty for no condition.
        brands: a product has at least one of these attributes, too; empty for no condition.
        min_price: lowest price. Products without a known price are removed.
        max_price: highest price. Products without a known price are removed.
        only_in_stock: whether products that are out of stock are removed.
    """

    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    min_price: float | None = None
    max_price: float | None = None
    only_in_stock: bool = True

    def check(self) -> None:
        """Raise InputError if a field is invalid. The catalogue checks the names."""
        for field_name in ("categories", "brands"):
            for name in _check_tuple(field_name, getattr(self, field_name)):
                _check_text(field_name, name)
        for field_name in ("min_price", "max_price"):
            check_price(field_name, getattr(self, field_name))
        if None not in (self.min_price, self.max_price) and self.min_price > self.max_price:  # type: ignore[operator]
            raise InputError(
                f"min_price must not be above max_price, got {self.min_price} and {self.max_price}."
            )


@dataclass(frozen=True)
class Diversity:
    """Limits of how similar the products of one list may be.

    Attributes:
        max_per_variant_group: maximum number of products that differ only in a variant, such as a
            size; None for no limit.
        max_title_cosine: highest cosine similarity of the titles of two products; None for no
            limit.
    """

    max_per_variant_group: int | None = None
    max_title_cosine: float | None = None

    def check(self) -> None:
        """Raise InputError if a field is invalid."""
        limit = self.max_per_variant_group
        if limit is not None and (not _is_integer(limit) or limit < 1):
            raise InputError(
                f"max_per_variant_group must be an integer of at least 1, got {limit!r}."
            )
        cosine = self.max_title_cosine
        if cosine is not None and not (_is_number(cosine) and -1 <= cosine <= 1):
            raise InputError(f"max_title_cosine must be a number from -1 to 1, got {cosine!r}.")


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """What all lists have in common.

    Attributes:
        visitor: who the list is for.
        k: number of products of a page, at most :data:`MAX_LISTED`.
        filters: conditions that all products fulfil.
        exclude: ids of products that are not listed.
        diversity: limits of how similar the products may be.
        at: time of the request, UTC milliseconds; None for now. A time before the visitor's last
            event is replaced by the time of that event.
        cursor: the cursor of the page before this one; None for the first page.
        placement: name that business rules select.
        is_explained: whether the answer has the past purchases that explain each product.
    """

    visitor: Visitor = Visitor()
    k: int = 10
    filters: Filters = Filters()
    exclude: tuple[str, ...] = ()
    diversity: Diversity = Diversity()
    at: int | None = None
    cursor: str | None = None
    placement: str = "recommend"
    is_explained: bool = True

    def check(self) -> None:
        """Raise InputError if a field is invalid, with its name, the value and what is expected."""
        check_k(self.k)
        if self.k > MAX_LISTED:
            raise InputError(f"k must be at most {MAX_LISTED}, got {self.k}.")
        self.visitor.check()
        self.filters.check()
        self.diversity.check()
        for item_id in _check_tuple("exclude", self.exclude):
            _check_text("exclude", item_id)
        if self.at is not None:
            check_time("at", self.at)
        if self.cursor is not None:
            _check_text("cursor", self.cursor)
        _check_text("placement", self.placement)


@dataclass(frozen=True, kw_only=True)
class RecommendRequest(ListRequest):
    """Recommend what the visitor buys next.

    Attributes:
        model: a model of the bundle; None for the default.
        filter_seen: whether products that the visitor bought are removed; None for the setting of
            the bundle.
    """

    model: str | None = None
    filter_seen: bool | None = None


@dataclass(frozen=True, kw_only=True)
class SimilarRequest(ListRequest):
    """List products with similar titles.

    Attributes:
        item_id: the product that the others are compared with.
    """

    item_id: str
    placement: str = "similar"

    def check(self) -> None:
        """Raise InputError if a field is invalid."""
        super().check()
        _check_text("item_id", self.item_id)


@dataclass(frozen=True, kw_only=True)
class BoughtTogetherRequest(ListRequest):
    """List products that are bought together with a product, or with those of a cart.

    Attributes:
        item_ids: the product, or the products of the cart.
    """

    item_ids: tuple[str, ...]
    placement: str = "bought_together"

    def check(self) -> None:
        """Raise InputError if a field is invalid."""
        super().check()
        if not _check_tuple("item_ids", self.item_ids):
            raise InputError("item_ids must contain at least one product, found none.")
        for item_id in self.item_ids:
            _check_text("item_ids", item_id)


@dataclass(frozen=True, kw_only=True)
class BuyAgainRequest(ListRequest):
    """List products that the visitor bought and that are due."""

    placement: str = "buy_again"


@dataclass(frozen=True, kw_only=True)
class SearchRequest(ListRequest):
    """Search products.

    Attributes:
        query: what the visitor typed.
        mode: whether words, the meaning, or both are compared. Without an encoder, words alone are.
    """

    query: str
    mode: SearchMode = "both"
    placement: str = "search"

    def check(self) -> None:
        """Raise InputError if a field is invalid."""
        super().check()
        _check_text("query", self.query)
        if len(self.query) > MAX_QUERY_LENGTH:
            raise InputError(
                f"query must have at most {MAX_QUERY_LENGTH} characters, got {len(self.query)}."
            )
        if self.mode not in get_args(SearchMode):
            raise InputError(
                f"There is no mode {self.mode!r}.{suggest_names(self.mode, get_args(SearchMode))}"
            )


@dataclass(frozen=True)
class Placement:
    """One list of a page.

    Attributes:
        name: unique name of the list within the page.
        request: what is listed, without a cursor.
    """

    name: str
    request: ListRequest = field(default_factory=RecommendRequest)


def check_event(event: LiveEvent) -> None:
    """Raise InputError if an event is invalid."""
    if event.event_type not in get_args(EventType):
        raise InputError(
            f"There is no event_type {event.event_type!r}."
            f"{suggest_names(str(event.event_type), get_args(EventType))}"
        )
    _check_text("item_id", event.item_id)
    check_time("timestamp", event.timestamp)


def check_time(name: str, time: Any) -> None:
    """Raise InputError if a time is not an integer of UTC milliseconds between 1970 and 9999."""
    if not _is_integer(time) or not 0 <= time < MAX_TIME:
        raise InputError(f"{name} must be UTC milliseconds from 1970 to 9999, got {time!r}.")


def check_price(name: str, price: Any) -> None:
    """Raise InputError if a price is neither None nor a number of at least 0."""
    if price is not None and not (_is_number(price) and price >= 0):
        raise InputError(f"{name} must be a number of at least 0, got {price!r}.")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} must be a text that is not empty, got {value!r}.")


def _check_tuple(name: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, tuple):
        raise InputError(f"{name} must be a tuple of texts, got {values!r}.")
    return values


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
