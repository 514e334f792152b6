"""Models that recommend what a user bought before: by frequency, and by frequency and recency.

This module does not import TensorFlow.
"""

import numpy as np

from bazar.config.models import RecentPersonalFrequencyOptions
from bazar.data.seen_items import list_seen_items
from bazar.data.windows import Windows
from bazar.models.histories import read_all_orders
from bazar.models.history_matrices import build_history_matrix
from bazar.models.popularity import fill_with_popularity, scale_popularity
from bazar.models.scorer import Scorer

# Largest fraction that is added to a score to break ties.
_TIE_BREAK = 1e-3


class PersonalFrequency(Scorer):
    """Recommend the items that the user bought in most orders.

    This is the baseline "P-TopFreq" of Li et al. (2023, "A Next Basket Recommendation Reality
    Check"). Of two items with the same number of orders, the one that was bought last comes first,
    then the more popular one. All orders before the targets count, not only those of the history.
    Items that the user never bought are ordered by popularity.
    """

    predicts_repeats = True

    def __init__(self, training_counts: np.ndarray) -> None:
        self._popularity = scale_popularity(training_counts)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the numbers of orders; see :meth:`Scorer.score`.

        A fraction below 1, which is larger for a more recent purchase and a more popular item,
        breaks ties.
        """
        seen = list_seen_items(windows)
        recency = seen.n_orders - seen.orders_since + self._popularity[seen.items]
        recency /= seen.n_orders + 2
        scores = np.zeros((len(windows), len(self._popularity)), np.float32)
        scores[seen.rows, seen.items] = seen.counts + recency
        return fill_with_popularity(scores, self._popularity)


class RecentPersonalFrequency(Scorer):
    """Recommend the items that the user bought often and recently.

    The score of an item is the sum of ``decay ** age`` over the orders with the item. The age is 0
    for the last order, 1 for the order before it, and so on. A small fraction, which is larger for
    a more popular item, breaks ties. All orders before the targets count, not only those of the
    history. Items that the user never bought are ordered by popularity.
    """

    predicts_repeats = True

    def __init__(
        self, training_counts: np.ndarray, options: RecentPersonalFrequencyOptions
    ) -> None:
        self._popularity = scale_popularity(training_counts)
        self._decay = options.decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return the sums of the weights of orders; see :meth:`Scorer.score`."""
        weights = build_history_matrix(
            read_all_orders(windows), len(self._popularity), lambda ages: self._decay**ages
        )
        scores = weights.toarray()
        scores += np.where(scores > 0, _TIE_BREAK * self._popularity, 0).astype(np.float32)
        return fill_with_popularity(scores, self._popularity)
