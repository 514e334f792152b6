"""Whatever can score the catalogue for a history; the floors are in :mod:`bazar.floors`."""

from typing import Protocol

import faiss
import keras
import numpy as np

from bazar.windows import Windows


class Recommender(Protocol):
    """Scores every item for every history."""

    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue.

        Args:
            windows: rows of histories; targets and what was seen before are not looked at.

        Returns:
            shape (rows, items + 1), float32, higher is better; ``-inf`` where the model has
            no means to recommend an item. Column 0 (padding) means nothing.
        """
        ...


class NetworkClassifier:
    """A network with a probability for every item."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network

    def score(self, windows: Windows) -> np.ndarray:
        """Return probabilities; see :meth:`Recommender.score`."""
        return self._network.predict_on_batch(windows.histories())


class NearestTitles:
    """Base of the models that point into the space of titles: the nearest products are best.

    Items with equal vectors (products with the same title) get equal scores.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an
            item has no title.
        is_titled: shape (items + 1,), bool, whether an item has a title.
    """

    def __init__(self, item_vectors: np.ndarray) -> None:
        self.item_vectors = item_vectors
        self._distinct, self._place = np.unique(item_vectors, axis=0, return_inverse=True)
        self.is_titled = np.count_nonzero(item_vectors, axis=1) > 0
        self._items = np.flatnonzero(self.is_titled)
        self._index = faiss.IndexFlatIP(item_vectors.shape[1])
        self._index.add(np.ascontiguousarray(item_vectors[self._items]))

    def point(self, windows: Windows) -> np.ndarray:
        """Return where each history points, shape (rows, dimension), float32, unit length."""
        raise NotImplementedError

    def score(self, windows: Windows) -> np.ndarray:
        """Return cosines; see :meth:`Recommender.score`."""
        return self.cosines(self.point(windows))

    def cosines(self, points: np.ndarray) -> np.ndarray:
        """Return the cosine of every item to points of shape (rows, dimension)."""
        scores = (points @ self._distinct.T)[:, self._place]
        scores[:, ~self.is_titled] = -np.inf
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


class NetworkRegressor(NearestTitles):
    """A network that predicts the title vector of the next product."""

    def __init__(self, network: keras.Model, item_vectors: np.ndarray) -> None:
        super().__init__(item_vectors)
        self._network = network

    def point(self, windows: Windows) -> np.ndarray:
        """Return the predicted vector, scaled to unit length."""
        return _unit(self._network.predict_on_batch(self.item_vectors[windows.histories()]))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
