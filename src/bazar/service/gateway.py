"""The gateway: all that the API and the shop call, for one process.

It joins the store and the current engine. Before each answer it reads what happened since: the
visitor's events, the changes of the catalogue, and whether the user was deleted. Therefore the next
answer of every process takes into account what any process acknowledged.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from bazar.errors import InputError
from bazar.service.engine.answers import Absence, Answer
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    ListRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    check_price,
)
from bazar.service.live import ItemState, LiveEvent, NewItem
from bazar.service.process import trim_memory
from bazar.service.store import EventRecord, ItemChange, LiveStore, Outcome, Receipt, hash_user_id

logger = logging.getLogger(__name__)

_Request = TypeVar("_Request", bound=ListRequest)


_ANSWERS: dict[type[ListRequest], Callable[[Engine, Any], Answer]] = {
    RecommendRequest: Engine.recommend,
    SimilarRequest: Engine.list_similar,
    BoughtTogetherRequest: Engine.list_bought_together,
    BuyAgainRequest: Engine.list_buy_again,
    SearchRequest: Engine.search,
}


class UnknownItemError(InputError):
    """A product is not in the catalogue."""


class LiveEngine:
    """An engine and what the store changed in its catalogue.

    Attributes:
        engine: the engine.
        live_sequence: events of the store up to this sequence are in the bundle.
    """

    def __init__(self, engine: Engine, live_sequence: int = 0) -> None:
        """Combine an engine with its watermark. Nothing of the store is applied yet.

        Args:
            engine: a new engine, which nobody else changes.
            live_sequence: events of the store up to this sequence are in the bundle.
        """
        self.engine = engine
        self.live_sequence = live_sequence
        self._revision = 0
        self._new_items: list[NewItem] = []
        self._waiting_states: dict[str, ItemState] = {}
        self._deletion_times: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._read_lock = threading.Lock()
        self._add_lock = threading.Lock()

    def apply_changes(self, store: LiveStore) -> None:
        """Apply what changed since the last call: the catalogue, and the deleted users.

        If nothing changed, this is one query. Stock, prices and visibility are applied by the first
        caller, and the others wait. New products take longer: the first caller applies them, and
        the others go on with the old catalogue.

        Raises:
            StoreError: if the database fails.
        """
        if store.read_changes(self._revision).revision == self._revision:
            return
        with self._read_lock:
            changes = store.read_changes(self._revision)
            self._apply_states(changes.item_states)
            self._new_items += changes.new_items
            for tombstone in changes.tombstones:
                # A clock that was set back makes no deletion earlier.
                known = self._deletion_times.get(tombstone.user_hash, 0)
                self._deletion_times[tombstone.user_hash] = max(known, tombstone.deleted_at)
            self._revision = changes.revision
        if changes.new_items:
            self.add_new_items()

    def add_new_items(self) -> None:
        """Add the new products that were read. It returns when they are in the catalogue."""
        with self._add_lock:
            with self._read_lock:
                new_items, self._new_items = self._new_items, []
            # The latest of several products with one id replaces the others.
            latest = {item.item_id: item for item in new_items}
            changed = [item for item in latest.values() if self._is_changed(item)]
            try:
                self.engine.add_items(changed)
            except InputError as error:
                # One product must not keep the service from answering.
                logger.error("new products cannot be added: %s", error)
            # The tables of the old catalogue are free now.
            trim_memory()
            with self._read_lock:
                states, self._waiting_states = self._waiting_states, {}
                self._apply_states(states)

    def forget_if_deleted(self, user_id: str) -> None:
        """Ignore what the bundle contains about a user who was deleted after it was built.

        A training leaves out what a deleted user bought before the deletion. Therefore the bundle
        is older than the deletion if it contains such a purchase. Without timestamps, every user
        that was ever deleted is ignored.
        """
        if not self._deletion_times:
            return
        deleted_at = self._deletion_times.get(hash_user_id(user_id))
        if deleted_at is None or user_id in self._forgotten:
            return
        customer = self.engine.recommender.find_customer(user_id)
        if customer is None:
            return
        timestamps = customer.sequences.timestamps
        first = int(customer.target_positions[0] - customer.n_seen[0])
        if timestamps is None or timestamps[first] <= deleted_at:
            self.engine.forget_users([user_id])
            self._forgotten.add(user_id)

    def _apply_states(self, states: dict[str, ItemState]) -> None:
        """Apply the states of known products. The others wait until their product is added."""
        index = self.engine.products.index
        for item_id, state in states.items():
            if item_id not in index:
                self._waiting_states[item_id] = state
                continue
            try:
                self.engine.change_items([state])
            except InputError as error:
                logger.error("the state of a product cannot be applied: %s", error)

    def _is_changed(self, item: NewItem) -> bool:
        """Return whether the catalogue has other texts for a product, or does not have it."""
        products = self.engine.products
        index = products.index.get(item.item_id)
        if index is None or item.variant_group is not None:
            return True
        return (products.titles[index], products.attributes[index]) != (item.title, item.attributes)


@dataclass
class _VisitorReader:
    """Reads the events of visitors, each visitor once."""

    store: LiveStore
    live: LiveEngine
    session_id: str | None
    max_events: int
    _events: dict[str | None, tuple[LiveEvent, ...]] = field(default_factory=dict)

    def complete(self, request: _Request) -> _Request:
        """Return the request with the events of its visitor."""
        visitor = request.visitor
        user_id = visitor.user_id
        if user_id is None and self.session_id is None:
            return request
        if user_id not in self._events:
            # Invalid ids are not searched.
            visitor.check()
            if user_id is not None:
                self.live.forget_if_deleted(user_id)
            events = self.store.read_events(
                user_id, self.session_id, self._find_watermark(user_id), self.max_events
            )
            self._events[user_id] = tuple(events)
        return replace(request, visitor=replace(visitor, events=self._events[user_id]))

    def _find_watermark(self, user_id: str | None) -> int:
        """Return the sequence up to which the bundle contains the purchases of a visitor.

        It contains no history of anonymous visitors, and of users with too few purchases.
        """
        if user_id is None or self.live.engine.recommender.find_customer(user_id) is None:
            return 0
        return self.live.live_sequence


class Gateway:
    """Answers requests from the store and the current engine. Threads share one gateway.

    Requests name their visitor: ``Visitor(user_id=...)``, ``Visitor(history=...)`` or
    ``Visitor()``, and with ``session_id`` an anonymous visit. The gateway adds the live events.

    All methods raise StoreError if the database fails.

    Attributes:
        store: the store.
    """

    def __init__(
        self, store: LiveStore, engine: Engine, live_sequence: int = 0, max_events: int = 1_000
    ) -> None:
        """Apply the changes of the store to an engine.

        Args:
            store: the store.
            engine: a new engine.
            live_sequence: events of the store up to this sequence are in the bundle.
            max_events: number of the latest live events of a visitor that are read.

        Raises:
            StoreError: if the database fails.
        """
        self.store = store
        self._max_events = max_events
        self._live = self._prepare(engine, live_sequence)

    @property
    def engine(self) -> Engine:
        """The current engine. A request reads it once, because another bundle may replace it."""
        return self._live.engine

    @property
    def bundle_id(self) -> str:
        """The id of the current bundle."""
        return self._live.engine.bundle_id

    def replace_engine(self, engine: Engine, live_sequence: int = 0) -> None:
        """Answer with another engine from the next request on.

        The changes of the store are applied to it first. Requests in flight finish with the old
        one.

        Args:
            engine: a new engine, warmed up.
            live_sequence: events of the store up to this sequence are in its bundle.

        Raises:
            StoreError: if the database fails. The old engine keeps answering then.
        """
        self._live = self._prepare(engine, live_sequence)

    def has_item(self, item_id: str) -> bool:
        """Return whether the catalogue has a product."""
        return item_id in self._live.engine.products.index

    def is_ready(self) -> bool:
        """Return whether the database answers."""
        return self.store.is_ready()

    # Lists

    def answer(self, request: ListRequest, session_id: str | None = None) -> Answer:
        """Answer a request of any kind, as the methods below do."""
        live, visitors = self._start(session_id)
        return _ANSWERS[type(request)](live.engine, visitors.complete(request))

    def recommend(self, request: RecommendRequest, session_id: str | None = None) -> Answer:
        """Recommend what a visitor buys next.

        Args:
            request: the request; its visitor has no events.
            session_id: the anonymous visit, beside or instead of the user.

        Raises:
            InputError: naming the field that is invalid, its value and what is expected.
        """
        return self.answer(request, session_id)

    def list_similar(self, request: SimilarRequest, session_id: str | None = None) -> Answer:
        """List products with similar titles.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        return self.answer(request, session_id)

    def list_bought_together(
        self, request: BoughtTogetherRequest, session_id: str | None = None
    ) -> Answer:
        """List products that are bought together with others.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        return self.answer(request, session_id)

    def list_buy_again(self, request: BuyAgainRequest, session_id: str | None = None) -> Answer:
        """List products that a visitor bought and that are due.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        return self.answer(request, session_id)

    def search(self, request: SearchRequest, session_id: str | None = None) -> Answer:
        """Search products by words and by meaning.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        return self.answer(request, session_id)

    def build_page(
        self, placements: Sequence[Placement], session_id: str | None = None
    ) -> dict[str, Answer]:
        """Answer several placements without repeats across them.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        live, visitors = self._start(session_id)
        return live.engine.build_page(
            [
                replace(placement, request=visitors.complete(placement.request))
                for placement in placements
            ]
        )

    def explain_absence(
        self, request: ListRequest, item_id: str, session_id: str | None = None
    ) -> Absence:
        """Explain why a product is not in a list.

        Raises:
            InputError: as :meth:`recommend` does.
        """
        live, visitors = self._start(session_id)
        return live.engine.explain_absence(visitors.complete(request), item_id)

    # Live data

    def record_events(self, records: Sequence[EventRecord]) -> list[Outcome]:
        """Store events. When the call returns, they survive the death of the process.

        Returns:
            What became of each event; see :meth:`LiveStore.insert_events`.

        Raises:
            InputError: if an event is invalid. None is stored then.
        """
        return self.store.insert_events(records)

    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """Change stock, prices and visibility, from the next answer on.

        Returns:
            The revision of the catalogue.

        Raises:
            UnknownItemError: if a product is not in the catalogue. Nothing is changed then.
            InputError: if a change is invalid. Nothing is changed then.
        """
        live = self._live
        live.apply_changes(self.store)
        for change in changes:
            check_price("price", change.price)
            if change.item_id not in live.engine.products.index:
                raise UnknownItemError(f"There is no product {change.item_id!r} in the catalogue.")
        revision = self.store.change_items(changes)
        live.apply_changes(self.store)
        return revision

    def add_items(self, items: Sequence[NewItem]) -> int:
        """Add products to the catalogue, or replace the titles and attributes of existing ones.

        Returns:
            The revision of the catalogue.

        Raises:
            InputError: if a product is invalid, or an id occurs twice. Nothing is added then.
        """
        ids = [item.item_id for item in items]
        if repeated := {item_id for item_id in ids if ids.count(item_id) > 1}:
            raise InputError(f"item_id must be unique, found {sorted(repeated)[0]!r} twice.")
        revision = self.store.add_items(items)
        live = self._live
        live.apply_changes(self.store)
        # Another thread may have read them and not have finished to add them.
        live.add_new_items()
        return revision

    def delete_user(self, user_id: str) -> Receipt:
        """Delete the events of a user, and ignore what the bundle contains about the user.

        Raises:
            InputError: if the id is invalid.
        """
        receipt = self.store.delete_user(user_id)
        self._live.apply_changes(self.store)
        self._live.forget_if_deleted(user_id)
        return receipt

    def _prepare(self, engine: Engine, live_sequence: int) -> LiveEngine:
        self.store.raise_sequence(live_sequence)
        live = LiveEngine(engine, live_sequence)
        live.apply_changes(self.store)
        return live

    def _start(self, session_id: str | None) -> tuple[LiveEngine, _VisitorReader]:
        """Return the current engine with all changes, and a reader of events."""
        live = self._live
        live.apply_changes(self.store)
        return live, _VisitorReader(self.store, live, session_id, self._max_events)
