"""Recommendations for one customer or for all, for notebooks, commands and programs.

This module needs no Kedro: the bundle that the pipeline ``recommendation`` writes is enough.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from bazar.config.models import BASELINES, FALLBACK_MODEL
from bazar.data.catalogue import Products
from bazar.data.sequences import Sequences
from bazar.data.vector_search import compute_cosines, has_title
from bazar.data.windows import Windows, build_interaction_rows
from bazar.errors import InputError, suggest_names
from bazar.models.exported.network import ExportedNetwork
from bazar.models.recommending import recommend_items
from bazar.models.registry import BLEND, ModelRegistry, get_network_path
from bazar.models.scorer import Scorer
from bazar.models.top_k import select_top_k
from bazar.serving.answers import Recommendations
from bazar.serving.batches import recommend_in_batches
from bazar.serving.bundle import Bundle, find_bundle, read_bundle
from bazar.serving.descriptions import describe_products
from bazar.serving.requests import (
    KnownIds,
    check_categories,
    check_history,
    check_k,
    check_times,
    check_user_id,
    shorten_ids,
    split_known_items,
    to_milliseconds,
)

logger = logging.getLogger(__name__)


class Catalog(Protocol):
    """The part of a Kedro catalog that is needed here."""

    def load(self, name: str) -> Any:
        """Load a data set."""
        ...


class Recommender:
    """Recommends the products of a catalogue.

    Threads may share one Recommender.

    Attributes:
        products: the catalogue.
        models: the configured models, the default first.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Prepare to recommend. Models are loaded when they are first used.

        Args:
            bundle: the catalogue, the customers, and the models.
        """
        self.products = bundle.products
        self.models: tuple[str, ...] = bundle.options.models
        self._bundle = bundle
        self._options = bundle.options
        self._is_titled = has_title(bundle.products.vectors)
        self._blend: Scorer | None = None
        self._blend_lock = threading.Lock()
        self._registry = ModelRegistry(
            bundle.products.vectors,
            build_interaction_rows(bundle.customers),
            bundle.products.counts,
            bundle.products.recent_counts,
            bundle.options.baselines,
            # Not a method: without a cycle of references, an old catalogue is freed at once.
            partial(_read_network, bundle),
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a bundle and load all configured models.

        Args:
            folder: a bundle, which may be copied anywhere, or ``data/06_models/<dataset>``, whose
                file ``current`` names the bundle of the last finished run.

        Raises:
            InputError: if there is no bundle, or a file of it is missing or damaged.
        """
        recommender = cls(read_bundle(find_bundle(folder)))
        recommender.load_models()
        return recommender

    @classmethod
    def from_catalog(cls, catalog: Catalog) -> Self:
        """Read the bundle from a Kedro catalog. Models are loaded when they are first used.

        Args:
            catalog: the catalog of an environment, with the data set ``bundle``.
        """
        return cls(catalog.load("bundle"))

    @property
    def customers(self) -> Windows:
        """One row per customer, after the complete history."""
        return self._bundle.customers

    @property
    def available_models(self) -> tuple[str, ...]:
        """The models that the bundle can answer with: trained ones, then baselines."""
        seed, networks = self._options.seed, self._bundle.networks
        trained = [
            model
            for model in ("classifier", "regressor")
            if get_network_path(model, seed) in networks
        ]
        return (*([BLEND] if self._options.weights else []), *trained, *BASELINES)

    def load_models(self) -> None:
        """Load all configured models and let each answer once, so that requests need not wait."""
        row = self._build_row(np.flatnonzero(self.products.counts)[:1], None)
        for model in dict.fromkeys((*self.models, FALLBACK_MODEL)):
            self._rank(self._check_model(model), row, 1, True, None)

    def recommend(
        self,
        history: Sequence[str],
        k: int = 10,
        model: str | None = None,
        filter_seen: bool | None = None,
        categories: Sequence[str] | None = None,
        times: Sequence[datetime] | None = None,
        at: datetime | None = None,
    ) -> Recommendations:
        """Recommend products after a history, of a customer or of anybody else.

        Args:
            history: item ids in the order of purchase. Ids that are not in the catalogue are
                reported in the answer. If the history is empty, or the model cannot read any of
                its items, ``recent_popularity`` answers.
            k: maximum number of products.
            model: one of :attr:`available_models`; None for the default.
            filter_seen: whether items of the history are removed from the answer; None for the
                setting ``recommendation.filter_seen`` of the run.
            categories: recommend only products that have one of these categories, brands or other
                attributes; None for all products.
            times: time of each purchase, ascending; UTC unless it has an offset. Purchases at the
                same time are one order. None: each purchase is an order of its own, and the time
                between two orders is the shop's typical gap. If the data of the shop has no
                timestamps, times only show which purchases are one order.
            at: time of the request, if ``times`` are given; None for now.

        Raises:
            InputError: if the history is not a list of texts, none of its items is in the
                catalogue, the times do not fit the history, or the model or a category is unknown.
        """
        item_ids = check_history(history)
        milliseconds = check_times(times, at, len(item_ids))
        known, unknown = split_known_items(item_ids, self.products.index)
        if unknown:
            logger.warning("not in the catalogue: %s", shorten_ids(unknown))
        items = np.array([self.products.index[item_id] for item_id in known], np.int32)
        if milliseconds is not None:
            is_known = [item_id in self.products.index for item_id in item_ids]
            milliseconds = milliseconds[[*is_known, True]]
        row = self._build_row(items, milliseconds)
        return self._recommend_after(row, k, model, filter_seen, categories, unknown)

    def recommend_to_customer(
        self,
        user_id: str,
        k: int = 10,
        model: str | None = None,
        filter_seen: bool | None = None,
        categories: Sequence[str] | None = None,
        at: datetime | None = None,
    ) -> Recommendations:
        """Recommend products to a customer of the shop, after all orders.

        Args:
            user_id: the customer.
            k: maximum number of products.
            model: as for :meth:`recommend`.
            filter_seen: as for :meth:`recommend`.
            categories: as for :meth:`recommend`.
            at: time of the request, UTC unless it has an offset. None: the end of the shop's data.
                A time before the customer's last purchase is replaced by the time of that purchase.
                Without timestamps in the data, it has no effect.

        Raises:
            InputError: if the customer, the model or a category is unknown.
        """
        row = self.customers.take(np.array([self._find_row(user_id)]))
        if at is not None:
            row = row.move_requests(to_milliseconds(at))
        return self._recommend_after(row, k, model, filter_seen, categories, [])

    def _recommend_after(
        self,
        row: Windows,
        k: int,
        model: str | None,
        filter_seen: bool | None,
        categories: Sequence[str] | None,
        unknown: Sequence[str],
    ) -> Recommendations:
        """Recommend products after the history of one row."""
        model = self._check_model(model)
        check_k(k)
        if filter_seen is None:
            filter_seen = self._options.filter_seen
        allowed = None
        if categories is not None:
            allowed = self.products.select_by_attributes(check_categories(categories))
        model = self.find_answering_model(model, row)
        best, scores = self._rank(model, row, k, filter_seen, allowed)
        return Recommendations(
            model, describe_products(self.products, best, scores, row), tuple(unknown)
        )

    def extend(self, products: Products) -> "Recommender":
        """Return a Recommender for an extended catalogue. Fitted baselines are not fitted again.

        Args:
            products: the catalogue with further products, the result of :meth:`Products.add`.
        """
        extended = type(self)(replace(self._bundle, products=products))
        extended._registry.share_baselines(self._registry)
        return extended

    def find_answering_model(self, model: str | None, row: Windows) -> str:
        """Return the model that answers after the history of one row.

        Args:
            model: one of :attr:`available_models`; None for the default.
            row: one row.

        Returns:
            ``recent_popularity`` if the history is empty or the model cannot read any of its items,
            else the model.

        Raises:
            InputError: if the model is unknown.
        """
        model = self._check_model(model)
        recent = row.list_history()[1]
        informative = self.get_scorer(model).informative_items
        if len(recent) == 0 or (informative is not None and not informative[recent].any()):
            return FALLBACK_MODEL
        return model

    def find_customer(self, user_id: str) -> Windows | None:
        """Return the row of a customer, after all orders; None if there is none. Guests have none.

        Raises:
            InputError: if the id is not a text.
        """
        row = self._search_row(user_id)
        return None if row is None else self.customers.take(np.array([row]))

    @cached_property
    def known_products(self) -> KnownIds:
        """The ids of all products, to find an id that is written differently."""
        return KnownIds(pa.array(self.products.item_ids[1:], pa.large_string()))

    @cached_property
    def known_customers(self) -> KnownIds:
        """The ids of all customers, to find an id that is written differently."""
        return KnownIds(self.customers.user_ids)

    def has_customer(self, user_id: str) -> bool:
        """Return whether a customer is known. Guests are not customers."""
        return self._search_row(user_id) is not None

    def history(self, user_id: str) -> list[str]:
        """Return the ids of a customer's purchases, the oldest first.

        Raises:
            InputError: if the customer is unknown.
        """
        sequences = self.customers.sequences
        position = self.customers.target_positions[self._find_row(user_id)]
        start = sequences.starts[np.searchsorted(sequences.starts, position, side="right") - 1]
        return self.products.item_ids[sequences.items[start:position]].tolist()

    def title(self, item_id: str) -> str | None:
        """Return the title of a product; None if it has none or is unknown."""
        return self.products.titles[self.products.index.get(item_id, 0)]

    def similar(self, item_id: str, k: int = 10) -> Recommendations:
        """Find the products with the most similar titles.

        Args:
            item_id: a product with a title.
            k: maximum number of products.

        Returns:
            Other products; the scores are cosine similarities.

        Raises:
            InputError: if the product is unknown or has no title.
        """
        check_k(k)
        check_history([item_id])
        index = self.products.index.get(item_id)
        if index is None:
            raise InputError(f"There is no product {item_id!r} in the catalogue.")
        if not self._is_titled[index]:
            raise InputError(
                f"The product {item_id!r} has no title, and titles are compared. Use a product "
                "with a title."
            )
        cosines = compute_cosines(self.products.vectors[index : index + 1], self.products.vectors)
        cosines[:, ~self._is_titled] = -np.inf
        cosines[:, index] = -np.inf
        best, cosines = select_top_k(cosines, k)
        found = best[0] > 0
        nothing = self._build_row(np.array([], np.int32), None)
        products = describe_products(self.products, best[0][found], cosines[0][found], nothing)
        return Recommendations("nearest_titles", products)

    def recommend_to_everyone(
        self, model: str, k: int, filter_seen: bool, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """Recommend to every customer; see :func:`bazar.serving.batches.recommend_in_batches`."""
        model = self._check_model(model)
        yield from recommend_in_batches(
            {name: self.get_scorer(name) for name in (model, FALLBACK_MODEL)},
            self.products, self.customers, model, k, filter_seen, batch_size,
        )  # fmt: skip

    def _rank(
        self, model: str, row: Windows, k: int, filter_seen: bool, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the best items after one history, and their scores."""
        best, scores = recommend_items(self.get_scorer(model), row, k, filter_seen, allowed)
        return best[0][best[0] > 0], scores[0][best[0] > 0]

    def _build_row(self, items: np.ndarray, milliseconds: np.ndarray | None) -> Windows:
        """Build a row from the items of a history, and their times followed by the request's."""
        sequence = Sequences(
            pa.array([""], pa.large_string()),
            np.append(items, 0).astype(np.int32),
            np.array([0, len(items) + 1]),
            timestamps=milliseconds,
        )
        if milliseconds is not None and self.customers.sequences.orders is not None:
            is_new = np.diff(milliseconds, prepend=milliseconds[:1]) != 0
            # The request is an order of its own, even at the time of the last purchase.
            is_new[-1] = len(items) > 0
            sequence = replace(sequence, orders=np.cumsum(is_new).astype(np.int32))
        if self.customers.sequences.timestamps is None:
            # The models count orders instead of days. Ages in days would be far too large.
            sequence = replace(sequence, timestamps=None)
        return Windows(sequence, np.array([len(items)]), self.customers.history_length)

    def get_scorer(self, model: str) -> Scorer:
        """Return a model. The first call builds or loads it.

        Args:
            model: one of :attr:`available_models`.

        Raises:
            InputError: if the model is unknown.
        """
        self._check_model(model)
        options = self._options
        if model != BLEND:
            return self._registry.get_scorer(model, options.seed)
        with self._blend_lock:
            if self._blend is None:
                self._blend = self._registry.build_blend(
                    options.blend, options.weights, options.seed
                )
            return self._blend

    def _check_model(self, model: str | None) -> str:
        if model is None:
            return self.models[0]
        if model not in self.available_models:
            raise InputError(
                f"There is no model {model!r} in the bundle."
                f"{suggest_names(model, self.available_models)}"
            )
        return model

    def _find_row(self, user_id: str) -> int:
        """Return the row of a customer, or raise InputError if there is none."""
        row = self._search_row(user_id)
        if row is None:
            hint = self.known_customers.suggest([user_id], compare_letters=False)
            raise InputError(
                f"There is no customer {user_id!r}.{hint} Guests, and customers with fewer "
                "purchases than joining.min_interactions, are left out."
            )
        return row

    def _search_row(self, user_id: str) -> int | None:
        """Return the row of a customer; None if there is none, or it is a guest's."""
        check_user_id(user_id)
        sequences, rows = self.customers.sequences, self.customers.target_positions
        try:
            position = sequences.find_user(str(user_id))
        except UnicodeEncodeError:
            # Bytes of a command line that are not valid text.
            return None
        if position < 0:
            return None
        # Guests have a sequence, but no row.
        target = sequences.starts[position + 1] - 1
        row = int(np.searchsorted(rows, target))
        return row if row < len(rows) and rows[row] == target else None


def _read_network(bundle: Bundle, model: str, seed: int) -> ExportedNetwork:
    """Load a network and adapt it to the catalogue, which may have grown since training."""
    path = get_network_path(model, seed)
    if path not in bundle.networks:
        raise InputError(
            f"The bundle has no network {path}. Run the pipeline recommendation again."
        )
    products = bundle.products
    return bundle.networks[path]().change_catalogue(products.item_ids, products.texts)
