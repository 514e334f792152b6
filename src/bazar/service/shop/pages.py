"""What the pages of the demo shop show."""

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bazar.errors import InputError
from bazar.service.engine.requests import (
    MAX_QUERY_LENGTH,
    BoughtTogetherRequest,
    BuyAgainRequest,
    Diversity,
    Filters,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.gateway import Gateway
from bazar.service.live import EventType, LiveEvent
from bazar.service.shop.catalogue import Assortment, Card, LiveStates
from bazar.service.shop.customers import DemoCustomer, choose_customers, find_end_of_data
from bazar.service.shop.lists import ListBuilder, ProductList, Question
from bazar.service.shop.sessions import ShopSession, read_session
from bazar.service.store import EventRecord, ItemChange

FOR_YOU = "for_you"
"""Name of the list of the home page that changes with every purchase."""
N_FOR_YOU = 12
"""Number of products of "For you"."""
N_COMPARED = 50
"""Number of products of a search in which those of the list beside it are looked up."""
_N_BUY_AGAIN, _N_VIEWED, _N_SEARCH, _N_CATEGORY, _N_STOCK = 4, 6, 8, 24, 12
_N_TOGETHER, _N_SIMILAR, _N_VARIANTS = 4, 8, 12
_N_EVENTS = 200
_ONE_VARIANT = Diversity(max_per_variant_group=1)
# Titles of the sample that differ only in a shade have cosines from 0.84, most of them above 0.87.
_ONE_SHADE = Diversity(max_per_variant_group=1, max_title_cosine=0.87)


class UnknownProductError(InputError):
    """A product is not in the catalogue, or is hidden."""


@dataclass(frozen=True)
class Line:
    """A line of the cart.

    Attributes:
        card: the product.
        quantity: number of units.
    """

    card: Card
    quantity: int

    @property
    def total(self) -> float | None:
        """The price of all units; None if the price is not known."""
        return None if self.card.price is None else self.card.price * self.quantity


@dataclass(frozen=True)
class Cart:
    """The cart of a visitor.

    Attributes:
        lines: its products.
    """

    lines: tuple[Line, ...]

    @property
    def total(self) -> float | None:
        """The price of everything; None if a price is not known."""
        totals = [line.total for line in self.lines]
        known = [total for total in totals if total is not None]
        return sum(known) if known and len(known) == len(totals) else None

    @property
    def can_be_ordered(self) -> bool:
        """Whether there are products, and all are in stock."""
        return bool(self.lines) and all(line.card.in_stock for line in self.lines)


@dataclass(frozen=True)
class BundleFacts:
    """What the shop derives from one version of the catalogue.

    Attributes:
        assortment: the catalogue.
        customers: the demo customers.
        end_of_data: time of the last purchase, UTC milliseconds; None if times are not known.
    """

    assortment: Assortment
    customers: tuple[DemoCustomer, ...]
    end_of_data: int | None


class Shop:
    """Answers the pages from a gateway. Threads share one object."""

    def __init__(self, gateway: Gateway) -> None:
        """Prepare to answer. The first page examines the catalogue.

        Args:
            gateway: the gateway.
        """
        self._gateway = gateway
        self._states = LiveStates(gateway.store)
        self._lock = threading.Lock()
        self._facts: BundleFacts | None = None

    @property
    def bundle_id(self) -> str:
        """The id of the current bundle."""
        return self._gateway.bundle_id

    def get_facts(self) -> BundleFacts:
        """Return what is derived from the current catalogue. Another catalogue is examined once."""
        engine = self._gateway.engine
        with self._lock:
            products = engine.products
            if self._facts is None or self._facts.assortment.products is not products:
                assortment = Assortment(products)
                customers = engine.recommender.customers
                self._facts = BundleFacts(
                    assortment,
                    choose_customers(customers, products, assortment),
                    find_end_of_data(customers),
                )
            return self._facts

    # Sessions

    def open_session(self, cookie: str | None, now: int) -> ShopSession:
        """Return the session of a cookie, or a new one if there is none that is valid."""
        session = read_session(cookie)
        if session is None or session.began_at > now:
            return self.start_session(None, now)
        user_ids = {customer.user_id for customer in self.get_facts().customers}
        if session.user_id is not None and session.user_id not in user_ids:
            return self.start_session(None, now)
        return session

    def start_session(self, user_id: str | None, now: int) -> ShopSession:
        """Return a new session, after all earlier events of the customer.

        Args:
            user_id: a demo customer; None, or any other text, for a new visitor.
            now: UTC milliseconds.
        """
        facts = self.get_facts()
        shop_time = now if facts.end_of_data is None else facts.end_of_data
        if user_id not in {customer.user_id for customer in facts.customers}:
            return ShopSession.start(now, shop_time)
        if events := self._gateway.store.read_events(user_id, limit=1):
            shop_time = max(shop_time, events[-1].timestamp + 1_000)
        return ShopSession.start(now, shop_time, user_id)

    # Pages

    def list_home(
        self, session: ShopSession, now: int, question: Question | None
    ) -> tuple[ProductList, ProductList, tuple[Card, ...]]:
        """Return the lists of the home page: "For you", "Buy again", and what was viewed lately."""
        builder = self._make_builder(session, question, {})
        due = builder.build("buy_again", "Buy again", _request_buy_again(session, now))
        for_you = builder.build(
            FOR_YOU, "For you", _request_for_you(session, now, due.answer.item_ids)
        )
        new = session.find_new_items(for_you.answer.item_ids)
        cards = tuple(replace(card, is_new=card.item_id in new) for card in for_you.cards)
        return replace(for_you, cards=cards), due, self._list_viewed(session)

    def list_category(
        self,
        session: ShopSession,
        now: int,
        name: str,
        cursor: str | None,
        question: Question | None,
    ) -> ProductList:
        """Return a page of the products of a category, in the order of the visitor's taste.

        Raises:
            InputError: if there is no such category, or the cursor is invalid.
        """
        parameters = {"name": name} | ({"cursor": cursor} if cursor else {})
        request = RecommendRequest(
            visitor=Visitor(user_id=session.user_id),
            at=session.get_shop_time(now),
            k=_N_CATEGORY,
            filters=Filters(categories=(name,)),
            diversity=_ONE_VARIANT,
            cursor=cursor or None,
            placement="category",
        )
        return self._make_builder(session, question, parameters).build("category", name, request)

    def search(
        self, session: ShopSession, now: int, query: str, question: Question | None
    ) -> tuple[ProductList, ProductList]:
        """Return the products that match the words of a query, and those that match its meaning.

        Raises:
            InputError: if the query is empty or too long.
        """
        builder = self._make_builder(session, question, {"q": query})
        request = SearchRequest(
            query=query,
            visitor=Visitor(user_id=session.user_id),
            at=session.get_shop_time(now),
            k=_N_SEARCH,
        )
        by_words, by_meaning = replace(request, mode="words"), replace(request, mode="meaning")
        words = builder.build("words", "Matching words", by_words)
        meaning = builder.build("meaning", "Matching meaning", by_meaning)
        return (
            self._mark_shared(words, by_meaning, session),
            self._mark_shared(meaning, by_words, session),
        )

    def get_product(self, item_id: str) -> Card:
        """Return a product.

        Raises:
            UnknownProductError: if it is not in the catalogue, or is hidden.
        """
        assortment, states = self.get_facts().assortment, self._states.read()
        state = states.get(item_id)
        if item_id not in assortment.products.index or (state is not None and state.is_hidden):
            raise UnknownProductError(f"There is no product {item_id!r:.100}.")
        return assortment.make_card(item_id, state)

    def explain_place(self, session: ShopSession, now: int, item_id: str) -> str:
        """Return the place of a product among those for the visitor, in words."""
        gateway, session_id = self._gateway, session.session_id
        buy_again = replace(_request_buy_again(session, now), is_explained=False)
        due = gateway.list_buy_again(buy_again, session_id).item_ids
        if item_id in due:
            return "Listed under “Buy again”"
        for_you = _request_for_you(session, now, due)
        absence = gateway.explain_absence(for_you, item_id, session_id)
        return absence.text if absence.rank is None else f"Rank {absence.rank:,} of all products"

    def list_variants(self, item_id: str) -> tuple[Card, ...]:
        """Return the other variants of a product, such as sizes."""
        variants = self.get_facts().assortment.list_variants(item_id)
        return self._make_cards(variants)[:_N_VARIANTS]

    def list_related(
        self, session: ShopSession, now: int, item_id: str, question: Question | None
    ) -> list[ProductList]:
        """Return the lists of a product page: bought together, and similar."""
        builder = self._make_builder(session, question, {"id": item_id})
        visitor, at = Visitor(user_id=session.user_id), session.get_shop_time(now)
        together = builder.build(
            "bought_together",
            "Often bought together",
            BoughtTogetherRequest(
                item_ids=(item_id,), visitor=visitor, at=at, k=_N_TOGETHER, diversity=_ONE_VARIANT
            ),
        )
        # If nothing was bought together, the products would be the similar ones.
        pairs = [one for one in together.answer.products if one.source == "bought_together"]
        lists = [together] if pairs else []
        products = self.get_facts().assortment.products
        if products.titles[products.index[item_id]]:
            request = SimilarRequest(
                item_id=item_id,
                visitor=visitor,
                at=at,
                k=_N_SIMILAR,
                exclude=tuple(item for shown in lists for item in shown.answer.item_ids),
                diversity=_ONE_SHADE,
            )
            lists.append(builder.build("similar", "Similar products", request))
        return [shown for shown in lists if shown.cards]

    def read_cart(self, session: ShopSession) -> Cart:
        """Return the cart. Products that are no longer in the catalogue are left out."""
        cards = self._make_cards(session.cart)
        return Cart(tuple(Line(card, session.cart[card.item_id]) for card in cards))

    def list_beside_cart(
        self, session: ShopSession, now: int, cart: Cart, question: Question | None
    ) -> ProductList:
        """Return the products that are bought together with those of a cart, which is not empty."""
        request = BoughtTogetherRequest(
            item_ids=tuple(line.card.item_id for line in cart.lines),
            visitor=Visitor(user_id=session.user_id),
            at=session.get_shop_time(now),
            k=_N_TOGETHER,
            diversity=_ONE_VARIANT,
            placement="cart",
        )
        builder = self._make_builder(session, question, {})
        return builder.build("cart", "Goes with your cart", request)

    def list_stock(
        self, session: ShopSession, now: int, query: str
    ) -> tuple[tuple[Card, ...], tuple[Card, ...]]:
        """Return the products of the page "Stock".

        Args:
            session: the session.
            now: UTC milliseconds.
            query: words of titles, or an id; empty for the products of "For you".

        Returns:
            The products that are out of stock, and products that can be changed.
        """
        states = self._states.read()
        unavailable = self._make_cards(
            item_id for item_id, state in states.items() if state.in_stock is False
        )
        if not query:
            found = [card.item_id for card in self.list_home(session, now, None)[0].cards]
        elif query in self.get_facts().assortment.products.index:
            found = [query]
        else:
            request = SearchRequest(
                query=query[:MAX_QUERY_LENGTH], mode="words", k=_N_STOCK,
                filters=Filters(only_in_stock=False),
            )  # fmt: skip
            found = self._gateway.search(request).item_ids
        return unavailable, self._make_cards(found)

    # Events and changes

    def record(self, session: ShopSession, now: int, event_type: EventType, item_id: str) -> None:
        """Store that the visitor viewed a product, or put it into the cart."""
        self.record_all(session, now, [(uuid.uuid4().hex, event_type, item_id)])

    def record_all(
        self, session: ShopSession, now: int, events: Sequence[tuple[str, EventType, str]]
    ) -> int:
        """Store events of the visitor, each an id, a type and a product.

        Returns:
            The number of events that were not stored before.
        """
        records = [
            EventRecord(
                event_id,
                event_type,
                item_id,
                received_at=now,
                timestamp=session.get_shop_time(now),
                user_id=session.user_id,
                session_id=session.session_id,
            )
            for event_id, event_type, item_id in events
        ]
        return self._gateway.record_events(records).count("new")

    def order(self, session: ShopSession, now: int, cart: Cart, order_id: str) -> None:
        """Store the purchase of a cart. An order that is sent twice is stored once."""
        namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"{session.session_id} {order_id}")
        self._gateway.record_events(
            [
                EventRecord(
                    uuid.uuid5(namespace, line.card.item_id).hex,
                    "purchase",
                    line.card.item_id,
                    received_at=now,
                    timestamp=session.get_shop_time(now),
                    user_id=session.user_id,
                    session_id=session.session_id,
                    order_id=namespace.hex,
                    quantity=line.quantity,
                    price=line.card.price,
                )
                for line in cart.lines
            ]
        )

    def set_stock(self, item_id: str, in_stock: bool) -> None:
        """Set whether a product can be bought.

        Raises:
            UnknownProductError: if there is no such product.
        """
        self.get_product(item_id)
        self._gateway.change_items([ItemChange(item_id, in_stock=in_stock)])

    # Parts

    def _make_builder(
        self, session: ShopSession, question: Question | None, parameters: Mapping[str, str]
    ) -> ListBuilder:
        return ListBuilder(
            self._gateway, self.get_facts().assortment, session.session_id, question, parameters
        )

    def _mark_shared(
        self, products: ProductList, other: SearchRequest, session: ShopSession
    ) -> ProductList:
        """Mark the products that are among the first ones of another search."""
        request = replace(other, k=N_COMPARED, is_explained=False)
        found = set(self._gateway.search(request, session.session_id).item_ids)
        cards = tuple(replace(card, is_shared=card.item_id in found) for card in products.cards)
        return replace(products, cards=cards)

    def _make_cards(self, item_ids: Iterable[str]) -> tuple[Card, ...]:
        """Return products with their live states, without unknown and hidden ones."""
        cards = []
        for item_id in item_ids:
            try:
                cards.append(self.get_product(item_id))
            except UnknownProductError:
                continue
        return tuple(cards)

    def _list_viewed(self, session: ShopSession) -> tuple[Card, ...]:
        """Return the products that the visitor looked at in this session, the latest first."""
        events = self._gateway.store.read_events(
            session.user_id, session.session_id, limit=_N_EVENTS
        )
        viewed = dict.fromkeys(
            event.item_id for event in reversed(events) if _is_visit(event, session)
        )
        return self._make_cards(viewed)[:_N_VIEWED]


def _request_buy_again(session: ShopSession, now: int) -> BuyAgainRequest:
    return BuyAgainRequest(
        visitor=Visitor(user_id=session.user_id), at=session.get_shop_time(now), k=_N_BUY_AGAIN
    )


def _request_for_you(session: ShopSession, now: int, due: Sequence[str]) -> RecommendRequest:
    return RecommendRequest(
        visitor=Visitor(user_id=session.user_id),
        at=session.get_shop_time(now),
        k=N_FOR_YOU,
        exclude=tuple(due),
        diversity=_ONE_VARIANT,
        placement="home",
    )


def _is_visit(event: LiveEvent, session: ShopSession) -> bool:
    """Return whether an event shows that the visitor looked at a product in this session."""
    return event.event_type in {"view", "click"} and event.timestamp >= session.began_at_shop
