"""Vectors of items from the pairs of items that the same users bought one after another."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from bazar.data.windows import Windows
from bazar.models.history_matrices import count_pairs

# As in the baseline decayed_cooccurrence: a pair with d - 1 orders between its items has the weight
# d ** -0.5, and a pair in reverse order of time has a quarter of that.
_DISTANCE_POWER, _BACKWARD_WEIGHT = 0.5, 0.25
# Raises the probability of rare items: without it, their associations are too high.
_SMOOTHING = 0.4
_MIN_LENGTH = 1e-5
# The result does not depend on the seed of a training.
_SEED = 1


def factorise_pairs(train: Windows, n_items: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two vectors of each item: their product is high if one item follows another.

    The matrix of the positive pointwise mutual information of history items and targets is
    factorised (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization",
    sections 3.3 and 3.4). Pairs that are further apart count less. The probability of a target is
    smoothed with the exponent 0.4 (Levy et al. 2015, "Improving distributional similarity with
    lessons learned from word embeddings", section 3.1, "context distribution smoothing").

    Args:
        train: the rows to learn from.
        n_items: number of items of the catalogue.
        size: size of a vector.

    Returns:
        Two arrays of shape (n_items + 1, size), float32, of items in histories and of targets. The
        vectors have unit length. Those of items without pairs are 0, and so are the last dimensions
        if there are fewer items than dimensions.
    """
    forward = count_pairs(train, n_items + 1, lambda distance: distance**-_DISTANCE_POWER)
    information = _compute_information(forward + _BACKWARD_WEIGHT * forward.T)
    left, strengths, right = randomized_svd(
        information, min(size, n_items + 1), n_iter=4, random_state=_SEED
    )
    scales = np.sqrt(strengths)
    return _fit_vectors(left * scales, size), _fit_vectors(right.T * scales, size)


def _compute_information(pairs: sparse.csr_array) -> sparse.csr_array:
    """Return the positive pointwise mutual information of the rows and columns of counts."""
    counts = sparse.coo_array(pairs)
    of_rows = np.asarray(pairs.sum(axis=1))
    of_columns = np.asarray(pairs.sum(axis=0)) ** _SMOOTHING
    of_columns /= max(of_columns.sum(), 1)
    ratios = counts.data / (of_rows[counts.row] * of_columns[counts.col])
    values = np.maximum(np.log(ratios), 0).astype(np.float32)
    return sparse.csr_array((values, (counts.row, counts.col)), pairs.shape)


def _fit_vectors(vectors: np.ndarray, size: int) -> np.ndarray:
    """Return vectors of unit length and of the given size; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Those of items without pairs differ from 0 by rounding.
    unit = np.where(lengths > _MIN_LENGTH, vectors / np.maximum(lengths, _MIN_LENGTH), 0)
    return np.pad(unit, ((0, 0), (0, size - unit.shape[1]))).astype(np.float32)
