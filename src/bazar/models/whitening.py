"""PCA whitening of title vectors.

Whitened vectors have mean 0, and every direction has the same variance. Su et al. 2021 (arXiv
2103.15316) apply the same method to sentence embeddings.
"""

import numpy as np

from bazar.data.vector_search import has_title

# Minimum variance of a direction, as a share of the largest variance. It prevents the amplification
# of noise in directions of small variance.
_MIN_VARIANCE_SHARE = 1e-4


def compute_whitening(item_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the mean of the title vectors and their whitening matrix.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.

    Returns:
        The mean, shape (dimension,), and the whitening matrix, shape (dimension, dimension), both
        float32. The columns are the directions in order of variance, the largest first. None if
        no item has a title.
    """
    titled = item_vectors[has_title(item_vectors)].astype(np.float64)
    if len(titled) == 0:
        return None
    centre = titled.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(titled - centre, rowvar=False, bias=True))
    smallest = max(variances.max() * _MIN_VARIANCE_SHARE, 1e-12)
    whitening = (directions / np.sqrt(np.maximum(variances, smallest)))[:, ::-1]
    return centre.astype(np.float32), whitening.astype(np.float32)


def whiten_vectors(
    item_vectors: np.ndarray, centre: np.ndarray, whitening: np.ndarray
) -> np.ndarray:
    """Return title vectors that are centred, whitened and scaled to unit length.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.
        centre: mean of the title vectors, shape (dimension,), float32.
        whitening: whitening matrix, shape (dimension, dimension), float32.

    Returns:
        Shape (items + 1, dimension), float32. Items without a title keep zeros.
    """
    titled = has_title(item_vectors)
    white = (item_vectors - centre) @ whitening
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
    return np.where(titled[:, None], white, 0).astype(np.float32)
