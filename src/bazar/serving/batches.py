"""Recommendations for many customers, batch by batch."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from bazar.config.models import FALLBACK_MODEL
from bazar.data.catalogue import Products
from bazar.data.windows import Windows
from bazar.models.recommending import map_batches, recommend_items
from bazar.models.scorer import Scorer
from bazar.serving.answers import RECOMMENDATIONS


def recommend_in_batches(
    scorers: Mapping[str, Scorer],
    products: Products,
    customers: Windows,
    model: str,
    k: int,
    filter_seen: bool,
    batch_size: int,
) -> Iterator[pa.RecordBatch]:
    """Recommend to customers, after the complete history of each.

    ``recent_popularity`` answers for customers whose history the model cannot read.

    Args:
        scorers: the model and ``recent_popularity``, by name.
        products: the catalogue.
        customers: one row per customer.
        model: name of the model.
        k: maximum number of products per customer.
        filter_seen: whether products that a customer bought are removed.
        batch_size: customers at a time; the memory is proportional to this times the size of the
            catalogue.

    Yields:
        Rows of :data:`~bazar.serving.answers.RECOMMENDATIONS`.
    """
    recommend = make_batch_recommender(scorers, products, model, k, filter_seen)
    yield from map_batches(recommend, customers, batch_size, f"recommending by {model}")


def make_batch_recommender(
    scorers: Mapping[str, Scorer], products: Products, model: str, k: int, filter_seen: bool
) -> Callable[[Windows], pa.RecordBatch]:
    """Return a function that recommends to one batch of customers.

    The arguments are those of :func:`recommend_in_batches`.

    Returns:
        A function of one row per customer. It returns rows of
        :data:`~bazar.serving.answers.RECOMMENDATIONS`.
    """
    scorer, fallback = scorers[model], scorers[FALLBACK_MODEL]
    item_ids = pa.array(products.item_ids, pa.string())
    titles = pa.array(products.titles, pa.string())
    answering_models = pa.array([model, FALLBACK_MODEL])

    def recommend(batch: Windows) -> pa.RecordBatch:
        items, scores, is_fallback = _rank(scorer, fallback, batch, k, filter_seen)
        rows, positions = np.nonzero(items)
        chosen = pa.array(items[rows, positions])
        return pa.record_batch(
            [
                batch.user_ids.take(pa.array(rows)),
                pa.repeat(model, len(rows)),
                pa.array(positions + 1, pa.int32()),
                item_ids.take(chosen),
                titles.take(chosen),
                pa.array(scores[rows, positions]),
                answering_models.take(pa.array(is_fallback[rows].astype(np.int8))),
            ],
            schema=RECOMMENDATIONS,
        )

    return recommend


def _rank(
    scorer: Scorer, fallback: Scorer, batch: Windows, k: int, filter_seen: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the best items of each row.

    Returns:
        Items and scores as :func:`~bazar.models.recommending.recommend_items` returns them; and
        whether the fallback model answered, shape (rows,), bool.
    """
    items, scores = recommend_items(scorer, batch, k, filter_seen)
    is_fallback = np.zeros(len(batch), bool)
    if (informative := scorer.informative_items) is not None:
        rows, read, _ = batch.list_history()
        is_fallback = np.bincount(rows[informative[read]], minlength=len(batch)) == 0
        if is_fallback.any():
            items[is_fallback], scores[is_fallback] = recommend_items(
                fallback, batch.filter(is_fallback), k, filter_seen
            )
    return items, scores, is_fallback
