"""Baselines: models that train no network.

They count interactions, compare titles, or solve a linear model in closed form. Compare every
network with them. This module does not import TensorFlow.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from bazar.config.models import DecayedCooccurrenceOptions, EaseOptions, SessionKnnOptions
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.scorer import Scorer

# Maximum number of pairs in memory: pairs of items, or pairs of a history and a neighbour.
_MAX_PAIRS = 5_000_000
# Number of columns of a dense item matrix that are processed at a time.
_BLOCK_COLUMNS = 1_000
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


class NearestTitles(TitleVectorScorer):
    """Recommend the items with titles similar to the title of the last item of the history.

    Items of the history without a title are skipped.
    """

    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return the vector of the last item with a title; zeros if no item has a title."""
        histories = windows.build_histories()
        is_titled = self.index.is_titled[histories]
        column = is_titled.shape[1] - 1 - np.argmax(is_titled[:, ::-1], axis=1)
        last = histories[np.arange(len(histories)), column]
        return self.index.item_vectors[np.where(is_titled.any(axis=1), last, 0)]


class LastItemCooccurrence(Scorer):
    """Recommend the items that the same users bought as the last item of the history.

    Each pair of a history item and its target in the training rows counts once, in both
    directions. Items without such a pair are ordered by popularity.
    """

    def __init__(self, train: Windows, training_counts: np.ndarray) -> None:
        pairs = _count_pairs(train, len(training_counts), np.ones_like)
        self._pairs = pairs + pairs.T
        # A pair counts 1. Popularity is below 1, so it only breaks ties between counts of pairs.
        self._popularity = _scale_popularity(training_counts)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the counts of pairs. Popularity breaks ties. See :meth:`Scorer.score`."""
        return self._pairs[windows.build_histories()[:, -1]].toarray() + self._popularity


class DecayedCooccurrence(Scorer):
    """Recommend the items that were bought after, or before, the items of the history.

    A pair of interactions has a lower weight if their distance in the sequence is large, if the
    recommended item is the earlier of the two, or if the recommended item is popular. All items of
    the history are used. Recent items have a higher weight. Items without such a pair are ordered
    by popularity.
    """

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: DecayedCooccurrenceOptions
    ) -> None:
        pairs = _count_pairs(
            train, len(training_counts), lambda distance: distance**-options.distance_power
        )
        per_popularity = np.maximum(training_counts, 1.0) ** -options.popularity_power
        self._pairs = ((pairs + options.backward_weight * pairs.T) * per_popularity).tocsr()
        self._pairs = self._pairs.astype(np.float32)
        self._popularity = _scale_popularity(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of pair weights; see :meth:`Scorer.score`."""
        histories = _build_decayed_histories(windows, len(self._popularity), self._decay)
        return _fill_with_popularity(histories @ self._pairs, self._popularity)


class SessionKnn(Scorer):
    """Recommend the items of the training sequences that are most similar to the history.

    This is vector multiplication session kNN (V-SKNN, Ludewig and Jannach 2018). A history is a
    vector over items in which recent items have higher weights. A training sequence is a unit
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
        self._popularity = _scale_popularity(training_counts)
        self._options = options

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of similarities; see :meth:`Scorer.score`."""
        histories = _build_decayed_histories(
            windows, len(self._popularity), self._options.history_decay
        )
        scores = [
            _keep_highest(histories[rows] @ self._users_of_items, self._options.neighbours)
            @ self._sequences
            for rows in self._split_rows(histories)
        ]
        return _fill_with_popularity(sparse.vstack(scores, "csr"), self._popularity)

    def _split_rows(self, histories: sparse.csr_array) -> Iterator[slice]:
        """Return slices of rows with about ``_MAX_PAIRS`` similar sequences each."""
        per_entry = np.diff(self._users_of_items.indptr)[histories.indices]
        n_similar = np.diff(np.concatenate([[0], np.cumsum(per_entry)])[histories.indptr])
        parts = np.cumsum(n_similar) // _MAX_PAIRS
        edges = [0, *(np.flatnonzero(np.diff(parts)) + 1), len(parts)]
        return (slice(start, stop) for start, stop in pairwise(edges))


class Ease(Scorer):
    """Recommend with a linear model that predicts each item of a sequence from its other items.

    This is EASE^R (Steck 2019). It has a closed-form solution. Let ``P`` be the inverse of the
    regularised co-occurrence matrix of the training sequences. The weight of item ``i`` for item
    ``j`` is ``-P[i, j] / P[j, j]``. Recent items of a history have higher weights. If the model
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
        self._popularity = _scale_popularity(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of item weights; see :meth:`Scorer.score`."""
        size = len(self._popularity)
        histories = _build_decayed_histories(windows, size, self._decay)[:, self.items]
        scores = np.full((len(windows), size), -np.inf, np.float32)
        scores[:, self.items] = histories @ self._weights
        unknown = np.flatnonzero(np.diff(histories.indptr) == 0)
        scores[np.ix_(unknown, self.items)] = self._popularity[self.items]
        return scores


def _scale_popularity(training_counts: np.ndarray) -> np.ndarray:
    """Return counts scaled to the range from 0 to below 1, shape (items + 1,), float32."""
    return (training_counts / (training_counts.max() + 1)).astype(np.float32)


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


def _fill_with_popularity(scores: sparse.csr_array, popularity: np.ndarray) -> np.ndarray:
    """Return dense scores. Items without a positive score come last, in order of popularity.

    Args:
        scores: shape (rows, items + 1), float32.
        popularity: shape (items + 1,), float32, from 0 to below 1.

    Returns:
        Shape (rows, items + 1), float32.
    """
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    is_positive = scores.data > 0
    filled = np.tile(popularity - 1, (scores.shape[0], 1))
    filled[rows[is_positive], scores.indices[is_positive]] = scores.data[is_positive]
    return filled


def _count_pairs(
    train: Windows, size: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_array:
    """Return the sums of the weights of all pairs of a history item and its target.

    Args:
        train: the rows.
        size: number of items + 1.
        weigh: function of distances that returns their weights, both float64. Two consecutive
            interactions have the distance 1.

    Returns:
        Shape (size, size), float32; rows are history items, columns are targets.
    """
    pairs = sparse.csr_array((size, size), shape=(size, size), dtype=np.float32)
    for batch in train.iter_batches(max(1, _MAX_PAIRS // train.history_length)):
        histories = batch.build_histories()
        rows, columns = np.nonzero(histories)
        weights = weigh((histories.shape[1] - columns).astype(np.float64)).astype(np.float32)
        entries = (weights, (histories[rows, columns], batch.targets[rows]))
        pairs = pairs + sparse.coo_array(entries, (size, size)).tocsr()
    return sparse.csr_array(pairs)


def _build_decayed_histories(windows: Windows, size: int, decay: float) -> sparse.csr_array:
    """Return the exponentially decayed weights of the items of each history. The last has weight 1.

    Returns:
        Shape (rows, size), float32. The weights of an item that occurs several times are summed.
    """
    histories = windows.build_histories()
    rows, columns = np.nonzero(histories)
    weights = decay ** (histories.shape[1] - 1.0 - columns)
    entries = (weights.astype(np.float32), (rows, histories[rows, columns]))
    return sparse.coo_array(entries, (len(windows), size)).tocsr()


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


def _keep_highest(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return the ``k`` highest values of each row. Equal values are taken in column order."""
    counts = np.diff(scores.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((scores.indices, -scores.data, rows))
    rank_in_row = np.arange(len(rows)) - np.repeat(scores.indptr[:-1], counts)
    kept = order[rank_in_row < k]
    entries = (scores.data[kept], (rows[kept], scores.indices[kept]))
    return sparse.coo_array(entries, scores.shape).tocsr()


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
