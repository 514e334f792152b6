"""Descriptions of recommended products: their titles, and the past purchases behind them."""

from typing import Any

import numpy as np

from bazar.data.catalogue import Products
from bazar.data.seen_items import SeenItems, list_seen_items
from bazar.data.vector_search import has_title
from bazar.data.windows import Windows
from bazar.serving.answers import Recommendation, shorten_float


def describe_products(
    products: Products, best: np.ndarray, scores: np.ndarray, row: Windows
) -> tuple[Recommendation, ...]:
    """Describe recommended products, each with what the customer bought before.

    Args:
        products: the catalogue.
        best: shape (recommended,), int, item indices, the best first.
        scores: shape (recommended,), float32.
        row: one row, the history of the customer.
    """
    seen = list_seen_items(row)
    purchases = _describe_purchases(seen, row.request_times is not None)
    past = seen.items[has_title(products.vectors[seen.items])]
    cosines = products.vectors[best] @ products.vectors[past].T if len(past) else None
    is_titled = has_title(products.vectors[best])
    described = []
    for position, (index, score) in enumerate(zip(best, scores, strict=True)):
        nearest_purchase: dict[str, Any] = {}
        if cosines is not None and is_titled[position]:
            nearest = int(np.argmax(cosines[position]))
            nearest_purchase = {
                "nearest_item_id": products.item_ids[past[nearest]],
                "nearest_title": products.titles[past[nearest]],
                "nearest_cosine": shorten_float(cosines[position, nearest]),
            }
        described.append(
            Recommendation(
                position + 1,
                products.item_ids[index],
                products.titles[index],
                shorten_float(score),
                **nearest_purchase,
                **purchases.get(int(index), {}),
            )
        )
    return tuple(described)


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
