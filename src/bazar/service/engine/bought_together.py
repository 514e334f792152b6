"""Products that are bought together: counts of pairs within orders.

Nothing but a list of the positions of each item is stored. The pairs of a product are counted when
they are needed, which takes time proportional to the orders with the product.
"""

import numpy as np

from bazar.data.windows import Windows, expand_ranges

# Number of orders that are added to the support of a pair: a single coincidence is weak evidence.
_SHRINKAGE = 3.0


class BoughtTogether:
    """Counts pairs of items of one order.

    If no order has several items, the items of one user are counted instead. A guest's purchases
    are one order.
    """

    def __init__(self, customers: Windows, n_items: int) -> None:
        """List the orders of each item.

        Args:
            customers: the customers of a bundle.
            n_items: number of items + 1.
        """
        sequences = customers.sequences
        is_purchase = sequences.items > 0
        users = np.repeat(np.arange(len(sequences.starts) - 1), sequences.lengths)
        groups = sequences.number_orders(np.arange(len(sequences.items)))
        is_guest = sequences.is_guest[users]
        # Numbers behind those of the orders, so that both do not meet.
        groups = np.where(is_guest, groups.max(initial=0) + 1 + users, groups)
        pairs = np.unique(groups[is_purchase] * n_items + sequences.items[is_purchase])
        if not np.any(np.diff(pairs // n_items) == 0):
            pairs = np.unique(users[is_purchase] * n_items + sequences.items[is_purchase])
        groups, items = np.divmod(pairs, n_items)
        is_first = np.diff(groups, prepend=-1) != 0
        starts = np.flatnonzero(is_first)
        # The items of group g are items[starts[g]:starts[g + 1]].
        self._items = items.astype(np.int32)
        self._starts = np.append(starts, len(items))
        by_item = np.argsort(items, kind="stable")
        self._groups = (np.cumsum(is_first) - 1)[by_item].astype(np.int32)
        self._counts = np.bincount(items, minlength=n_items)
        self._item_starts = np.concatenate([[0], np.cumsum(self._counts)])

    def score(self, items: list[int]) -> np.ndarray:
        """Return how often each product is bought together with the given ones.

        The score of a pair is ``n_both / sqrt(n_first * n_second)`` (its cosine), times
        ``n_both / (n_both + 3)``, so that a pair that was seen once counts little. The score of a
        product is the sum over the given products.

        Args:
            items: item indices. Products that were added later have no pairs.

        Returns:
            Shape (items + 1,), float32; 0 for products without a pair, and for the given ones.
        """
        n_items = len(self._counts)
        scores = np.zeros(n_items)
        for item in items:
            if item >= n_items:
                continue
            groups = self._groups[self._item_starts[item] : self._item_starts[item + 1]]
            _, positions = expand_ranges(self._starts[groups], self._starts[groups + 1])
            together = np.bincount(self._items[positions], minlength=n_items)
            frequencies = np.sqrt(np.maximum(self._counts * self._counts[item], 1))
            scores += together / frequencies * (together / (together + _SHRINKAGE))
        scores[[item for item in items if item < n_items]] = 0
        return scores.astype(np.float32)
