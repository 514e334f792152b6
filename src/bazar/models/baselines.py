"""Baselines: what a model must beat. They count, or solve in closed form; none trains a network."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from bazar.config.models import DecayedCooccurrenceOptions, EaseOptions, SessionKnnOptions
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.nearest_titles import TitleVectorScorer

# Bounds the memory in which pairs of items, or of a history and a neighbour, are counted.
_PAIRS_AT_A_TIME = 5_000_000
# Columns of a dense matrix of items that are worked on at a time.
_COLUMNS_AT_A_TIME = 1_000


class Popularity:
    """A baseline: what is bought most in the training part, the same for everybody."""

    informative_items: np.ndarray | None = None

    def __init__(self, training_counts: np.ndarray) -> None:
        self._counts = training_counts.astype(np.float32)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the counts; see :meth:`bazar.scorers.Scorer.score`."""
        return np.tile(self._counts, (len(windows), 1))


class RecentPopularity:
    """A baseline: what is bought most in the most recent part of training, the same for everybody.

    Of items that are bought equally often there, the one that is bought more overall comes first.
    """

    informative_items: np.ndarray | None = None

    def __init__(self, recent_counts: np.ndarray, training_counts: np.ndarray) -> None:
        both = np.stack([recent_counts, training_counts], axis=1)
        # Places in the order, not sums of counts: float32 would round the second count away.
        _, places = np.unique(both, axis=0, return_inverse=True)
        self._places = places.astype(np.float32)

    def score(self, windows: Windows) -> np.ndarray:
        """Return places, the highest best; see :meth:`bazar.scorers.Scorer.score`."""
        return np.tile(self._places, (len(windows), 1))


class NearestTitles(TitleVectorScorer):
    """A baseline: the nearest titles to the last purchase that has one."""

    def point(self, windows: Windows) -> np.ndarray:
        """Return the vector of the last titled item, zeros where there is none."""
        histories = windows.histories()
        usable = self.is_titled[histories]
        place = usable.shape[1] - 1 - np.argmax(usable[:, ::-1], axis=1)
        last = histories[np.arange(len(histories)), place]
        return self.item_vectors[np.where(usable.any(axis=1), last, 0)]


class LastItemCooccurrence:
    """A baseline: what is bought by the same users as the last purchase.

    Each pair of a history item and its target in the training rows counts once, in both
    directions. Where the last purchase tells nothing, popularity decides.
    """

    informative_items: np.ndarray | None = None

    def __init__(self, train: Windows, training_counts: np.ndarray) -> None:
        pairs = _count_pairs(train, len(training_counts), np.ones_like)
        self._pairs = pairs + pairs.T
        # Below 1, the weight of one pair: popularity only orders what pairs leave equal.
        self._popularity = _share_of_most(training_counts)

    def score(self, windows: Windows) -> np.ndarray:
        """Return counts of pairs; see :meth:`bazar.scorers.Scorer.score`."""
        return self._pairs[windows.histories()[:, -1]].toarray() + self._popularity


class DecayedCooccurrence:
    """A baseline: what is bought after, or before, the items of the history.

    A pair of purchases weighs less the further apart they are, less if it runs against time, and
    less if the item to recommend is popular. All items of the history speak, the recent ones
    louder. Where they tell nothing, popularity decides.
    """

    informative_items: np.ndarray | None = None

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: DecayedCooccurrenceOptions
    ) -> None:
        pairs = _count_pairs(
            train, len(training_counts), lambda distance: distance**-options.distance_power
        )
        per_popularity = np.maximum(training_counts, 1.0) ** -options.popularity_power
        self._pairs = ((pairs + options.backward_weight * pairs.T) * per_popularity).tocsr()
        self._pairs = self._pairs.astype(np.float32)
        self._popularity = _share_of_most(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of weights; see :meth:`bazar.scorers.Scorer.score`."""
        histories = _decayed_histories(windows, len(self._popularity), self._decay)
        return _or_popularity(histories @ self._pairs, self._popularity)


class SessionKnn:
    """A baseline: what the users bought whose training sequences are nearest to the history.

    Vector multiplication session kNN (V-SKNN, Ludewig and Jannach 2018). A history is a vector
    over items, of which the recent ones weigh more; a training sequence is a unit vector that
    weighs its items alike. The nearest sequences, by dot product, give their items their
    nearness. Of sequences that are equally near, those that come first in ``train`` are taken.
    Where the history meets no sequence, popularity decides.
    """

    informative_items: np.ndarray | None = None

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: SessionKnnOptions
    ) -> None:
        self._sequences = _training_sequences(train, len(training_counts))
        lengths = np.maximum(self._sequences.sum(axis=1), 1.0)
        self._users_of_items = (self._sequences.T * lengths**-0.5).tocsr().astype(np.float32)
        self._popularity = _share_of_most(training_counts)
        self._options = options

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of nearness; see :meth:`bazar.scorers.Scorer.score`."""
        histories = _decayed_histories(windows, len(self._popularity), self._options.history_decay)
        scores = [
            _strongest(histories[rows] @ self._users_of_items, self._options.neighbours)
            @ self._sequences
            for rows in self._parts(histories)
        ]
        return _or_popularity(sparse.vstack(scores, "csr"), self._popularity)

    def _parts(self, histories: sparse.csr_array) -> Iterator[slice]:
        """Cut the rows so that no part meets many more sequences than are held at a time."""
        per_entry = np.diff(self._users_of_items.indptr)[histories.indices]
        met = np.diff(np.concatenate([[0], np.cumsum(per_entry)])[histories.indptr])
        parts = np.cumsum(met) // _PAIRS_AT_A_TIME
        edges = [0, *(np.flatnonzero(np.diff(parts)) + 1), len(parts)]
        return (slice(start, stop) for start, stop in pairwise(edges))


class Ease:
    """A baseline: the linear model that rebuilds each training sequence, no item from itself.

    EASE^R (Steck 2019), in closed form: with ``P`` the inverse of the regularised matrix of how
    often two items stand in one sequence, the weight of item ``i`` for item ``j`` is
    ``-P[i, j] / P[j, j]``. The recent items of a history weigh more. Where the model knows no
    item of it, popularity decides.

    Attributes:
        items: shape (known,), int64, rising: the items that the model knows, which are the most
            popular ones that occur in training; others score ``-inf``.
    """

    informative_items: np.ndarray | None = None

    def __init__(self, train: Windows, training_counts: np.ndarray, options: EaseOptions) -> None:
        most = np.argsort(-training_counts, kind="stable")[: options.max_items]
        self.items = np.sort(most[training_counts[most] > 0])
        sequences = _training_sequences(train, len(training_counts))[:, self.items]
        self._weights = _ease_weights(sequences.tocsc(), options.regularisation)
        self._popularity = _share_of_most(training_counts)
        self._decay = options.history_decay

    def score(self, windows: Windows) -> np.ndarray:
        """Return sums of weights; see :meth:`bazar.scorers.Scorer.score`."""
        size = len(self._popularity)
        histories = _decayed_histories(windows, size, self._decay)[:, self.items]
        scores = np.full((len(windows), size), -np.inf, np.float32)
        scores[:, self.items] = histories @ self._weights
        unknown = np.flatnonzero(np.diff(histories.indptr) == 0)
        scores[np.ix_(unknown, self.items)] = self._popularity[self.items]
        return scores


def _share_of_most(training_counts: np.ndarray) -> np.ndarray:
    """Popularity from 0 to below 1, shape (items + 1,), float32."""
    return (training_counts / (training_counts.max() + 1)).astype(np.float32)


def _or_popularity(scores: sparse.csr_array, popularity: np.ndarray) -> np.ndarray:
    """Put what has no score above 0 behind what has one, in order of popularity."""
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    told = scores.data > 0
    filled = np.tile(popularity - 1, (scores.shape[0], 1))
    filled[rows[told], scores.indices[told]] = scores.data[told]
    return filled


def _count_pairs(
    train: Windows, size: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_array:
    """Sum the weights of all pairs of a history item and its target.

    Args:
        train: the rows.
        size: items + 1.
        weigh: gives the weights of distances, float64, from 1 for two purchases in a row.

    Returns:
        Shape (size, size), float32, by history item and target.
    """
    pairs = sparse.csr_array((size, size), shape=(size, size), dtype=np.float32)
    for batch in train.batches(max(1, _PAIRS_AT_A_TIME // train.history_length)):
        histories = batch.histories()
        rows, places = np.nonzero(histories)
        weights = weigh((histories.shape[1] - places).astype(np.float64)).astype(np.float32)
        counted = (weights, (histories[rows, places], batch.targets[rows]))
        pairs = pairs + sparse.coo_array(counted, (size, size)).tocsr()
    return sparse.csr_array(pairs)


def _decayed_histories(windows: Windows, size: int, decay: float) -> sparse.csr_array:
    """Weigh the items of each history: 1 for the last, ``decay`` for the one before it, and so on.

    Returns:
        Shape (rows, size), float32; the weights of an item that was bought again are summed.
    """
    histories = windows.histories()
    rows, places = np.nonzero(histories)
    weights = decay ** (histories.shape[1] - 1.0 - places)
    weighed = (weights.astype(np.float32), (rows, histories[rows, places]))
    return sparse.coo_array(weighed, (len(windows), size)).tocsr()


def _training_sequences(train: Windows, size: int) -> sparse.csr_array:
    """Tell which users bought which items, as far as the training rows show it.

    Returns:
        Shape (users, size), float32, 1 where the item stands in a history or is a target.
    """
    sequences = train.sequences
    places = np.flatnonzero(train.shown())
    users = np.searchsorted(sequences.starts, places, side="right") - 1
    shown = (np.ones(len(places), np.float32), (users, sequences.items[places]))
    bought = sparse.coo_array(shown, (len(sequences.user_ids), size)).tocsr()
    bought.data[:] = 1
    return bought


def _strongest(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """Keep the k highest of each row; of equal ones the first."""
    counts = np.diff(scores.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((scores.indices, -scores.data, rows))
    within = np.arange(len(rows)) - np.repeat(scores.indptr[:-1], counts)
    kept = order[within < k]
    strongest = (scores.data[kept], (rows[kept], scores.indices[kept]))
    return sparse.coo_array(strongest, scores.shape).tocsr()


def _ease_weights(sequences: sparse.csc_array, regularisation: float) -> np.ndarray:
    """Solve EASE in the memory of one dense matrix.

    Args:
        sequences: shape (users, items), float32, 0 or 1.
        regularisation: added to how often each item stands in a sequence.

    Returns:
        Shape (items, items), float32, the weight of each item (row) for each (column); the
        diagonal is 0.

    Raises:
        InputError: if the regularisation is too small for the matrix to be inverted.
    """
    n_items = sequences.shape[1]
    # Fortran's order, in which LAPACK works in place.
    matrix = np.empty((n_items, n_items), np.float32, order="F")
    blocks = [
        slice(start, min(start + _COLUMNS_AT_A_TIME, n_items))
        for start in range(0, n_items, _COLUMNS_AT_A_TIME)
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
            f"EASE cannot be solved with ease.regularisation {regularisation:g}: set a larger one"
        )
    # The inverse is symmetric, and LAPACK fills its lower half alone.
    inverse = matrix.T
    for block in blocks:
        corner = inverse[block, block]
        inverse[block, block] = corner + np.triu(corner, 1).T
        inverse[block.stop :, block] = inverse[block, block.stop :].T
    inverse /= -inverse[diagonal, diagonal]
    inverse[diagonal, diagonal] = 0
    return inverse
