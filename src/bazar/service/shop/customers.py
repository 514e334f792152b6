"""The demo customers: some known customers of the bundle with different tastes."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from bazar.data.catalogue import Products
from bazar.data.windows import Windows
from bazar.service.shop.catalogue import Assortment

N_CUSTOMERS = 6
"""Number of demo customers."""
# Customers who bought something in the last month of the data are preferred.
_RECENT_MS = 31 * 86_400_000
# A demo customer has between so many purchases.
_MIN_PURCHASES, _MAX_PURCHASES = 6, 60
# Number of customers whose purchases are looked at.
_MAX_EXAMINED = 500


@dataclass(frozen=True)
class DemoCustomer:
    """A customer of the bundle that a visitor of the demo can become.

    Attributes:
        user_id: the customer.
        label: what the switch shows, such as ``Customer A: Nails``.
    """

    user_id: str
    label: str


def find_end_of_data(customers: Windows) -> int | None:
    """Return the time of the last purchase, UTC milliseconds; None if times are not known."""
    times = customers.sequences.timestamps
    return int(times.max()) if times is not None and len(times) else None


def choose_customers(
    customers: Windows, products: Products, assortment: Assortment
) -> tuple[DemoCustomer, ...]:
    """Choose customers who bought much and lately, from as many categories as possible.

    Args:
        customers: the customers of the bundle.
        products: the catalogue.
        assortment: its categories.

    Returns:
        At most :data:`N_CUSTOMERS` customers. The same bundle always gives the same ones.
    """
    candidates = _list_candidates(customers)
    chosen: dict[str, tuple[int, str]] = {}
    others: list[tuple[int, str]] = []
    for row in candidates:
        items = _list_purchases(customers, row)
        counts = Counter(assortment.get_category(products.attributes[item]) for item in items)
        counts.pop("", None)
        favourite = counts.most_common(1)[0][0] if counts else ""
        entry = (row, favourite)
        if favourite in chosen:
            others.append(entry)
        else:
            chosen[favourite] = entry
    entries = [*chosen.values(), *others][:N_CUSTOMERS]
    user_ids = pc.take(customers.user_ids, [row for row, _ in entries]).to_pylist()
    return tuple(
        DemoCustomer(user_id, _describe(position, favourite))
        for position, (user_id, (_, favourite)) in enumerate(zip(user_ids, entries, strict=True))
    )


def _list_candidates(customers: Windows) -> list[int]:
    """Return rows, those with the most purchases first."""
    n_seen = customers.n_seen
    is_candidate = (n_seen >= _MIN_PURCHASES) & (n_seen <= _MAX_PURCHASES)
    times = customers.sequences.timestamps
    if times is not None and len(times):
        last = times[np.maximum(customers.target_positions - 1, 0)]
        is_recent = last >= times.max() - _RECENT_MS
        if np.count_nonzero(is_candidate & is_recent) >= N_CUSTOMERS:
            is_candidate &= is_recent
    if not is_candidate.any():
        is_candidate = n_seen > 0
    rows = np.flatnonzero(is_candidate)
    found: list[int] = rows[np.argsort(-n_seen[rows], kind="stable")][:_MAX_EXAMINED].tolist()
    return found


def _list_purchases(customers: Windows, row: int) -> list[int]:
    stop = int(customers.target_positions[row])
    items: list[int] = customers.sequences.items[stop - int(customers.n_seen[row]) : stop].tolist()
    return items


def _describe(position: int, favourite: str) -> str:
    name = f"Customer {chr(ord('A') + position)}"
    return f"{name}: {favourite}" if favourite else name
