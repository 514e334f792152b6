"""Scale vectors to unit length, and search exact nearest neighbours by cosine similarity.

All searches over title vectors use this module: ranking, similar products, and the purity of
neighbourhoods. It uses only NumPy and FAISS, so that it can be imported without TensorFlow.
"""

import numpy as np


def has_title(item_vectors: np.ndarray) -> np.ndarray:
    """Return whether each item has a title.

    Args:
        item_vectors: shape (items + 1, dimension), zeros for items without a title.

    Returns:
        Shape (items + 1,), bool.
    """
    return np.any(item_vectors, axis=1)


def normalize_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale each row to unit length; rows of zeros stay zeros.

    Args:
        vectors: shape (rows, dimension), float.

    Returns:
        The same shape, float32.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def compute_cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of each vector and each other vector.

    Args:
        vectors: shape (rows, dimension), float32, unit vectors or zeros.
        others: shape (columns, dimension), float32, unit vectors or zeros.

    Returns:
        Shape (rows, columns), float32, from -1 to 1; 0 for a vector of zeros.
    """
    # By rounding, the product of equal vectors can be 1.0000001.
    return np.clip(vectors @ others.T, -1, 1)


class CosineIndex:
    """Exact nearest-neighbour search over item vectors, by cosine similarity.

    The inner product of two unit vectors is their cosine. Therefore a flat inner-product index
    (FAISS, Johnson et al. 2019) returns the exact nearest items. Items without a vector are never
    returned.

    Attributes:
        items: shape (indexed items,), int64, ascending: the items that have a vector.
    """

    def __init__(self, item_vectors: np.ndarray) -> None:
        """Index the vectors.

        Args:
            item_vectors: shape (items + 1, dimension), float32, unit vectors by item index; row 0
                (padding) and items without a vector are zeros.
        """
        # Imported here, because `normalize_rows` does not need FAISS.
        import faiss

        self.items = np.flatnonzero(np.count_nonzero(item_vectors, axis=1))
        self._index = faiss.IndexFlatIP(item_vectors.shape[1])
        self._index.add(np.ascontiguousarray(item_vectors[self.items], np.float32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ``k`` items with the highest cosine to each query.

        The order of items with equal cosines is undefined.

        Args:
            queries: shape (rows, dimension), float32, unit vectors.
            k: number of items per row.

        Returns:
            Item indices, shape (rows, k), int64, the most similar first, and their cosines, the
            same shape, float32. If fewer than ``k`` items have a vector, the remaining indices are
            0, and the remaining cosines are the lowest float32.
        """
        cosines, positions = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        if len(self.items) == 0:
            return np.zeros_like(positions), cosines
        return np.where(positions < 0, 0, self.items[positions]), cosines
