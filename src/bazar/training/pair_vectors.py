"""Vectors of items from the pairs of items that the same users bought one after another."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from bazar.data.windows import Windows
from bazar.models.history_matrices import count_pairs

# As in the baseline decayed_cooccurrence: a pair with d - 1 orders between its items has the weight
# d ** -0.5, and a pair in reverse order of time has a quarter of that.
_DISTANCE_POWER, _BACKWARD_WEIGHT = 0.5, 0.25
# Exponent of the target counts. Below 1, it raises the probability of rare items, whose mutual
# information is otherwise too high. On Amazon Beauty, it has nearly the same validation NDCG@10 as
# 0.75, the value of the paper.
_SMOOTHING = 0.4
# Smaller values are rounding errors of 0.
_MIN_INFORMATION = 1e-6
# The result does not depend on the seed of a training.
_SEED = 1


def factorise_pairs(train: Windows, n_items: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a history vector and a target vector of each item.

    The cosine of the history vector of one item and the target vector of another is high if users
    often bought the second after the first. The vectors are the factors of a truncated singular
    value decomposition of the positive pointwise mutual information (PPMI) of history items and
    targets (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization",
    sections 3.3 and 4.2). Pairs that are further apart count less. The target counts are smoothed
    (Levy et al. 2015, "Improving distributional similarity with lessons learned from word
    embeddings", section 3.2, "context distribution smoothing").

    Args:
        train: the rows to learn from.
        n_items: number of items of the catalogue.
        size: size of a vector.

    Returns:
        Two arrays of shape (n_items + 1, size), float32. The vectors have unit length. Those of
        items without positive mutual information are 0, and so are the last dimensions if there
        are fewer items than dimensions.
    """
    forward = count_pairs(train, n_items + 1, lambda distance: distance**-_DISTANCE_POWER)
    information = _compute_ppmi(forward + _BACKWARD_WEIGHT * forward.T)
    left, singular_values, right = randomized_svd(
        information, min(size, n_items + 1), n_iter=4, random_state=_SEED
    )
    scales = np.sqrt(singular_values)
    has_row = np.diff(information.indptr) > 0
    has_column = np.diff(information.tocsc().indptr) > 0
    return (
        _scale_and_pad(left * scales, has_row, size),
        _scale_and_pad(right.T * scales, has_column, size),
    )


def _compute_ppmi(pairs: sparse.csr_array) -> sparse.csr_array:
    """Return the positive pointwise mutual information of the rows and columns of counts."""
    counts = sparse.coo_array(pairs)
    row_sums = np.asarray(pairs.sum(axis=1))
    target_shares = np.asarray(pairs.sum(axis=0)) ** _SMOOTHING
    target_shares /= max(target_shares.sum(), 1)
    ratios = counts.data / (row_sums[counts.row] * target_shares[counts.col])
    values = np.log(ratios).astype(np.float32)
    kept = values > _MIN_INFORMATION
    return sparse.csr_array((values[kept], (counts.row[kept], counts.col[kept])), pairs.shape)


def _scale_and_pad(vectors: np.ndarray, is_known: np.ndarray, size: int) -> np.ndarray:
    """Return vectors of unit length, padded with zeros to a size. Others than known ones are 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # The decomposition gives unknown items small values by rounding.
    unit = np.where(is_known[:, None], vectors / np.maximum(lengths, 1e-12), 0)
    return np.pad(unit, ((0, 0), (0, size - unit.shape[1]))).astype(np.float32)
