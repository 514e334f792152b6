"""Whatever can score the catalogue for a history; the baselines are in :mod:`bazar.baselines`."""

import faiss
import numpy as np
import tensorflow as tf

from bazar.data.title_embeddings import has_title
from bazar.data.windows import Windows


class TitleVectorScorer:
    """Base of the models that point into the space of titles: the nearest products are best.

    Items with equal vectors (products with the same title) get equal scores.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an
            item has no title.
        is_titled: shape (items + 1,), bool, whether an item has a title.
    """

    def __init__(self, item_vectors: np.ndarray) -> None:
        self.item_vectors = item_vectors
        self.is_titled = has_title(item_vectors)
        self._untitled = np.flatnonzero(~self.is_titled)
        self._table = tf.constant(np.ascontiguousarray(item_vectors.T))
        # Equal vectors in other columns may be multiplied in another order.
        _, first, place = np.unique(item_vectors, axis=0, return_index=True, return_inverse=True)
        is_copy = self.is_titled & (first[place] != np.arange(len(item_vectors)))
        self._copies, self._originals = np.flatnonzero(is_copy), first[place[is_copy]]
        self.informative_items: np.ndarray | None = self.is_titled
        self._items = np.flatnonzero(self.is_titled)
        self._index = faiss.IndexFlatIP(item_vectors.shape[1])
        self._index.add(np.ascontiguousarray(item_vectors[self._items]))

    def point(self, windows: Windows) -> np.ndarray:
        """Return where each history points, shape (rows, dimension), float32, unit length."""
        raise NotImplementedError

    def score(self, windows: Windows) -> np.ndarray:
        """Return cosines; see :meth:`Scorer.score`."""
        return self.cosines(self.point(windows))

    def cosines(self, points: np.ndarray) -> np.ndarray:
        """Return the cosine of every item to points of shape (rows, dimension)."""
        scores = tf.matmul(points, self._table).numpy()
        scores[:, self._copies] = scores[:, self._originals]
        scores[:, self._untitled] = -np.inf
        return scores

    def nearest(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Nearest products by an exact FAISS search (Johnson et al. 2019).

        Args:
            points: shape (rows, dimension), float32, unit vectors.
            k: products per row.

        Returns:
            Item indices, shape (rows, k), 0 where there are no more, and cosines, the same shape.
        """
        cosines, places = self._index.search(np.ascontiguousarray(points, np.float32), k)
        return np.where(places < 0, 0, self._items[places]), cosines
