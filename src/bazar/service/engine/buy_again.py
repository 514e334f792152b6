"""Products that are due: bought before, and usually bought again after about this time."""

import numpy as np

from bazar.data.seen_items import list_seen_items
from bazar.data.windows import Windows
from bazar.models.histories import read_all_orders

# A product is due after this part of the usual time between two purchases.
_DUE_SHARE = 0.5
# Number of average gaps that are added to the gaps of an item.
_SMOOTHING = 3.0


class RepeatRhythm:
    """The usual number of days between two purchases of each item.

    Without timestamps, one order is one day.

    Attributes:
        gaps: shape (items + 1,), float64, mean days between two purchases of an item by the same
            user, with a few gaps of the average item added.
    """

    def __init__(self, customers: Windows, n_items: int) -> None:
        """Compute the gaps.

        Args:
            customers: the customers of a bundle.
            n_items: number of items + 1.
        """
        seen = list_seen_items(read_all_orders(customers))
        repeated = seen.filter(seen.counts > 1)
        n_gaps = np.bincount(repeated.items, repeated.counts - 1, n_items)
        spans = np.bincount(repeated.items, repeated.first_days - repeated.last_days, n_items)
        self._average = float(spans.sum() / n_gaps.sum()) if len(repeated) else 0.0
        self.gaps = (spans + _SMOOTHING * self._average) / (n_gaps + _SMOOTHING)
        self._has_clock = customers.sequences.timestamps is not None

    def find_due_items(self, row: Windows) -> np.ndarray:
        """Return the products of a history that are due, item indices, int64.

        A product is due if at least half of its usual gap passed since its last purchase. The gap
        is the visitor's own, or that of all users for a product that was bought once.

        Args:
            row: one row. If it has no timestamps although the bundle has, no days can be compared,
                and all products of earlier orders than the last one are due.
        """
        seen = list_seen_items(row)
        if self._has_clock and row.sequences.timestamps is None:
            return seen.items[seen.orders_since > 0].astype(np.int64)
        last = len(self.gaps) - 1
        usual = np.where(seen.items <= last, self.gaps[np.minimum(seen.items, last)], self._average)
        gaps = np.where(seen.counts > 1, seen.mean_gaps, usual)
        is_due = (seen.last_days >= _DUE_SHARE * gaps) & (seen.last_days > 0)
        return seen.items[is_due].astype(np.int64)
