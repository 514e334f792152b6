"""The lists of a page: their products, and the panel that explains each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bazar.errors import InputError
from bazar.labels import get_model_label
from bazar.service.engine.answers import Absence, Answer, ListedProduct
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    Filters,
    ListRequest,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from bazar.service.gateway import Gateway
from bazar.service.shop.catalogue import Assortment, Card

_SOURCES = {
    "similar": "similarity of the titles",
    "bought_together": "products of the same orders",
    "buy_again": "repurchase timing",
    "search": "search",
}
_MEANINGS = {
    "recent_popularity": "Nothing is known about this visitor yet, so these are the products that "
    "were bought most often lately.",
    "similar": "Products whose titles are most similar to this one's, by their vectors. The score "
    "is the cosine. Of products that differ in little more than a shade, one is shown.",
    "bought_together": "Products that customers bought in the same order. The score grows with "
    "the share of their orders that contain both. If there are too few pairs, products with "
    "similar titles follow, with their cosine.",
    "buy_again": "Products that this customer bought before and that are due: at least half of the "
    "usual time between two purchases has passed.",
    "search": "Products that match the query. What the visitor bought and looked at moves them by "
    "a few ranks.",
}
_PREDICTION = (
    "The model predicts what this visitor buys next, from the purchases before and from the "
    "products of this visit."
)
# Lists about other products: past purchases of the visitor do not explain them.
_LISTS_ABOUT_PRODUCTS = {"similar", "bought_together"}
# The most similar past purchase is a reason only if it is similar.
_MIN_COSINE = 0.6


@dataclass(frozen=True)
class Question:
    """The question why a product is not in a list.

    Attributes:
        list_name: the list.
        text: the id of the product, or words of its title.
    """

    list_name: str
    text: str


@dataclass(frozen=True)
class Reply:
    """The reply to a question.

    Attributes:
        text: what the visitor asked for.
        card: the product that was found; None if there is none.
        absence: why it is not in the list; None if no product was found.
    """

    text: str
    card: Card | None = None
    absence: Absence | None = None


@dataclass(frozen=True)
class Evidence:
    """What is behind one product of a list.

    Attributes:
        card: the product.
        source: what proposed it, in words.
        score: its score.
        details: the past purchases, their rhythm, or what the product has to do with those that the
            list is about, and the rules, in words.
    """

    card: Card
    source: str
    score: float
    details: tuple[str, ...]


@dataclass(frozen=True)
class ProductList:
    """A list of a page.

    Attributes:
        name: name of the list, unique within the page.
        heading: its heading.
        answer: the answer of the engine.
        cards: its products.
        evidence: what is behind each of them.
        source: what answered, in words.
        meaning: how it answered, in words.
        at: time of the request, in words.
        parameters: the parameters of the page, which the question must keep.
        reply: the reply to a question about this list; None if there was none.
    """

    name: str
    heading: str
    answer: Answer
    cards: tuple[Card, ...]
    evidence: tuple[Evidence, ...]
    source: str
    meaning: str
    at: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reply: Reply | None = None


class ListBuilder:
    """Builds the lists of one page."""

    def __init__(
        self,
        gateway: Gateway,
        assortment: Assortment,
        session_id: str,
        question: Question | None,
        parameters: Mapping[str, str],
    ) -> None:
        """Prepare to ask the gateway.

        Args:
            gateway: the gateway.
            assortment: the catalogue.
            session_id: the visit.
            question: the question that the visitor asked; None if there is none.
            parameters: the parameters of the page.
        """
        self._gateway = gateway
        self._assortment = assortment
        self._session_id = session_id
        self._question = question
        self._parameters = parameters
        self._headings: dict[str, str] = {}

    def build(self, name: str, heading: str, request: ListRequest) -> ProductList:
        """Build a list.

        Args:
            name: name of the list, unique within the page.
            heading: its heading.
            request: what is listed.

        Raises:
            InputError: as the gateway does.
        """
        answer = self._find_method(request)(request, self._session_id)
        subject = self._describe_subject(request)
        cards = tuple(
            replace(
                self._assortment.describe(product),
                reason=_describe_reason(product, answer.source, subject),
            )
            for product in answer.products
        )
        question = self._question
        is_asked = question is not None and question.list_name == name
        reply = self._reply(question.text, request) if is_asked and question else None
        self._headings |= dict.fromkeys(answer.item_ids, heading)
        return ProductList(
            name=name,
            heading=heading,
            answer=answer,
            cards=cards,
            evidence=tuple(
                _describe_evidence(product, card, answer.source)
                for product, card in zip(answer.products, cards, strict=True)
            ),
            source=describe_source(answer.source),
            meaning=_MEANINGS.get(answer.source, _PREDICTION),
            at=format_time(answer.at),
            parameters=self._parameters,
            reply=reply,
        )

    def _find_method(self, request: ListRequest) -> Callable[[Any, str], Answer]:
        methods: dict[type[ListRequest], Callable[[Any, str], Answer]] = {
            RecommendRequest: self._gateway.recommend,
            SimilarRequest: self._gateway.list_similar,
            BoughtTogetherRequest: self._gateway.list_bought_together,
            BuyAgainRequest: self._gateway.list_buy_again,
            SearchRequest: self._gateway.search,
        }
        return methods[type(request)]

    def _describe_subject(self, request: ListRequest) -> str:
        """Return the products that a list is about, in words; empty if it is about none."""
        if not isinstance(request, BoughtTogetherRequest):
            return ""
        if len(request.item_ids) > 1:
            return "products of your cart"
        return self._assortment.make_card(request.item_ids[0], None).title

    def _reply(self, text: str, request: ListRequest) -> Reply:
        """Find the product that is meant, and explain why it is not in the list."""
        item_id = self._find_item(text.strip())
        if item_id is None:
            return Reply(text)
        card = self._assortment.make_card(item_id, None)
        absence = self._gateway.explain_absence(request, item_id, self._session_id)
        if absence.reason == "excluded" and item_id in self._headings:
            shown_above = f"This page lists it under “{self._headings[item_id]}”."
            absence = replace(absence, text=shown_above)
        return Reply(text, card, absence)

    def _find_item(self, text: str) -> str | None:
        known = self._assortment.products.index
        if text in known:
            return text
        request = SearchRequest(query=text, mode="words", k=1, filters=Filters(only_in_stock=False))
        try:
            found = self._gateway.search(request).item_ids
        except InputError:
            # Nobody can search for an empty text, or for one that is too long.
            return None
        # A product may have been added a moment ago.
        return next((item_id for item_id in found if item_id in known), None)


def describe_source(source: str) -> str:
    """Return a model or a method in words."""
    return _SOURCES.get(source) or f"{get_model_label(source)} (model)"


def format_time(time: int) -> str:
    """Return a time in words, such as ``31 December 2023, 19:25 UTC``."""
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _describe_reason(product: ListedProduct, source: str, subject: str) -> str:
    """Return the reason of a card; empty if the heading of the list is reason enough."""
    listed = product.recommendation
    if source == "bought_together":
        if product.source == source:
            return f"Bought together with {subject}"
        # A product that a rule pinned may have neither.
        return "Similar title" if listed.score > 0 else ""
    if source in {"recent_popularity", "similar"}:
        return ""
    is_similar = source not in _SOURCES and (listed.nearest_cosine or 0) >= _MIN_COSINE
    return _start_with_capital(listed.reason) if listed.n_orders or is_similar else ""


def _describe_evidence(product: ListedProduct, card: Card, source: str) -> Evidence:
    listed = product.recommendation
    is_personal = source not in _LISTS_ABOUT_PRODUCTS
    details = []
    if not is_personal and card.reason:
        details.append(f"{card.reason}.")
    if is_personal and listed.n_orders:
        details.append(f"{_start_with_capital(listed.reason)}.")
    is_nearest_another = listed.nearest_item_id != listed.item_id
    if is_personal and listed.nearest_title and is_nearest_another:
        details.append(
            f"Most similar past purchase: {listed.nearest_title} "
            f"(cosine {listed.nearest_cosine:.2f})."
        )
    details += [f"Changed by the rule {name!r}." for name in product.rules]
    return Evidence(card, describe_source(product.source), listed.score, tuple(details))


def _start_with_capital(text: str) -> str:
    return text[:1].upper() + text[1:]
