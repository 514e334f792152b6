"""Descriptions of recommended products: their titles, and the past purchases behind them."""

from typing import Any

import numpy as np

from bazar.data.catalogue import Products
from bazar.data.seen_items import SeenItems, list_seen_items
from bazar.data.vector_search import compute_cosines, has_title
from bazar.data.windows import Windows
from bazar.serving.answers import Recommendation, shorten_float


def describe_products(
    products: Products,
    best: np.ndarray,
    scores: np.ndarray,
    row: Windows | None,
    first_rank: int = 1,
) -> tuple[Recommendation, ...]:
    """Describe recommended products, each with what the customer bought before.

    Args:
        products: the catalogue.
        best: shape (recommended,), int, item indices, the best first.
        scores: shape (recommended,), float32.
        row: one row, the history of the customer; None to leave out what was bought before.
        first_rank: rank of the first product.
    """
    past: list[dict[str, Any]] = [{}] * len(best)
    if row is not None:
        past = _describe_past(products, best, row)
    return tuple(
        Recommendation(
            rank, products.item_ids[item], products.titles[item], shorten_float(score), **purchases
        )
        for rank, (item, score, purchases) in enumerate(
            zip(best, scores, past, strict=True), start=first_rank
        )
    )


def _describe_past(products: Products, best: np.ndarray, row: Windows) -> list[dict[str, Any]]:
    """Describe the past purchases behind each recommended product, fields of Recommendation."""
    seen = list_seen_items(row)
    purchases = _describe_purchases(seen, row.request_times is not None)
    described = [dict(purchases.get(int(item), {})) for item in best]
    past = seen.items[has_title(products.vectors[seen.items])]
    if not len(past):
        return described
    cosines = compute_cosines(products.vectors[best], products.vectors[past])
    for position in np.flatnonzero(has_title(products.vectors[best])):
        nearest = int(np.argmax(cosines[position]))
        described[position] |= {
            "nearest_item_id": products.item_ids[past[nearest]],
            "nearest_title": products.titles[past[nearest]],
            "nearest_cosine": shorten_float(cosines[position, nearest]),
        }
    return described


def _describe_purchases(seen: SeenItems, has_clock: bool) -> dict[int, dict[str, Any]]:
    """Describe the past purchases of each item of one row, by item index."""
    gaps = seen.mean_gaps
    return {
        int(item): {
            "n_orders": int(seen.counts[pair]),
            "days_between_orders": (
                round(float(gaps[pair]), 1) if has_clock and seen.counts[pair] > 1 else None
            ),
            "days_since_last_order": round(float(seen.last_days[pair]), 1) if has_clock else None,
            "orders_since": int(seen.orders_since[pair]),
        }
        for pair, item in enumerate(seen.items)
    }
