"""The interface that all models share: they score every item of the catalogue for a history.

This module imports no TensorFlow, so that baselines run without it.
"""

from abc import ABC, abstractmethod

import numpy as np

from bazar.data.windows import Windows
from bazar.models.top_k import select_top_k

PARALLEL_BATCHES = 2
"""Number of batches that are scored at the same time, unless a model sets another one."""

# Share of items without evidence, relative to the best item: they keep their order, far behind.
_SHARE_WITHOUT_EVIDENCE = 1e-9


class Scorer(ABC):
    """A model that scores every item for every history.

    Subclasses implement :meth:`score`. They override :meth:`rank` if they find the best items
    faster than by looking at all scores, and :meth:`to_shares` if their scores are not evidence.

    Attributes:
        informative_items: shape (items + 1,), bool: the items of a history that the model can use.
            If a history has none of them, the model knows nothing about it. None if every item
            is informative.
        max_parallel_batches: number of batches that may be scored at the same time.
    """

    informative_items: np.ndarray | None = None
    max_parallel_batches: int = PARALLEL_BATCHES

    @abstractmethod
    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue.

        Args:
            windows: rows of histories. Their targets and the items seen before the history are
                not used.

        Returns:
            Shape (rows, items + 1), float32. Higher is better; ``-inf`` if the model cannot
            recommend an item. Column 0 (padding) has no meaning.
        """

    def rank(self, windows: Windows, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score the catalogue, and find the best items.

        Args:
            windows: rows of histories.
            k: number of items per row.

        Returns:
            The scores of all items as :meth:`score` returns them; the indices of the best items in
            order, shape (rows, k), int64, filled up with 0; and their scores, shape (rows, k),
            float32.
        """
        scores = self.score(windows)
        return scores, *select_top_k(scores, k)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Convert scores to shares of the catalogue, in the same order.

        By default, scores are taken as evidence. The share of an item with a score above 0 is
        proportional to it. Items with a score of 0 or less keep their order far behind the others.

        Args:
            scores: returned by :meth:`score`.

        Returns:
            Shape (rows, items + 1), float32, not negative; 0 where the score is ``-inf``. Each row
            sums to 1, with its column 0 (padding).
        """
        best = scores.max(axis=1, keepdims=True)
        shares = np.subtract(1, np.minimum(scores, 0))
        np.divide(_SHARE_WITHOUT_EVIDENCE * np.where(best > 0, best, 1), shares, out=shares)
        shares += np.maximum(scores, 0)
        return normalize_shares(shares)


def normalize_shares(shares: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; rows of zeros stay zeros.

    Args:
        shares: shape (rows, items + 1), float, not negative.

    Returns:
        The same shape, float32.
    """
    total = shares.sum(axis=1, keepdims=True)
    return (shares / np.where(total == 0, 1, total)).astype(np.float32, copy=False)
