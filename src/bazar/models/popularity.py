"""Popularity: as a model, and as the order of the items that another model does not score.

This module imports neither TensorFlow nor SciPy.
"""

import numpy as np

from bazar.data.windows import Windows
from bazar.models.scorer import Scorer

# Upper bound of the fraction that is added to a recent count to break ties.
_MAX_TIE_BREAK = 1e-3


class Popularity(Scorer):
    """Recommend the items that occur most often in the training part. The history is not used."""

    def __init__(self, training_counts: np.ndarray) -> None:
        self._counts = training_counts.astype(np.float32)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the counts; see :meth:`Scorer.score`."""
        return np.tile(self._counts, (len(windows), 1))


class RecentPopularity(Scorer):
    """Recommend the items that occur most often in the recent period. The history is not used.

    Items with equal recent counts are ordered by their counts in the complete training part. A
    score is the recent count plus a small fraction that breaks ties. Rounded to the nearest
    integer, a score is the recent count.
    """

    def __init__(self, recent_counts: np.ndarray, training_counts: np.ndarray) -> None:
        self._scores = _add_tie_breaks(recent_counts, training_counts)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the recent counts with ties broken; see :meth:`Scorer.score`."""
        return np.tile(self._scores, (len(windows), 1))


def scale_popularity(training_counts: np.ndarray) -> np.ndarray:
    """Return counts scaled to the range from 0 to below 1.

    Args:
        training_counts: shape (items + 1,), int64.

    Returns:
        Shape (items + 1,), float32.
    """
    return (training_counts / (training_counts.max() + 1)).astype(np.float32)


def fill_with_popularity(scores: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Rank the items without a positive score last, in order of popularity.

    Args:
        scores: shape (rows, items + 1), float32. The scores that are not positive are replaced in
            place.
        popularity: shape (items + 1,), float32, from 0 to below 1.

    Returns:
        ``scores``.
    """
    np.copyto(scores, popularity - 1, where=scores <= 0)
    return scores


def _add_tie_breaks(counts: np.ndarray, tie_counts: np.ndarray) -> np.ndarray:
    """Return counts plus small fractions that order items with equal counts.

    Args:
        counts: shape (items + 1,), int64.
        tie_counts: shape (items + 1,), int64. They order items with equal ``counts``.

    Returns:
        Shape (items + 1,), float32. Two items have equal values only if both their counts and
        their tie counts are equal.
    """
    pairs, pair_of_item = np.unique(
        np.stack([counts, tie_counts], axis=1), axis=0, return_inverse=True
    )
    fractions = _MAX_TIE_BREAK * pairs[:, 1] / (pairs[:, 1].max() + 1)
    values = (pairs[:, 0] + fractions).astype(np.float32)
    # float32 cannot represent the fractions of large counts. If rounding makes a value equal to the
    # value before it, the next higher float32 replaces it. This keeps the order of the pairs.
    for position in range(1, len(values)):
        if values[position] <= values[position - 1]:
            values[position] = np.nextafter(values[position - 1], np.float32(np.inf))
    return values[pair_of_item]
