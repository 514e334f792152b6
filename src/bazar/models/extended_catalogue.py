"""Fitted models for a catalogue to which items were added. They are not fitted again.

This module does not import TensorFlow.
"""

from dataclasses import replace

import numpy as np

from bazar.data.windows import Windows
from bazar.models.scorer import Scorer


class ExtendedCatalogueScorer(Scorer):
    """A fitted model that also scores the items that were added to the catalogue after the fit.

    Nobody has bought an added item when the model is fitted. Therefore it gets the lowest score of
    the row, like an item without interactions, and the model ignores it in histories.

    Attributes:
        fitted: the fitted model.
    """

    def __init__(self, fitted: Scorer, n_fitted: int, n_items: int) -> None:
        """Wrap a model.

        Args:
            fitted: a model whose scores do not depend on titles.
            n_fitted: number of items + 1 of the catalogue that it is fitted to.
            n_items: number of items + 1 of the extended catalogue.
        """
        self.fitted = fitted
        self.predicts_repeats = fitted.predicts_repeats
        self.max_parallel_batches = fitted.max_parallel_batches
        self._n_added = n_items - n_fitted
        is_informative = np.zeros(n_items, bool)
        informative = fitted.informative_items
        is_informative[:n_fitted] = True if informative is None else informative
        self.informative_items = is_informative
        self._n_fitted = n_fitted

    def extend(self, n_items: int) -> "ExtendedCatalogueScorer":
        """Return the same model for a larger catalogue of ``n_items`` items + 1."""
        return ExtendedCatalogueScorer(self.fitted, self._n_fitted, n_items)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the scores of all items; see :meth:`Scorer.score`."""
        scores = self.fitted.score(_drop_items(windows, self._n_fitted))
        lowest = scores[:, 1:].min(axis=1, where=scores[:, 1:] > -np.inf, initial=np.inf)
        lowest = np.where(np.isinf(lowest), -np.inf, lowest).astype(np.float32)
        return np.hstack([scores, np.repeat(lowest[:, None], self._n_added, axis=1)])


def _drop_items(windows: Windows, n_kept: int) -> Windows:
    """Return the rows without the items from an item index on."""
    keep = windows.sequences.items < n_kept
    if keep.all():
        return windows
    # The request of a row has the item 0, so that it is kept.
    positions = np.cumsum(keep)[windows.target_positions] - 1
    return replace(windows, sequences=windows.sequences.filter(keep), target_positions=positions)
