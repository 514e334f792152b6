"""The engine: answers from a Recommender and live data, for all threads of a process.

A list is made in four steps:

1. A source scores all products: a model, the similarity of titles, pairs in orders, or a search.
2. Restrictions remove products before the best ones are selected, so that lists stay full: hidden,
   out of stock, filtered, excluded, bought before, or excluded by a rule.
3. Rules change the ranking: a boost multiplies the share of a product, a pin sets its position.
4. The best products within the limits of diversity form the page.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from bazar.config.rules import Rule, read_rules
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA, Products
from bazar.data.mapped_arrays import release_pages
from bazar.errors import InputError
from bazar.service.engine.answers import Absence, Answer
from bazar.service.engine.cursors import Cursor, decode_cursor, encode_cursor
from bazar.service.engine.descriptions import (
    describe_page,
    explain_conflict,
    list_effective_rules,
    note_unknown_prices,
)
from bazar.service.engine.histories import VisitorHistory, build_history
from bazar.service.engine.live_items import LiveItems
from bazar.service.engine.new_items import collect_vectors
from bazar.service.engine.ranking import Ranking, rank_products
from bazar.service.engine.requests import (
    MAX_LISTED,
    BoughtTogetherRequest,
    BuyAgainRequest,
    ListRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from bazar.service.engine.rules import check_rules, match_rules, resolve_pins
from bazar.service.engine.selection import DiversityLimits, Page, select_page
from bazar.service.engine.sources import Encoder, Sources
from bazar.service.engine.state import State, build_state
from bazar.service.live import ItemState, NewItem
from bazar.serving.bundle import Bundle
from bazar.serving.recommender import Recommender


class Engine:
    """Answers requests for lists of products.

    Threads share one engine. Readers use no lock: a request reads one reference to the state. A new
    bundle gets a new engine, and the caller replaces its reference.

    Attributes:
        bundle_id: id of the bundle, which every answer contains.
    """

    def __init__(
        self,
        bundle: Bundle,
        bundle_id: str,
        encode: Encoder | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        """Prepare to answer. Models are loaded when they are first used; see :meth:`warm_up`.

        Args:
            bundle: the catalogue, the customers, and the models.
            bundle_id: id of the bundle.
            encode: encoder of the titles, for the search by meaning and for new products without a
                vector. None: the search compares words alone.
            rules: business rules. Products and attributes that are not in the catalogue match
                nothing.
        """
        self.bundle_id = bundle_id
        self._encode = encode
        # The products of the bundle are not kept: their vectors are copied when products are added.
        self._customers = bundle.customers
        self._n_bundle_items = len(bundle.products.item_ids)
        self._embeds_attributes = bundle.options.embedded_text == "title_and_attributes"
        self._forgotten: frozenset[str] = frozenset()
        self._build_lock = threading.Lock()
        self._live_lock = threading.Lock()
        self._sources = Sources(
            bundle.customers, self._n_bundle_items, bundle.options.filter_seen, encode
        )
        self._state = build_state(
            Recommender(bundle),
            LiveItems(self._n_bundle_items),
            tuple(rules),
        )

    @property
    def products(self) -> Products:
        """The catalogue, with the products that were added."""
        return self._state.products

    @property
    def recommender(self) -> Recommender:
        """The Recommender of the catalogue."""
        return self._state.recommender

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The business rules."""
        return self._state.rules

    def warm_up(self) -> None:
        """Load all configured models and indices, and answer once, so that requests need not wait.

        Raises:
            InputError: if a file of a model is damaged.
        """
        self._sources.load(self._state)
        self.recommend(RecommendRequest(k=1))
        # Most lists read few vectors.
        release_pages(self.products.vectors)

    def load_encoder(self) -> None:
        """Load the encoder of titles, so that the first search need not wait.

        Raises:
            InputError: if a file of it is damaged.
        """
        if self._encode is not None:
            self._encode([""])

    # Live data

    def change_items(self, states: Iterable[ItemState]) -> None:
        """Apply changes of stock, price and visibility, in time proportional to their number.

        Raises:
            InputError: if a product is unknown or a price is invalid. Nothing is changed then.
        """
        with self._live_lock:
            state = self._state
            changes = {}
            for change in states:
                index = state.products.index.get(change.item_id)
                if index is None:
                    raise InputError(f"There is no product {change.item_id!r} in the catalogue.")
                changes[index] = change
            state.live.change(changes)

    def add_items(self, items: Sequence[NewItem]) -> None:
        """Add products to the catalogue, or replace the title and attributes of existing ones.

        Models that read titles recommend them at once. The call returns when requests see them;
        other requests are answered in the meantime.

        Args:
            items: the products. A title without a vector is encoded, if the engine has an encoder.

        Raises:
            InputError: if an id is empty or occurs twice, or a vector has another dimension.
        """
        if not items:
            return
        with self._build_lock:
            old = self._state
            added = pa.table(
                {
                    "item_id": [item.item_id for item in items],
                    "title": [item.title for item in items],
                    "attributes": [item.attributes for item in items],
                },
                schema=ADDED_PRODUCTS_SCHEMA,
            )
            vectors = collect_vectors(
                items, old.products.vectors.shape[1], self._encode, self._embeds_attributes
            )
            products = old.products.add(added, vectors)
            groups = products.variant_groups.copy()
            for item in items:
                groups[products.index[item.item_id]] = item.variant_group
            products = replace(products, variant_groups=groups)
            recommender = old.recommender.extend(products)
            recommender.load_models()
            new = build_state(recommender, old.live, old.rules)
            with self._live_lock:
                # Stock and prices may have changed while the models were adapted.
                self._state = replace(new, live=old.live.extend(new.n_items))
            # They were read to be copied.
            release_pages(old.products.vectors)

    def load_rules(self, path: Path) -> None:
        """Replace the business rules by those of a file. The old rules stay if there is an error.

        Raises:
            InputError: naming the file, the rule, the key and the value that is invalid, or that
                the catalogue does not have.
        """
        rules = read_rules(path)
        with self._build_lock:
            products = self._state.products
            check_rules(rules, products, str(path))
            matched = match_rules(rules, products)
            with self._live_lock:
                self._state = replace(self._state, rules=rules, matched_rules=matched)

    def forget_users(self, user_ids: Iterable[str]) -> None:
        """Ignore what the bundle contains about deleted users, from the next request on."""
        with self._live_lock:
            self._forgotten |= frozenset(user_ids)

    # Lists

    def recommend(self, request: RecommendRequest) -> Answer:
        """Recommend what a visitor buys next.

        Raises:
            InputError: naming the field that is invalid, its value and what is expected.
        """
        return self._list(request)

    def list_similar(self, request: SimilarRequest) -> Answer:
        """List products with similar titles. The scores are cosine similarities.

        Raises:
            InputError: if a field is invalid, or the product is unknown or has no title.
        """
        return self._list(request)

    def list_bought_together(self, request: BoughtTogetherRequest) -> Answer:
        """List products that are bought together with others.

        Products that were never bought together with them follow in the order of the similarity of
        their titles; their source is ``similar``.

        Raises:
            InputError: if a field is invalid or a product is unknown.
        """
        return self._list(request)

    def list_buy_again(self, request: BuyAgainRequest) -> Answer:
        """List products that a visitor bought and that are due, the most probable first.

        A product is due after half of its usual gap between two purchases. The order is that of
        the model ``repurchase_timing``: the probability of a purchase now, which is highest when
        the time since the last purchase equals the gap.

        Raises:
            InputError: if a field is invalid.
        """
        return self._list(request)

    def search(self, request: SearchRequest) -> Answer:
        """Search products by words and by meaning.

        Both rankings, and with a lower weight that of the visitor's taste, are combined by
        reciprocal rank fusion.

        Raises:
            InputError: if a field is invalid.
        """
        return self._list(request)

    def build_page(self, placements: Sequence[Placement]) -> dict[str, Answer]:
        """Answer several placements without repeats across them. Earlier placements come first.

        Answers have no cursor.

        Args:
            placements: the lists, at least one, with unique names and without cursors.

        Raises:
            InputError: naming the placement and the field that is invalid.
        """
        names = [placement.name for placement in placements]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise InputError(
                "Names of placements must be unique, found "
                f"{', '.join(map(repr, sorted(repeated)))} twice."
            )
        state = self._state
        answers: dict[str, Answer] = {}
        listed: list[str] = []
        for placement in placements:
            if placement.request.cursor is not None:
                raise InputError(
                    f"placement {placement.name!r}: cursor must be empty. A page has no next page."
                )
            try:
                answer = self._list(placement.request, state, listed)
            except InputError as error:
                raise InputError(f"placement {placement.name!r}: {error}") from error
            answers[placement.name] = replace(answer, cursor=None)
            listed += answer.item_ids
        return answers

    def explain_absence(self, request: ListRequest, item_id: str) -> Absence:
        """Explain why a product is not in a list.

        Args:
            request: the request of the list.
            item_id: the product.

        Raises:
            InputError: if a field is invalid.
        """
        state = self._state
        request.check()
        cursor = self._read_cursor(request)
        item = state.products.index.get(item_id)
        if item is None:
            return Absence(item_id, "unknown", f"There is no product {item_id!r}.")
        history = self._build_history(state, request, cursor)
        ranking = rank_products(self._sources, state, request, history)
        score = float(ranking.candidates.reported_scores[item])
        reason, text, rank = self._find_reason(state, request, ranking, cursor, item)
        return Absence(item_id, reason, text, rank, score if np.isfinite(score) else None)

    def _find_reason(
        self,
        state: State,
        request: ListRequest,
        ranking: Ranking,
        cursor: Cursor | None,
        item: int,
    ) -> tuple[str, str, int | None]:
        """Return the reason why a product is not listed, the reason in words, and its rank."""
        for restriction in ranking.restrictions:
            if restriction.is_removed[item]:
                return restriction.reason, restriction.text, None
        page = self._select(state, request, ranking, cursor)
        key = ranking.keys[item]
        rank = int(np.count_nonzero(ranking.keys > key)) + 1 if np.isfinite(key) else None
        if item in page.items:
            return "listed", "The list contains it.", rank
        if cursor is not None and item in self._list_shown(state, cursor):
            return "listed", "An earlier page lists it.", rank
        if rank is None:
            return "not_scored", f"{ranking.candidates.source} does not propose it.", None
        conflict = explain_conflict(state, page, request.diversity, item)
        if conflict is not None:
            return *conflict, rank
        boosts = [
            f" The rule {matched.rule.name!r} multiplies its score by {factor:g}."
            for matched, factor in ranking.boosts
            if matched.is_named[item]
        ]
        text = f"Its rank is {rank}, and the list has {len(page.items)} products.{''.join(boosts)}"
        return "rank", text, rank

    def _list(
        self,
        request: ListRequest,
        state: State | None = None,
        listed_elsewhere: Sequence[str] = (),
    ) -> Answer:
        """Answer a request of any kind."""
        state = state or self._state
        request.check()
        cursor = self._read_cursor(request)
        history = self._build_history(state, request, cursor)
        ranking = rank_products(self._sources, state, request, history, listed_elsewhere)
        page = self._select(state, request, ranking, cursor)
        offset = 0 if cursor is None else len(cursor.shown) + len(cursor.shown_added)
        return Answer(
            bundle_id=self.bundle_id,
            source=ranking.candidates.source,
            products=describe_page(
                state, ranking, page, history.purchases if request.is_explained else None, offset
            ),
            at=history.at,
            cursor=self._make_cursor(state, request, page, cursor, history.at),
            rules=list_effective_rules(ranking, page, request.k),
            unknown_items=history.unknown_items,
            notes=(*ranking.candidates.notes, *note_unknown_prices(state, request.filters)),
        )

    def _select(
        self, state: State, request: ListRequest, ranking: Ranking, cursor: Cursor | None
    ) -> Page:
        """Select the page that a request asks for."""
        shown = [] if cursor is None else self._list_shown(state, cursor)
        pins = resolve_pins(ranking.rules, ranking.keys, ranking.is_allowed)
        limits = DiversityLimits(request.diversity, state.variant_codes, state.products.vectors)
        k = min(request.k, MAX_LISTED - len(shown))
        return select_page(ranking.keys, k, pins, shown, limits)

    def _build_history(
        self, state: State, request: ListRequest, cursor: Cursor | None
    ) -> VisitorHistory:
        user_id = request.visitor.user_id
        known = None
        if user_id is not None and user_id not in self._forgotten:
            known = state.recommender.find_customer(user_id)
        at = round(time.time() * 1000) if request.at is None else request.at
        return build_history(
            request.visitor,
            known,
            state.products.index,
            self._customers,
            at if cursor is None else cursor.at,
        )

    def _read_cursor(self, request: ListRequest) -> Cursor | None:
        if request.cursor is None:
            return None
        return decode_cursor(request.cursor, request, self.bundle_id, self._n_bundle_items)

    def _list_shown(self, state: State, cursor: Cursor) -> list[int]:
        index = state.products.index
        added = [index[item_id] for item_id in cursor.shown_added if item_id in index]
        return [*cursor.shown, *added]

    def _make_cursor(
        self, state: State, request: ListRequest, page: Page, cursor: Cursor | None, at: int
    ) -> str | None:
        shown = list(page.items)
        if cursor is not None:
            shown += self._list_shown(state, cursor)
        if not page.has_more or len(shown) >= MAX_LISTED:
            return None
        following = Cursor(
            at if cursor is None else cursor.at,
            tuple(item for item in shown if item < self._n_bundle_items),
            tuple(state.products.item_ids[item] for item in shown if item >= self._n_bundle_items),
        )
        return encode_cursor(following, request, self.bundle_id)
