"""Base class of all models. A model scores every item of the catalogue for each history.

This module does not import TensorFlow, so that baselines run without it.
"""

from abc import ABC, abstractmethod

import numpy as np

from bazar.data.windows import Windows
from bazar.models.top_k import select_top_k

PARALLEL_BATCHES = 2
"""Default number of batches that are scored in parallel."""

# Relative to the best item: upper bound of the share of an item with a score of 0 or less.
_SHARE_WITHOUT_EVIDENCE = 1e-9


class Scorer(ABC):
    """A model that scores every item for every history.

    Subclasses implement :meth:`score`. They override :meth:`rank` if they have a faster search for
    the best items. They override :meth:`to_shares` if their scores are not proportional to the
    evidence for an item.

    Attributes:
        informative_items: shape (items + 1,), bool: the items of a history that the model can use.
            The model cannot personalise a history without any of them. None if every item is
            informative.
        predicts_repeats: whether the model predicts which of the user's items the user buys again.
        max_parallel_batches: maximum number of batches that are scored in parallel.
    """

    informative_items: np.ndarray | None = None
    predicts_repeats: bool = False
    max_parallel_batches: int = PARALLEL_BATCHES

    @abstractmethod
    def score(self, windows: Windows) -> np.ndarray:
        """Return the score of every item for each history.

        Args:
            windows: rows of histories. Targets are not used. Models that predict repeats, and
                networks with repeat scores, also read the user's orders before the history.

        Returns:
            Shape (rows, items + 1), float32. Higher is better. The score is ``-inf`` if the model
            cannot recommend an item. Column 0 (padding) has no meaning.
        """

    def rank(self, windows: Windows, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scores of all items, and the best items.

        Args:
            windows: rows of histories.
            k: number of items per row.

        Returns:
            Three arrays: the scores of all items, as in :meth:`score`; the indices of the best
            items in order, shape (rows, k), int64, padded with 0; and the scores of the best
            items, shape (rows, k), float32.
        """
        scores = self.score(windows)
        return scores, *select_top_k(scores, k)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Return normalised scores (shares) that sum to 1 in each row, in the same order.

        By default, the share of an item is proportional to its score if the score is above 0.
        Items with a score of 0 or less get tiny shares, which keep their order.

        Args:
            scores: the result of :meth:`score`.

        Returns:
            Shape (rows, items + 1), float32, not negative; 0 where the score is ``-inf``. Each row
            sums to 1, including column 0 (padding).
        """
        best = scores.max(axis=1, keepdims=True)
        shares = np.subtract(1, np.minimum(scores, 0))
        np.divide(_SHARE_WITHOUT_EVIDENCE * np.where(best > 0, best, 1), shares, out=shares)
        shares += np.maximum(scores, 0)
        return normalize_shares(shares)


def normalize_shares(shares: np.ndarray) -> np.ndarray:
    """Return each row divided by its sum. Rows of zeros stay zeros.

    Args:
        shares: shape (rows, items + 1), float, not negative.

    Returns:
        The same shape, float32.
    """
    total = shares.sum(axis=1, keepdims=True)
    return (shares / np.where(total == 0, 1, total)).astype(np.float32, copy=False)
