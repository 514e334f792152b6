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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from bazar.config.rules import Rule, read_rules
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA, Products
from bazar.data.vector_search import has_title, normalize_rows
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.scorer import Scorer
from bazar.models.top_k import find_top_positions
from bazar.service.engine.answers import Absence, Answer, ListedProduct
from bazar.service.engine.bought_together import BoughtTogether
from bazar.service.engine.buy_again import RepeatRhythm
from bazar.service.engine.cursors import Cursor, decode_cursor, encode_cursor
from bazar.service.engine.histories import VisitorHistory, build_history
from bazar.service.engine.live_items import LiveItems
from bazar.service.engine.requests import (
    MAX_LISTED,
    BoughtTogetherRequest,
    BuyAgainRequest,
    Diversity,
    Filters,
    ListRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from bazar.service.engine.restrictions import (
    Restriction,
    list_attribute_restrictions,
    list_live_restrictions,
    list_rule_restrictions,
    restrict_items,
    select_allowed,
)
from bazar.service.engine.rules import (
    MatchedRule,
    check_rules,
    match_rules,
    resolve_pins,
    select_boosts,
    select_exclusions,
)
from bazar.service.engine.selection import DiversityLimits, Page, select_page
from bazar.service.engine.word_search import WordIndex
from bazar.service.live import ItemState, NewItem
from bazar.serving.bundle import Bundle
from bazar.serving.descriptions import describe_products
from bazar.serving.recommender import Recommender

Encoder = Callable[[list[str]], np.ndarray]
"""Function that returns the unit vectors of texts, shape (texts, dimension), float32."""

_TIMING_MODEL = "repurchase_timing"
# Constant of reciprocal rank fusion (Cormack et al. 2009).
_FUSION_CONSTANT = 60
# Weight of the visitor's taste in a search, relative to the words and to the meaning. It moves a
# product by a few ranks at the top of a list, and by more below, where all are less relevant.
_TASTE_WEIGHT = 0.05
# Products whose titles are less similar to a query are not found by meaning.
_MIN_QUERY_COSINE = 0.3


@dataclass(frozen=True)
class _State:
    """What one version of the catalogue and of the rules is. It is replaced as one reference."""

    recommender: Recommender
    live: LiveItems
    variant_groups: dict[str, str]
    variant_codes: np.ndarray
    words: WordIndex
    is_titled: np.ndarray
    rules: tuple[Rule, ...]
    matched_rules: tuple[MatchedRule, ...]
    restrict_attributes: Callable[[Filters], list[Restriction]]

    @property
    def products(self) -> Products:
        return self.recommender.products

    @property
    def n_items(self) -> int:
        """Number of items + 1."""
        return len(self.products.item_ids)


@dataclass(frozen=True)
class _Candidates:
    """Products that a source scored.

    Attributes:
        source: what answers.
        scores: shape (items + 1,), float32; ``-inf`` if a product is not proposed.
        reported_scores: the scores of the answer, the same shape.
        shares: function that returns normalised scores above 0 in the same order.
        restrictions: restrictions of this kind of list.
        is_similar: shape (items + 1,), bool: products with the source ``similar`` instead; None for
            none.
        notes: see :class:`Answer`.
    """

    source: str
    scores: np.ndarray
    reported_scores: np.ndarray
    shares: Callable[[np.ndarray], np.ndarray]
    restrictions: list[Restriction]
    is_similar: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Ranking:
    """A ranking with rules, before a page is selected.

    Attributes:
        candidates: the products that the source scored.
        restrictions: all restrictions.
        is_allowed: shape (items + 1,), bool: the products that may be listed.
        keys: shape (items + 1,), float32: what products are ranked by; ``-inf`` for products that
            may not be listed.
        natural_keys: the same before boosts, also for products that may not be listed.
        boosted_keys: the same after boosts, also for products that may not be listed.
        boosts: the rules that boost, each with its factor.
        rules: the rules that apply.
    """

    candidates: _Candidates
    restrictions: list[Restriction]
    is_allowed: np.ndarray
    keys: np.ndarray
    natural_keys: np.ndarray
    boosted_keys: np.ndarray
    boosts: list[tuple[MatchedRule, float]]
    rules: list[MatchedRule]


class Engine:
    """Answers requests for lists of products.

    Threads share one engine. Readers use no lock: a request reads one reference to the state. A new
    bundle gets a new engine, and the caller replaces its reference.

    Attributes:
        bundle_id: id of the bundle, which every answer contains.
        watermark: time of the last purchase in the bundle, UTC milliseconds; None if its data has
            no timestamps.
    """

    def __init__(
        self,
        bundle: Bundle,
        bundle_id: str,
        encode: Encoder | None = None,
        variant_groups: Mapping[str, str] | None = None,
        rules: Sequence[Rule] = (),
        watermark: int | None = None,
    ) -> None:
        """Prepare to answer. Models are loaded when they are first used; see :meth:`warm_up`.

        Args:
            bundle: the catalogue, the customers, and the models.
            bundle_id: id of the bundle.
            encode: encoder of the titles, for the search by meaning and for new products without a
                vector. None: the search compares words alone.
            variant_groups: name of the variant group by item id.
            rules: business rules. Products and attributes that are not in the catalogue match
                nothing.
            watermark: time of the last purchase that the bundle contains, UTC milliseconds. None:
                the time of the last purchase in its customers.
        """
        self.bundle_id = bundle_id
        self._bundle = bundle
        self._encode = encode
        self._n_bundle_items = len(bundle.products.item_ids)
        self.watermark = _find_last_time(bundle.customers) if watermark is None else watermark
        self._forgotten: frozenset[str] = frozenset()
        self._build_lock = threading.Lock()
        self._live_lock = threading.Lock()
        self._lazy_lock = threading.Lock()
        self._bought_together: BoughtTogether | None = None
        self._rhythm: RepeatRhythm | None = None
        self._state = _build_state(
            Recommender(bundle),
            LiveItems(self._n_bundle_items),
            dict(variant_groups or {}),
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
        self._state.recommender.load_models()
        self._state.recommender.get_scorer(_TIMING_MODEL)
        self._get_bought_together()
        self._get_rhythm()
        self.recommend(RecommendRequest(k=1))

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
            products = old.products.add(added, self._collect_vectors(items))
            recommender = old.recommender.extend(products)
            recommender.load_models()
            groups = old.variant_groups | {
                item.item_id: item.variant_group for item in items if item.variant_group
            }
            new = _build_state(recommender, old.live, groups, old.rules)
            with self._live_lock:
                # Stock and prices may have changed while the models were adapted.
                self._state = replace(new, live=old.live.extend(new.n_items))

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
            raise InputError(f"Names of placements must be unique, found {sorted(repeated)} twice.")
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
        ranking = self._rank(state, request, history)
        score = float(ranking.candidates.reported_scores[item])
        reason, text, rank = self._find_reason(state, request, ranking, cursor, item)
        return Absence(item_id, reason, text, rank, score if np.isfinite(score) else None)

    def _find_reason(
        self,
        state: _State,
        request: ListRequest,
        ranking: _Ranking,
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
        conflict = _explain_conflict(state, page, request.diversity, item)
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
        state: _State | None = None,
        listed_elsewhere: Sequence[str] = (),
    ) -> Answer:
        """Answer a request of any kind."""
        state = state or self._state
        request.check()
        cursor = self._read_cursor(request)
        history = self._build_history(state, request, cursor)
        ranking = self._rank(state, request, history, listed_elsewhere)
        page = self._select(state, request, ranking, cursor)
        offset = 0 if cursor is None else len(cursor.shown) + len(cursor.shown_added)
        return Answer(
            bundle_id=self.bundle_id,
            source=ranking.candidates.source,
            products=_describe(state, ranking, page, history.purchases, offset),
            at=history.at,
            cursor=self._make_cursor(state, request, page, cursor, history.at),
            rules=_list_effective_rules(ranking, page, request.k),
            unknown_items=history.unknown_items,
            notes=(*ranking.candidates.notes, *_note_prices(state, request.filters)),
        )

    def _rank(
        self,
        state: _State,
        request: ListRequest,
        history: VisitorHistory,
        listed_elsewhere: Sequence[str] = (),
    ) -> _Ranking:
        """Score the products, and apply restrictions and boosts."""
        rules = [
            matched
            for matched in state.matched_rules
            if matched.rule.applies(request.placement, history.at)
        ]
        index = state.products.index
        restrictions = [
            *list_live_restrictions(state.live, request.filters),
            *state.restrict_attributes(request.filters),
            *list_rule_restrictions(select_exclusions(rules)),
        ]
        for reason, text, ids in (
            ("excluded", "The request excludes the product.", request.exclude),
            ("other_placement", "Another placement of the page lists it.", listed_elsewhere),
        ):
            if known := [index[item_id] for item_id in ids if item_id in index]:
                restrictions.append(restrict_items(reason, text, known, state.n_items))
        candidates = self._score(state, request, history, restrictions)
        restrictions += candidates.restrictions
        is_allowed = select_allowed(restrictions, state.n_items)
        boosts = select_boosts(rules)
        natural_keys = boosted_keys = candidates.scores
        if boosts:
            shares = candidates.shares(natural_keys)
            natural_keys = np.where(np.isneginf(natural_keys), np.float32(-np.inf), shares)
            boosted_keys = natural_keys.copy()
            for matched, factor in boosts:
                boosted_keys[matched.is_named] *= factor
        return _Ranking(
            candidates,
            restrictions,
            is_allowed,
            np.where(is_allowed, boosted_keys, np.float32(-np.inf)).astype(np.float32),
            natural_keys,
            boosted_keys,
            boosts,
            rules,
        )

    def _select(
        self, state: _State, request: ListRequest, ranking: _Ranking, cursor: Cursor | None
    ) -> Page:
        """Select the page that a request asks for."""
        shown = [] if cursor is None else self._list_shown(state, cursor)
        pins = resolve_pins(ranking.rules, ranking.keys, ranking.is_allowed)
        limits = DiversityLimits(request.diversity, state.variant_codes, state.products.vectors)
        k = min(request.k, MAX_LISTED - len(shown))
        return select_page(ranking.keys, k, pins, shown, limits)

    # Sources

    def _score(
        self,
        state: _State,
        request: ListRequest,
        history: VisitorHistory,
        restrictions: list[Restriction],
    ) -> _Candidates:
        if isinstance(request, RecommendRequest):
            return self._score_by_model(state, request, history)
        if isinstance(request, SimilarRequest):
            return self._score_similar(state, request)
        if isinstance(request, BoughtTogetherRequest):
            return self._score_bought_together(state, request, history)
        if isinstance(request, BuyAgainRequest):
            return self._score_buy_again(state, history)
        if isinstance(request, SearchRequest):
            return self._score_search(state, request, history, restrictions)
        raise InputError(f"There is no list of the kind {type(request).__name__}.")

    def _score_by_model(
        self, state: _State, request: RecommendRequest, history: VisitorHistory
    ) -> _Candidates:
        model = state.recommender.find_answering_model(request.model, history.with_context)
        scorer = state.recommender.get_scorer(model)
        filter_seen = request.filter_seen
        if filter_seen is None:
            filter_seen = self._bundle.options.filter_seen
        scores = _score_without_views(scorer, history)
        restrictions = [
            restrict_items(
                "in_cart", "The product is in the cart.", history.in_cart, state.n_items
            ),
            restrict_items(
                "viewed",
                "The visitor has just looked at the product and never bought it.",
                np.setdiff1d(history.context, history.bought),
                state.n_items,
            ),
        ]
        if filter_seen:
            text = "The visitor bought the product, and bought products are left out."
            restrictions.append(
                restrict_items("already_bought", text, history.bought, state.n_items)
            )
        return _Candidates(
            model, scores, scores, lambda values: scorer.to_shares(values[None])[0], restrictions
        )

    def _score_similar(self, state: _State, request: SimilarRequest) -> _Candidates:
        item = _find_item(state, "item_id", request.item_id)
        if not state.is_titled[item]:
            raise InputError(
                f"The product {request.item_id!r} has no title, and titles are compared. Use a "
                "product with a title."
            )
        text = "The list is about this product."
        cosines = _compare_titles(state, [item])
        return _Candidates(
            "similar",
            cosines,
            cosines,
            _raise_above_zero,
            [restrict_items("excluded", text, [item], state.n_items)],
        )

    def _score_bought_together(
        self, state: _State, request: BoughtTogetherRequest, history: VisitorHistory
    ) -> _Candidates:
        items = [_find_item(state, "item_ids", item_id) for item_id in request.item_ids]
        pairs = self._get_bought_together().score(items)
        scores = np.zeros(state.n_items, np.float32)
        scores[: len(pairs)] = pairs
        cosines = _compare_titles(state, items)
        is_pair = scores > 0
        own = [*items, *history.in_cart.tolist()]
        text = "The product is in the cart, or the list is about it."
        return _Candidates(
            "bought_together",
            # Pairs first: a cosine minus 2 is below 0.
            np.where(is_pair, scores, cosines - 2),
            np.where(is_pair, scores, cosines),
            _raise_above_zero,
            [restrict_items("in_cart", text, own, state.n_items)],
            ~is_pair,
        )

    def _score_buy_again(self, state: _State, history: VisitorHistory) -> _Candidates:
        scorer = state.recommender.get_scorer(_TIMING_MODEL)
        scores = np.full(state.n_items, -np.inf, np.float32)
        notes: tuple[str, ...] = ()
        if len(history.bought):
            due = self._get_rhythm().find_due_items(history.purchases)
            scores[due] = scorer.score(history.purchases)[0][due]
        else:
            notes = ("The visitor has not bought anything yet.",)
        text = "The product is in the cart."
        return _Candidates(
            "buy_again",
            scores,
            scores,
            _raise_above_zero,
            [restrict_items("in_cart", text, history.in_cart, state.n_items)],
            notes=notes,
        )

    def _score_search(
        self,
        state: _State,
        request: SearchRequest,
        history: VisitorHistory,
        restrictions: list[Restriction],
    ) -> _Candidates:
        is_allowed = select_allowed(restrictions, state.n_items)
        rankings: list[np.ndarray] = []
        if request.mode != "meaning" or self._encode is None:
            scores = state.words.score(request.query)
            rankings.append(np.where(is_allowed & (scores > 0), scores, -np.inf))
        if request.mode != "words" and self._encode is not None:
            vector = np.asarray(self._encode([request.query]), np.float32)[0]
            cosines = state.products.vectors @ vector
            is_found = is_allowed & state.is_titled & (cosines >= _MIN_QUERY_COSINE)
            rankings.append(np.where(is_found, cosines, -np.inf))
        fused = np.zeros(state.n_items, np.float32)
        for scores in rankings:
            _add_reciprocal_ranks(fused, scores, 1.0)
        found = fused > 0
        if not history.is_empty and found.any():
            model = state.recommender.find_answering_model(None, history.with_context)
            taste = _score_without_views(state.recommender.get_scorer(model), history)
            _add_reciprocal_ranks(fused, np.where(found, taste, -np.inf), _TASTE_WEIGHT)
        notes: tuple[str, ...] = ()
        if self._encode is None and request.mode != "words":
            notes = ("The service has no encoder: words alone are compared.",)
        scores = np.where(found, fused, np.float32(-np.inf))
        return _Candidates("search", scores, scores, _raise_above_zero, [], notes=notes)

    # Histories, cursors, and what is built once

    def _build_history(
        self, state: _State, request: ListRequest, cursor: Cursor | None
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
            self._bundle.customers,
            self.watermark,
            at if cursor is None else cursor.at,
        )

    def _read_cursor(self, request: ListRequest) -> Cursor | None:
        if request.cursor is None:
            return None
        return decode_cursor(request.cursor, request, self.bundle_id)

    def _list_shown(self, state: _State, cursor: Cursor) -> list[int]:
        index = state.products.index
        added = [index[item_id] for item_id in cursor.shown_added if item_id in index]
        return [*cursor.shown, *added]

    def _make_cursor(
        self, state: _State, request: ListRequest, page: Page, cursor: Cursor | None, at: int
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

    def _get_bought_together(self) -> BoughtTogether:
        if self._bought_together is None:
            with self._lazy_lock:
                if self._bought_together is None:
                    self._bought_together = BoughtTogether(
                        self._bundle.customers, self._n_bundle_items
                    )
        return self._bought_together

    def _get_rhythm(self) -> RepeatRhythm:
        if self._rhythm is None:
            with self._lazy_lock:
                if self._rhythm is None:
                    self._rhythm = RepeatRhythm(self._bundle.customers, self._n_bundle_items)
        return self._rhythm

    def _collect_vectors(self, items: Sequence[NewItem]) -> np.ndarray:
        """Return the title vectors of new products, shape (items, dimension), float32."""
        dimension = self._bundle.products.vectors.shape[1]
        vectors = np.zeros((len(items), dimension), np.float32)
        ids = [item.item_id for item in items]
        without_vector: list[int] = []
        for position, item in enumerate(items):
            if not item.item_id:
                raise InputError("item_id must not be empty.")
            if ids.count(item.item_id) > 1:
                raise InputError(f"item_id must be unique, found {item.item_id!r} twice.")
            if item.vector is None:
                if item.title:
                    without_vector.append(position)
            elif item.vector.shape != (dimension,) or not np.isfinite(item.vector).all():
                raise InputError(
                    f"vector of {item.item_id!r} must have {dimension} finite numbers, got the "
                    f"shape {item.vector.shape}."
                )
            else:
                vectors[position] = item.vector
        if without_vector and self._encode is not None:
            titles = [items[position].title or "" for position in without_vector]
            vectors[without_vector] = self._encode(titles)
        return normalize_rows(vectors)


def _build_state(
    recommender: Recommender,
    live: LiveItems,
    variant_groups: dict[str, str],
    rules: tuple[Rule, ...],
) -> _State:
    products = recommender.products
    names = [variant_groups.get(item_id) for item_id in products.item_ids]
    codes = {name: code for code, name in enumerate(dict.fromkeys(filter(None, names)), start=1)}

    @lru_cache(maxsize=64)
    def restrict(categories: tuple[str, ...], brands: tuple[str, ...]) -> list[Restriction]:
        return list_attribute_restrictions(products, Filters(categories, brands))

    return _State(
        recommender=recommender,
        live=live,
        variant_groups=variant_groups,
        variant_codes=np.array([codes[name] if name else 0 for name in names], np.int32),
        words=WordIndex(products),
        is_titled=has_title(products.vectors),
        rules=rules,
        matched_rules=match_rules(rules, products),
        restrict_attributes=lambda filters: restrict(filters.categories, filters.brands),
    )


def _find_last_time(customers: Windows) -> int | None:
    """Return the time of the last purchase of a bundle, UTC milliseconds."""
    times = customers.sequences.timestamps
    if times is None:
        return None
    return int(times.max(where=customers.sequences.items > 0, initial=0))


def _find_item(state: _State, field: str, item_id: str) -> int:
    item = state.products.index.get(item_id)
    if item is None:
        raise InputError(f"{field}: there is no product {item_id!r} in the catalogue.")
    return item


def _score_without_views(scorer: Scorer, history: VisitorHistory) -> np.ndarray:
    """Return the scores after a history, shape (items + 1,), float32.

    Products of the context that were bought before get the score without the context.
    """
    scores = scorer.score(history.with_context)[0]
    rebought = np.intersect1d(history.context, history.bought)
    if len(rebought):
        scores[rebought] = scorer.score(history.purchases)[0][rebought]
    return scores


def _compare_titles(state: _State, items: list[int]) -> np.ndarray:
    """Return the cosine of each title and the mean of some titles; ``-inf`` if it is 0 or less."""
    mean = normalize_rows(state.products.vectors[items].mean(axis=0, keepdims=True))[0]
    cosines = state.products.vectors @ mean
    return np.where(state.is_titled & (cosines > 0), cosines, np.float32(-np.inf))


def _raise_above_zero(scores: np.ndarray) -> np.ndarray:
    """Return scores in the same order, but above 0. Scores above 0 do not change."""
    return np.where(scores > 0, scores, np.exp(np.minimum(scores, 0) - 20))


def _add_reciprocal_ranks(fused: np.ndarray, scores: np.ndarray, weight: float) -> None:
    """Add ``weight / (60 + rank)`` to the best products of a ranking, in place."""
    n = min(MAX_LISTED, int(np.count_nonzero(scores > -np.inf)))
    if n:
        best = find_top_positions(scores[None], n)[0]
        fused[best] += weight / (_FUSION_CONSTANT + 1 + np.arange(n))


def _explain_conflict(
    state: _State, page: Page, diversity: Diversity, item: int
) -> tuple[str, str] | None:
    """Return the limit of diversity that a product would exceed, and the reason in words."""
    listed = DiversityLimits(diversity, state.variant_codes, state.products.vectors)
    for other in page.items:
        listed.add(other)
    conflict = listed.find_conflict(item)
    if conflict is None:
        return None
    reason, items = conflict
    ids = ", ".join(repr(state.products.item_ids[other]) for other in items)
    if reason == "variant_limit":
        return reason, f"The list already contains enough variants of the product: {ids}."
    return reason, f"Its title is too similar to that of {ids}, which the list contains."


def _describe(
    state: _State, ranking: _Ranking, page: Page, row: Windows, offset: int
) -> tuple[ListedProduct, ...]:
    items = np.array(page.items, np.int64)
    scores = ranking.candidates.reported_scores[items]
    scores = np.where(np.isfinite(scores), scores, np.float32(0))
    boosted_by = {
        item: [matched.rule.name for matched, _ in ranking.boosts if matched.is_named[item]]
        for item in page.items
    }
    live, is_similar = state.live, ranking.candidates.is_similar
    return tuple(
        ListedProduct(
            recommendation=replace(recommendation, rank=offset + position),
            source=ranking.candidates.source
            if is_similar is None or not is_similar[item]
            else "similar",
            attributes=state.products.attributes[item],
            price=None if np.isnan(live.prices[item]) else float(live.prices[item]),
            in_stock=bool(live.in_stock[item]),
            rules=(*([page.pins[item]] if item in page.pins else []), *boosted_by[item]),
        )
        for position, (item, recommendation) in enumerate(
            zip(page.items, describe_products(state.products, items, scores, row), strict=True),
            start=1,
        )
    )


def _list_effective_rules(ranking: _Ranking, page: Page, k: int) -> tuple[str, ...]:
    """Return the names of the rules that changed a page.

    These are the rules that pinned or boosted a listed product, and those that removed or moved
    down a product that would be before the last one.
    """
    names = dict.fromkeys(page.pins.values())
    natural = [item for item in page.items if item not in page.pins]
    is_full = bool(natural) and len(page.items) == k
    last = ranking.boosted_keys[natural].min() if is_full else -np.inf
    others = [restriction for restriction in ranking.restrictions if restriction.rule is None]
    is_wanted = select_allowed(others, len(ranking.keys))
    is_wanted &= ranking.natural_keys > last
    for restriction in ranking.restrictions:
        if restriction.rule is not None and np.any(restriction.is_removed & is_wanted):
            names[restriction.rule] = None
    is_wanted[page.items] = False
    for matched, factor in ranking.boosts:
        is_lost = factor < 1 and np.any(matched.is_named & is_wanted & ranking.is_allowed)
        if matched.is_named[natural].any() or is_lost:
            names[matched.rule.name] = None
    return tuple(names)


def _note_prices(state: _State, filters: Filters) -> tuple[str, ...]:
    """Return a note about the products that a price filter removes without knowing their price."""
    if filters.min_price is None and filters.max_price is None:
        return ()
    n_unknown = int(np.count_nonzero(np.isnan(state.live.prices[1:])))
    if not n_unknown:
        return ()
    return (f"The price filter left out {n_unknown:,} products whose price is not known.",)
