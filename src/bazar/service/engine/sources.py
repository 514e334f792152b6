"""Sources of lists: they score the products of the catalogue for a request."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bazar.data.vector_search import compute_cosines, normalize_rows
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.scorer import Scorer
from bazar.models.top_k import find_top_positions
from bazar.service.engine.bought_together import BoughtTogether
from bazar.service.engine.buy_again import RepeatRhythm
from bazar.service.engine.histories import VisitorHistory
from bazar.service.engine.requests import (
    MAX_LISTED,
    BoughtTogetherRequest,
    BuyAgainRequest,
    ListRequest,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from bazar.service.engine.restrictions import Restriction, restrict_items, select_allowed
from bazar.service.engine.state import State

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
class Candidates:
    """Products that a source scored.

    Attributes:
        source: what answers.
        scores: shape (items + 1,), float32; ``-inf`` if a product is not proposed.
        reported_scores: the scores of the answer, the same shape.
        shares: function that returns normalised scores above 0 in the same order.
        restrictions: restrictions of this kind of list.
        is_similar: shape (items + 1,), bool: products with the source ``similar`` instead; None for
            none.
        notes: see :class:`~bazar.service.engine.answers.Answer`.
    """

    source: str
    scores: np.ndarray
    reported_scores: np.ndarray
    shares: Callable[[np.ndarray], np.ndarray]
    restrictions: list[Restriction]
    is_similar: np.ndarray | None = None
    notes: tuple[str, ...] = ()


class Sources:
    """Scores products. Indices of the customers' purchases are built when they are first used.

    Threads may share one object.
    """

    def __init__(
        self, customers: Windows, n_items: int, filter_seen: bool, encode: Encoder | None
    ) -> None:
        """Prepare to score.

        Args:
            customers: the customers of the bundle.
            n_items: number of items + 1 of the bundle.
            filter_seen: whether products that a visitor bought are removed by default.
            encode: encoder of the titles; None if there is none.
        """
        self._customers = customers
        self._n_items = n_items
        self._filter_seen = filter_seen
        self._encode = encode
        self._lock = threading.Lock()
        self._bought_together: BoughtTogether | None = None
        self._rhythm: RepeatRhythm | None = None

    def load(self, state: State) -> None:
        """Load the configured models and build the indices, so that requests need not wait.

        Raises:
            InputError: if a file of a model is damaged.
        """
        state.recommender.load_models()
        state.recommender.get_scorer(_TIMING_MODEL)
        self._get_bought_together()
        self._get_rhythm()

    def score(
        self,
        state: State,
        request: ListRequest,
        history: VisitorHistory,
        restrictions: list[Restriction],
    ) -> Candidates:
        """Score the products for a request.

        Args:
            state: the catalogue and the models.
            request: the request.
            history: the history of its visitor.
            restrictions: the restrictions that do not depend on the kind of list.

        Raises:
            InputError: if the request names an unknown product, or one without a title where titles
                are compared.
        """
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
        self, state: State, request: RecommendRequest, history: VisitorHistory
    ) -> Candidates:
        model = state.recommender.find_answering_model(request.model, history.with_context)
        scorer = state.recommender.get_scorer(model)
        filter_seen = request.filter_seen
        if filter_seen is None:
            filter_seen = self._filter_seen
        scores = _score_without_views(scorer, history)
        restrictions = [
            restrict_items(
                "in_cart", "The product is in the cart.", history.in_cart, state.n_items
            ),
            restrict_items(
                "viewed",
                "The visitor has just looked at the product and never bought it.",
                np.setdiff1d(history.context, history.bought) if len(history.context) else (),
                state.n_items,
            ),
        ]
        if filter_seen:
            text = "The visitor bought the product, and bought products are left out."
            restrictions.append(
                restrict_items("already_bought", text, history.bought, state.n_items)
            )
        return Candidates(
            model, scores, scores, lambda values: scorer.to_shares(values[None])[0], restrictions
        )

    def _score_similar(self, state: State, request: SimilarRequest) -> Candidates:
        item = state.find_item("item_id", request.item_id)
        if not state.is_titled[item]:
            raise InputError(
                f"The product {request.item_id!r} has no title, and titles are compared. Use a "
                "product with a title."
            )
        text = "The list is about this product."
        cosines = _compare_titles(state, [item])
        return Candidates(
            "similar",
            cosines,
            cosines,
            _raise_above_zero,
            [restrict_items("excluded", text, [item], state.n_items)],
        )

    def _score_bought_together(
        self, state: State, request: BoughtTogetherRequest, history: VisitorHistory
    ) -> Candidates:
        items = [state.find_item("item_ids", item_id) for item_id in request.item_ids]
        pairs = self._get_bought_together().score(items)
        scores = np.zeros(state.n_items, np.float32)
        scores[: len(pairs)] = pairs
        cosines = _compare_titles(state, items)
        is_pair = scores > 0
        own = [*items, *history.in_cart.tolist()]
        text = "The product is in the cart, or the list is about it."
        return Candidates(
            "bought_together",
            # Pairs first: a cosine minus 2 is below 0.
            np.where(is_pair, scores, cosines - 2),
            np.where(is_pair, scores, cosines),
            _raise_above_zero,
            [restrict_items("in_cart", text, own, state.n_items)],
            ~is_pair,
        )

    def _score_buy_again(self, state: State, history: VisitorHistory) -> Candidates:
        scorer = state.recommender.get_scorer(_TIMING_MODEL)
        scores = np.full(state.n_items, -np.inf, np.float32)
        notes: tuple[str, ...] = ()
        if len(history.bought):
            due = self._get_rhythm().find_due_items(history.purchases)
            scores[due] = scorer.score(history.purchases)[0][due]
        else:
            notes = ("The visitor has not bought anything yet.",)
        text = "The product is in the cart."
        return Candidates(
            "buy_again",
            scores,
            scores,
            _raise_above_zero,
            [restrict_items("in_cart", text, history.in_cart, state.n_items)],
            notes=notes,
        )

    def _score_search(
        self,
        state: State,
        request: SearchRequest,
        history: VisitorHistory,
        restrictions: list[Restriction],
    ) -> Candidates:
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
        return Candidates("search", scores, scores, _raise_above_zero, [], notes=notes)

    def _get_bought_together(self) -> BoughtTogether:
        if self._bought_together is None:
            with self._lock:
                if self._bought_together is None:
                    self._bought_together = BoughtTogether(self._customers, self._n_items)
        return self._bought_together

    def _get_rhythm(self) -> RepeatRhythm:
        if self._rhythm is None:
            with self._lock:
                if self._rhythm is None:
                    self._rhythm = RepeatRhythm(self._customers, self._n_items)
        return self._rhythm


def _score_without_views(scorer: Scorer, history: VisitorHistory) -> np.ndarray:
    """Return the scores after a history, shape (items + 1,), float32.

    Products of the context that were bought before get the score without the context.
    """
    scores = scorer.score(history.with_context)[0]
    if not len(history.context):
        return scores
    rebought = np.intersect1d(history.context, history.bought)
    if len(rebought):
        scores[rebought] = scorer.score(history.purchases)[0][rebought]
    return scores


def _compare_titles(state: State, items: list[int]) -> np.ndarray:
    """Return the cosine of each title and the mean of some titles; ``-inf`` if it is 0 or less."""
    mean = normalize_rows(state.products.vectors[items].mean(axis=0, keepdims=True))
    cosines = compute_cosines(mean, state.products.vectors)[0]
    return np.where(state.is_titled & (cosines > 0), cosines, np.float32(-np.inf))


def _raise_above_zero(scores: np.ndarray) -> np.ndarray:
    """Return scores in the same order, but above 0. Scores above 0 do not change."""
    return np.where(scores > 0, scores, np.exp(np.minimum(scores, 0) - 20))


def _add_reciprocal_ranks(fused: np.ndarray, scores: np.ndarray, weight: float) -> None:
    """Add ``weight / (60 + rank)`` to the best products of a ranking, in place."""
    n = min(MAX_LISTED, int(np.count_nonzero(scores > -np.inf)))
    if n:
        best = find_top_positions(scores[None], n)[0]
        # Equal scores share the first of their ranks.
        ranks = 1 + np.searchsorted(-scores[best], -scores[best])
        fused[best] += weight / (_FUSION_CONSTANT + ranks)
