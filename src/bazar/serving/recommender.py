"""Recommendations for one customer or for all: what notebooks, commands and programs call.

It needs no Kedro: a folder that the pipeline ``recommendation`` filled is enough.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from bazar.config.base import DEFAULT_SEED, format_validation_errors
from bazar.config.models import FALLBACK_MODEL, BundleOptions
from bazar.data.catalogue import Products
from bazar.data.sequences import Sequences
from bazar.data.title_embeddings import has_title
from bazar.data.windows import Windows, build_purchase_rows
from bazar.errors import InputError
from bazar.evaluation.ranking import map_batches, recommend_items
from bazar.evaluation.top_k import select_top_k
from bazar.models.networks.files import load_network
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import remap_network
from bazar.models.registry import BLEND, ModelRegistry, ReadNetwork, get_network_path
from bazar.models.scorer import Scorer
from bazar.serving.answers import RECOMMENDATIONS, Recommendation, Recommendations

logger = logging.getLogger(__name__)

BUNDLE, PRODUCTS, VECTORS, CUSTOMERS = (
    "shop.json", "bundle_products.parquet", "bundle_vectors.npy", "bundle_customers.arrow",
)  # fmt: skip
"""Files of a folder that a :class:`Recommender` is loaded from, beside the networks."""


class Catalog(Protocol):
    """What a Kedro catalog can do, as far as it is needed here."""

    def load(self, name: str) -> Any:
        """Load a data set."""
        ...


class Recommender:
    """Recommends products of a shop.

    Attributes:
        products: what there is to recommend.
        models: what recommends, the default first.
    """

    def __init__(
        self,
        products: Products,
        customers: Windows,
        options: BundleOptions,
        read_network: ReadNetwork,
    ) -> None:
        """Make ready to recommend.

        Args:
            products: what there is to recommend.
            customers: a row for each customer, after all that they bought.
            options: which models there are, and what they are made of.
            read_network: reads a trained network, of whichever catalogue.
        """
        self.products = products
        self.models = options.models
        self._customers = customers
        self._options = options
        self._is_titled = has_title(products.vectors)
        self._blend: Scorer | None = None

        def read(model: str, seed: int) -> RecurrentNetwork:
            return remap_network(read_network(model, seed), products.item_ids)

        self._made_of = ModelRegistry(
            products.vectors,
            build_purchase_rows(customers),
            products.counts,
            products.recent_counts,
            options.baselines,
            read,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a folder that the pipeline ``recommendation`` filled, and its default model.

        Args:
            folder: such as ``data/06_models/sample``; it may be copied anywhere, as a whole.

        Raises:
            InputError: if a file is missing, or a network is not the file that was written when
                it was trained.
        """
        folder = Path(folder)
        for name in (BUNDLE, PRODUCTS, VECTORS, CUSTOMERS):
            if not (folder / name).is_file():
                raise InputError(
                    f"there is no {folder / name}\nRun the pipeline recommendation, which writes "
                    "it, or give the folder of a data set in data/06_models"
                )
        options = read_options((folder / BUNDLE).read_text(encoding="utf-8"), folder / BUNDLE)
        of_results = folder if options.seed == DEFAULT_SEED else folder.parent

        def read_network(model: str, seed: int) -> RecurrentNetwork:
            if seed == options.seed:
                return load_network(folder / f"{get_network_path(model, DEFAULT_SEED)}.keras")
            return load_network(of_results / f"{get_network_path(model, seed)}.keras")

        with _readable_items(folder / CUSTOMERS) as path, pa.memory_map(str(path)) as source:
            customers = Windows.from_arrow(pa.ipc.open_file(source).read_all())
        with _readable_items(folder / VECTORS) as path:
            vectors = np.load(path, allow_pickle=False)
        with _readable_items(folder / PRODUCTS) as path:
            products = Products.from_frame(pd.read_parquet(path), vectors)
        return cls._of_one_run(products, customers, options, read_network)

    @classmethod
    def from_catalog(cls, catalog: Catalog) -> Self:
        """Read the same from a Kedro catalog, as a notebook has one.

        Args:
            catalog: of the environment whose recommendations are wanted.
        """
        options = BundleOptions.model_validate(catalog.load("shop"))

        def read_network(model: str, seed: int) -> RecurrentNetwork:
            networks, name = catalog.load("all_networks"), get_network_path(model, seed)
            if name not in networks:
                raise InputError(f"there is no {name}.keras: train the network again")
            return networks[name]()

        products = Products.from_frame(
            catalog.load("bundle_products"), catalog.load("bundle_vectors")
        )
        return cls._of_one_run(products, catalog.load("bundle_customers"), options, read_network)

    @classmethod
    def _of_one_run(
        cls,
        products: Products,
        customers: Windows,
        options: BundleOptions,
        read_network: ReadNetwork,
    ) -> Self:
        """Make ready to recommend from files that were packed together.

        Raises:
            InputError: if they were not: items would be taken for others.
        """
        bought = np.bincount(customers.sequences.items, minlength=len(products.counts))
        if not np.array_equal(bought[1:], products.counts[1:]):
            raise InputError(
                f"{CUSTOMERS} and {PRODUCTS} are not of the same run\n"
                "Run the pipeline recommendation again"
            )
        made = cls(products, customers, options, read_network)
        made.warm_up()
        return made

    def warm_up(self) -> None:
        """Load the default model, and let it answer: later answers take milliseconds."""
        some = np.flatnonzero(self.products.counts)[:1]
        self._best(self.models[0], some, 1, True, None)

    def recommend(
        self,
        history: Sequence[str],
        k: int = 10,
        model: str | None = None,
        filter_seen: bool | None = None,
        categories: Sequence[str] | None = None,
    ) -> Recommendations:
        """Recommend to whoever has bought something, the shop's customer or not.

        Args:
            history: ids of products, in the order in which they were bought. Of nobody's
                purchases, or none that the shop knows, follows what is bought most of late.
            k: products at most.
            model: one of :attr:`models`, or a baseline; None for the default.
            filter_seen: whether products of the history are left out; None for what the shop's
                ``recommendation.filter_seen`` says.
            categories: names of categories, brands or other attributes; only products that have
                one of them are recommended. None for all.

        Raises:
            InputError: if there is no such model, or no product of the categories.
        """
        model = self._check_model(model)
        self._check_k(k)
        if filter_seen is None:
            filter_seen = self._options.filter_seen
        known = [item_id for item_id in history if item_id in self.products.index]
        skipped = tuple(item_id for item_id in history if item_id not in self.products.index)
        if skipped:
            logger.warning("not in the catalogue, skipped: %s", ", ".join(skipped))
        allowed = (
            None if categories is None else self.products.select_by_attributes(list(categories))
        )
        items = np.array([self.products.index[item_id] for item_id in known], np.int32)
        read = items[-self._customers.history_length :]
        informative = self._scorer(model).informative_items
        if len(read) == 0 or (informative is not None and not informative[read].any()):
            model = FALLBACK_MODEL
        best, scores = self._best(model, items, k, filter_seen, allowed)
        return Recommendations(model, self._tell(best, scores, items), skipped)

    def history(self, user_id: str) -> list[str]:
        """Return what a customer bought, in the order of time.

        Raises:
            InputError: if the shop does not know the customer.
        """
        sequences = self._customers.sequences
        place = pc.index(sequences.user_ids, user_id).as_py()
        if place < 0:
            raise InputError(
                f"there is no customer {user_id}\nOf somebody new, name the products "
                "(--items), or none: then follows what is bought most of late"
            )
        bought = sequences.items[sequences.starts[place] : sequences.starts[place + 1] - 1]
        return self.products.item_ids[bought].tolist()

    def title(self, item_id: str) -> str | None:
        """Return the title of a product; None where it has none, or there is no such product."""
        return self.products.titles[self.products.index.get(item_id, 0)]

    def similar(self, item_id: str, k: int = 10) -> Recommendations:
        """Find the products with the nearest titles.

        Args:
            item_id: a product with a title.
            k: products at most.

        Returns:
            Other products; the scores are cosines.

        Raises:
            InputError: if the shop does not know the product, or it has no title.
        """
        self._check_k(k)
        index = self.products.index.get(item_id)
        if index is None:
            raise InputError(f"there is no product {item_id}")
        if not self._is_titled[index]:
            raise InputError(f"the product {item_id} has no title: nothing is near it")
        cosines = self.products.vectors @ self.products.vectors[index]
        cosines[~self._is_titled] = -np.inf
        cosines[index] = -np.inf
        best, cosines = select_top_k(cosines[None], k)
        found = best[0] > 0
        told = self._tell(best[0][found], cosines[0][found], np.array([]))
        return Recommendations("nearest_titles", told)

    def recommend_to_everyone(
        self, model: str, k: int, filter_seen: bool, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """Recommend to every customer, after all that they bought.

        Whoever has nothing in the history that the model can read, such as a title, is recommended
        what is bought most of late.

        Args:
            model: as of :meth:`recommend`.
            k: products for each, at most.
            filter_seen: whether products that a customer bought are left out.
            batch_size: customers at a time; bounds the memory to this times the catalogue.

        Yields:
            Rows of :data:`RECOMMENDATIONS`.
        """
        item_ids = pa.array(self.products.item_ids, pa.string())
        titles = pa.array(self.products.titles, pa.string())
        by = pa.array([model, FALLBACK_MODEL])
        for one in self._recommend_in_batches(model, k, filter_seen, batch_size):
            batch, items, scores, is_unread = one
            rows, places = np.nonzero(items)
            chosen = pa.array(items[rows, places])
            yield pa.record_batch(
                [
                    batch.user_ids.take(pa.array(rows)),
                    pa.repeat(model, len(rows)),
                    pa.array(places + 1, pa.int32()),
                    item_ids.take(chosen),
                    titles.take(chosen),
                    pa.array(scores[rows, places]),
                    by.take(pa.array(is_unread[rows].astype(np.int8))),
                ],
                schema=RECOMMENDATIONS,
            )

    def _recommend_in_batches(
        self, model: str, k: int, filter_seen: bool, batch_size: int
    ) -> Iterator[tuple[Windows, np.ndarray, np.ndarray, np.ndarray]]:
        """Every customer's best items and their scores, as :func:`recommend_items` gives them.

        Yields:
            Customers, items, scores, and for which of the customers they are what is popular.
        """
        scorer = self._scorer(self._check_model(model))
        popular = self._scorer(FALLBACK_MODEL)

        def best(batch: Windows) -> tuple[Windows, np.ndarray, np.ndarray, np.ndarray]:
            items, scores = recommend_items(scorer, batch, k, filter_seen)
            is_unread = np.zeros(len(batch), bool)
            if (informative := scorer.informative_items) is not None:
                is_unread = np.count_nonzero(informative[batch.histories()], axis=1) == 0
                if is_unread.any():
                    unread = batch.where(is_unread)
                    items[is_unread], scores[is_unread] = recommend_items(
                        popular, unread, k, filter_seen
                    )
            return batch, items, scores, is_unread

        yield from map_batches(best, self._customers, batch_size, f"recommending by {model}")

    def _best(
        self, model: str, items: np.ndarray, k: int, filter_seen: bool, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best items after a history, and their scores."""
        of_one = Sequences(
            pa.array([""], pa.large_string()),
            np.append(items, 0).astype(np.int32),
            np.array([0, len(items) + 1]),
        )
        row = Windows(of_one, np.array([len(items)]), self._customers.history_length)
        best, scores = recommend_items(self._scorer(model), row, k, filter_seen, allowed)
        return best[0][best[0] > 0], scores[0][best[0] > 0]

    def _scorer(self, model: str) -> Scorer:
        options = self._options
        if model != BLEND:
            return self._made_of.make(model, options.seed)
        if self._blend is None:
            self._blend = self._made_of.blend(options.blend, options.weights, options.seed)
        return self._blend

    def _check_model(self, model: str | None) -> str:
        if model is None:
            return self.models[0]
        if model not in self._made_of.names:
            raise InputError(
                f"there is no model {model}\nThere are {', '.join(sorted(self._made_of.names))}"
            )
        return model

    @staticmethod
    def _check_k(k: int) -> None:
        if k < 1:
            raise InputError(f"k is how many products are wanted, 1 at least, not {k}")

    def _tell(
        self, best: np.ndarray, scores: np.ndarray, history: np.ndarray
    ) -> tuple[Recommendation, ...]:
        """Say what the products are, and which past purchase is nearest to each."""
        products = self.products
        past = np.unique(history[self._is_titled[history]]) if len(history) else history
        cosines = products.vectors[best] @ products.vectors[past].T if len(past) else None
        told = []
        for place, (index, score) in enumerate(zip(best, scores, strict=True)):
            because: dict[str, Any] = {}
            if cosines is not None and self._is_titled[index]:
                nearest = int(np.argmax(cosines[place]))
                because = {
                    "nearest_item_id": products.item_ids[past[nearest]],
                    "nearest_title": products.titles[past[nearest]],
                    "nearest_cosine": float(cosines[place, nearest]),
                }
            told.append(
                Recommendation(
                    place + 1,
                    products.item_ids[index],
                    products.titles[index],
                    float(score),
                    **because,
                )
            )
        return tuple(told)


@contextmanager
def _readable_items(path: Path) -> Iterator[Path]:
    """Name the file in what goes wrong when it is read."""
    try:
        yield path
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read: {error}\nRun the pipeline recommendation again"
        ) from error


def read_options(text: str, path: Path) -> BundleOptions:
    """Read ``shop.json``.

    Raises:
        InputError: if it holds something else.
    """
    try:
        return BundleOptions.model_validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"{path} cannot be read\n{format_validation_errors(error)}\nRun the pipeline recommendation again"
        ) from error
