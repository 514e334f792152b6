"""Baselines: models that train no network.

They count pairs, compare titles, or solve a linear model in closed form. Compare every network with
them. This module does not import TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from bazar.config.models import DecayedCooccurrenceOptions, EaseOptions, SessionKnnOptions
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.histories import list_order_items, split_by_size
from bazar.models.history_matrices import build_history_matrix, count_pairs
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.popularity import fill_with_popularity, scale_popularity
from bazar.models.scorer import Scorer
from bazar.models.sparse_scores import keep_highest

# Number of columns of a dense item matrix that are processed at a time.
_BLOCK_COLUMNS = 1_000


class NearestTitles(TitleVectorScorer):
    """Recommend the items with titles similar to the titles of the last order of the history.

    Orders without a title are skipped. The titles of an order are compared by their mean vector.
    """

    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return the unit mean vector of the last order with a title; zeros if there is none."""
        vectors = self.index.item_vectors
        rows, items, ages = list_order_items(windows)
        is_titled = self.index.is_titled[items]
        rows, items, ages = rows[is_titled], items[is_titled], ages[is_titled]
        last = np.full(len(windows), np.iinfo(np.int64).max)
        np.minimum.at(last, rows, ages)
        is_last = ages == last[rows]
        rows, items = rows[is_last], items[is_last]
        entries = (np.ones(len(rows), np.float32), (rows, items))
        members = sparse.coo_array(entries, (len(windows), len(vectors))).tocsr()
        points = members @ vectors
        # The vector of a single title is a unit vector already.
        has_several = np.diff(members.indptr) > 1
        norms = np.linalg.norm(points[has_several], axis=1, keepdims=True)
        points[has_several] /= np.where(norms > 0, norms, 1)
        return np.asarray(points, np.float32)


class LastItemCooccurrence(Scorer):
    """Recommend the items that the same users bought as the items of the last order.

    Each pair of a history item and a target in the training rows counts once, in both directions.
    Items without such a pair are ordered by popularity.
    """

    def __init__(self, train: Windows, training_counts: np.ndarray) -> None:
        pairs = count_pairs(train, len(training_counts), np.ones_like)
        self._pairs = sparse.csr_array(pairs + pairs.T)
        # A pair counts 1. Popularity is below 1, so it only breaks ties between counts of pairs.
        self._popularity = scale_popularity(training_counts)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the counts of pairs. Popularity breaks ties. See :meth:`Scorer.score`."""
        last = build_history_matrix(
            replace(windows, history_length=1), len(self._popularity), np.ones_like
        )
        return (last @ self._pairs).toarray() + self._popularity


class DecayedCooccurrence(Scorer):
    """Recommend the items that were bought after, or before, the items of the history.

    A pair of interactions has a lower weight if many orders are between them, if the recommended
    item is the earlier of the two, or if the recommended item is popular. All items of the history
    are used. Recent orders have a higher weight. Items without such a pair are ordered by
    popularity.
    """

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: DecayedCooccurrenceOptions
    ) -> None:
        pairs = count_pairs(
            train, len(training_counts), lambda distance: distance**-options.distance_power
        )
        per_popularity = np.maximum(training_counts, 1.0) ** -options.popularity_power
        self._pairs = ((pairs + options.backward_weight * pairs.T) * per_popularity).tocsr()
        self._pairs = self._pairs.astype(np.float32)
        self._popularity = scale_popularity(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of pair weights; see :meth:`Scorer.score`."""
        histories = build_history_matrix(
            windows, len(self._popularity), lambda ages: self._decay**ages
        )
        return fill_with_popularity((histories @ self._pairs).toarray(), self._popularity)


class SessionKnn(Scorer):
    """Recommend the items of the training sequences that are most similar to the history.

    This is vector multiplication session kNN (V-SKNN, Ludewig and Jannach 2018). A history is a
    vector over items in which recent orders have higher weights. A training sequence is a unit
    vector in which all its items have equal weights. The similarity is the dot product. The score
    of an item is the sum of the similarities of the nearest sequences that contain it. Equally
    similar sequences are taken in the order of ``train``. Items that occur in none of the nearest
    sequences are ordered by popularity.
    """

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: SessionKnnOptions
    ) -> None:
        self._sequences = _build_training_sequences(train, len(training_counts))
        lengths = np.maximum(self._sequences.sum(axis=1), 1.0)
        self._users_of_items = (self._sequences.T * lengths**-0.5).tocsr().astype(np.float32)
        self._popularity = scale_popularity(training_counts)
        self._options = options

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of similarities; see :meth:`Scorer.score`."""
        histories = build_history_matrix(
            windows, len(self._popularity), lambda ages: self._options.history_decay**ages
        )
        scores = np.empty(histories.shape, np.float32)
        for rows in self._split_rows(histories):
            similarities = histories[rows] @ self._users_of_items
            nearest = keep_highest(similarities, self._options.neighbours)
            scores[rows] = (nearest @ self._sequences).toarray()
        return fill_with_popularity(scores, self._popularity)

    def _split_rows(self, histories: sparse.csr_array) -> Iterator[slice]:
        """Return slices of rows with a limited number of similar sequences."""
        per_entry = np.diff(self._users_of_items.indptr)[histories.indices]
        sizes = np.diff(np.concatenate([[0], np.cumsum(per_entry)])[histories.indptr])
        return split_by_size(sizes)


class Ease(Scorer):
    """Recommend with a linear model that predicts each item of a sequence from its other items.

    This is EASE^R (Steck 2019). It has a closed-form solution. Let ``P`` be the inverse of the
    regularised co-occurrence matrix of the training sequences. The weight of item ``i`` for item
    ``j`` is ``-P[i, j] / P[j, j]``. Recent orders of a history have higher weights. If the model
    knows no item of a history, it ranks its items by popularity.

    Attributes:
        items: shape (known items,), int64, ascending: item indices of the model, the most popular
            items of the training part. Other items have the score ``-inf``.
    """

    def __init__(self, train: Windows, training_counts: np.ndarray, options: EaseOptions) -> None:
        most_popular = np.argsort(-training_counts, kind="stable")[: options.max_items]
        self.items = np.sort(most_popular[training_counts[most_popular] > 0])
        sequences = _build_training_sequences(train, len(training_counts))[:, self.items]
        self._weights = _solve_ease(sequences.tocsc(), options.regularisation)
        self._popularity = scale_popularity(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of item weights; see :meth:`Scorer.score`."""
        size = len(self._popularity)
        histories = build_history_matrix(windows, size, lambda ages: self._decay**ages)
        histories = histories[:, self.items]
        scores = np.full((len(windows), size), -np.inf, np.float32)
        scores[:, self.items] = histories @ self._weights
        unknown = np.flatnonzero(np.diff(histories.indptr) == 0)
        scores[np.ix_(unknown, self.items)] = self._popularity[self.items]
        return scores


def _build_training_sequences(train: Windows, size: int) -> sparse.csr_array:
    """Return the binary matrix of users and the items that they bought in the training rows.

    Returns:
        Shape (users, size), float32; 1 if the item is a target or in a history of the user.
    """
    sequences = train.sequences
    positions = np.flatnonzero(train.mark_used_interactions())
    users = np.searchsorted(sequences.starts, positions, side="right") - 1
    entries = (np.ones(len(positions), np.float32), (users, sequences.items[positions]))
    bought = sparse.coo_array(entries, (len(sequences.user_ids), size)).tocsr()
    bought.data[:] = 1
    return bought


def _solve_ease(sequences: sparse.csc_array, regularisation: float) -> np.ndarray:
    """Return the weights of EASE. It needs the memory of a single dense matrix.

    Args:
        sequences: shape (users, items), float32, 0 or 1.
        regularisation: added to the diagonal of the co-occurrence matrix.

    Returns:
        Shape (items, items), float32: the weight of each item (row) for each item (column). The
        diagonal is 0.

    Raises:
        InputError: if the matrix cannot be inverted because the regularisation is too small.
    """
    # No other baseline needs it, and its import takes a tenth of a second.
    from scipy.linalg import lapack

    n_items = sequences.shape[1]
    # LAPACK works in place if the matrix is in Fortran order.
    matrix = np.empty((n_items, n_items), np.float32, order="F")
    blocks = [
        slice(start, min(start + _BLOCK_COLUMNS, n_items))
        for start in range(0, n_items, _BLOCK_COLUMNS)
    ]
    for block in blocks:
        matrix[:, block] = (sequences.T @ sequences[:, block]).toarray()
    diagonal = np.arange(n_items)
    matrix[diagonal, diagonal] += regularisation
    matrix, failed = lapack.spotrf(matrix, lower=1, overwrite_a=1)
    if not failed:
        matrix, failed = lapack.spotri(matrix, lower=1, overwrite_c=1)
    if failed:
        raise InputError(
            "EASE cannot be solved: ease.regularisation is too small, got "
            f"{regularisation:g}. Set a larger value."
        )
    # The inverse is symmetric. LAPACK fills only its lower half.
    inverse = matrix.T
    for block in blocks:
        corner = inverse[block, block]
        inverse[block, block] = corner + np.triu(corner, 1).T
        inverse[block.stop :, block] = inverse[block, block.stop :].T
    inverse /= -inverse[diagonal, diagonal]
    inverse[diagonal, diagonal] = 0
    return inverse
