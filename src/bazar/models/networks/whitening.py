"""Whitening of title vectors: they are centred, and every direction gets the same variance.

Whitening by principal components, as Su et al. 2021 (arXiv 2103.15316) apply it to sentence
embeddings.
"""

import numpy as np

from bazar.data.title_embeddings import has_title

# Directions in which titles hardly differ are scaled as if they had this share of the largest
# variance, so that noise is not amplified.
_MIN_VARIANCE_SHARE = 1e-4


def compute_whitening(item_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Compute the centre of title vectors and the matrix that whitens them.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.

    Returns:
        The centre, shape (dimension,), and the whitening matrix, shape (dimension, dimension),
        both float32. The first columns are the directions in which titles differ most. None if no
        item has a title.
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
    """Centre and whiten title vectors, and scale them to unit length.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.
        centre: shape (dimension,), float32.
        whitening: shape (dimension, dimension), float32.

    Returns:
        Shape (items + 1, dimension), float32. Items without a title keep zeros.
    """
    titled = has_title(item_vectors)
    white = (item_vectors - centre) @ whitening
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
    return np.where(titled[:, None], white, 0).astype(np.float32)
