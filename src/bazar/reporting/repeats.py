"""Repeats: which products customers buy again, and after how long."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bazar.data.sequences import DAY_MS, Sequences
from bazar.data.windows import Windows
from bazar.evaluation.metrics import label_slices

MAX_CATEGORIES = 12
"""Maximum number of categories that are listed. The others are added up."""
OTHER = "other"
NO_CATEGORY = "no category"

# Smallest gap of each group. The last group has no upper bound.
_DAY_EDGES = (0, 1, 3, 7, 14, 30, 60, 90, 180, 365)
_ORDER_EDGES = (0, 1, 2, 3, 4, 6, 11, 21)


def summarise_repeats(
    test: Windows, item_ids: np.ndarray, categories: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return how many targets are repeats, by category, and the gaps between purchases.

    Args:
        test: the test rows.
        item_ids: shape (items + 1,), external ids by item index.
        categories: category by ``item_id``. Products without a category are left out.

    Returns:
        ``targets`` and ``repeats`` (counts); ``by_category``, a list of ``category``, ``targets``
        and ``repeats``, the category with the most targets first, empty if no target has a
        category; and ``gaps``, the result of :func:`count_gaps`. None if no target is a repeat.
    """
    _, items = test.list_targets()
    is_repeat = test.find_repeats()
    if not is_repeat.any():
        return None
    names = [categories.get(str(item_id), NO_CATEGORY) for item_id in item_ids[items]]
    return {
        "targets": len(items),
        "repeats": int(np.count_nonzero(is_repeat)),
        "by_category": _count_by_category(np.array(names, object), is_repeat),
        "gaps": count_gaps(test.sequences),
    }


def count_gaps(sequences: Sequences) -> dict[str, Any]:
    """Count the gaps between consecutive purchases of a product by one customer.

    A gap is between two orders. Purchases of the product at the same time are one purchase.

    Args:
        sequences: the sequences of all users.

    Returns:
        ``unit`` (``days``, or ``orders`` if the data has no timestamps), ``n_gaps``, ``median`` and
        ``counts``: the number of gaps by label of a group of gaps. ``median`` is None without gaps.
    """
    users = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
    positions = np.lexsort((sequences.items, users))
    is_same = (np.diff(users[positions]) == 0) & (np.diff(sequences.items[positions]) == 0)
    before, after = positions[:-1][is_same], positions[1:][is_same]
    orders = sequences.number_orders(after) - sequences.number_orders(before)
    if sequences.timestamps is None:
        unit, gaps = "orders", orders[orders > 0]
        groups = label_slices(gaps, _ORDER_EDGES)
    else:
        times = sequences.timestamps[after] - sequences.timestamps[before]
        unit, gaps = "days", times[(orders > 0) & (times > 0)] // DAY_MS
        groups = label_slices(gaps, _DAY_EDGES, "under 1")
    labels, first, counts = np.unique(groups, return_index=True, return_counts=True)
    ordered = sorted(zip(gaps[first].tolist(), labels, counts.tolist(), strict=True))
    return {
        "unit": unit,
        "n_gaps": len(gaps),
        "median": float(np.median(gaps)) if len(gaps) else None,
        "counts": {str(label): count for _, label, count in ordered},
    }


def _count_by_category(names: np.ndarray, is_repeat: np.ndarray) -> list[dict[str, Any]]:
    found, codes = np.unique(names, return_inverse=True)
    if found.tolist() == [NO_CATEGORY]:
        return []
    targets = np.bincount(codes, minlength=len(found))
    repeats = np.bincount(codes, weights=is_repeat, minlength=len(found)).astype(np.int64)
    order = np.argsort(-targets, kind="stable")
    listed = [
        {"category": str(found[code]), "targets": int(targets[code]), "repeats": int(repeats[code])}
        for code in order[:MAX_CATEGORIES]
    ]
    others = order[MAX_CATEGORIES:]
    if len(others):
        listed.append(
            {
                "category": OTHER,
                "targets": int(targets[others].sum()),
                "repeats": int(repeats[others].sum()),
            }
        )
    return listed
