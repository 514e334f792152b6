"""Nearest-neighbour search over title vectors, and the base class of the models that use it.

This module does not import TensorFlow, so that the nearest-titles baseline runs without it.
"""

from abc import abstractmethod
from functools import cached_property

import numpy as np

from bazar.data.vector_search import CosineIndex, has_title
from bazar.data.windows import Windows
from bazar.models.scorer import Scorer, normalize_shares
from bazar.models.top_k import fill_top_k

# Number of rows that are compared at a time. It limits the memory.
_CHUNK = 4_096


class TitleIndex:
    """A search index of the title vectors of a catalogue. All models share it.

    Items with equal vectors (products with the same title) have equal cosines.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has no
            title.
        is_titled: shape (items + 1,), bool: whether an item has a title.
    """

    def __init__(self, item_vectors: np.ndarray) -> None:
        self.item_vectors = item_vectors
        self.is_titled = has_title(item_vectors)
        self._untitled = np.flatnonzero(~self.is_titled)
        # A matrix product may sum the same numbers in another order in another column. Therefore
        # equal vectors get the cosine of the first of them.
        self._copies, self._originals = _find_copies(item_vectors)
        is_titled_copy = self.is_titled[self._copies]
        self._copies = self._copies[is_titled_copy]
        self._originals = self._originals[is_titled_copy]

    def compute_cosines(self, points: np.ndarray) -> np.ndarray:
        """Return the cosine similarity of each point and each item.

        Args:
            points: shape (rows, dimension), float32, unit vectors.

        Returns:
            Shape (rows, items + 1), float32; ``-inf`` if an item has no title.
        """
        cosines = points.astype(np.float32, copy=False) @ self.item_vectors.T
        cosines[:, self._copies] = cosines[:, self._originals]
        cosines[:, self._untitled] = -np.inf
        return cosines

    @cached_property
    def _index(self) -> CosineIndex:
        # Only searches need FAISS and its copy of the vectors.
        return CosineIndex(self.item_vectors)

    def find_nearest_items(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest items of each point. The search is exact.

        Args:
            points: shape (rows, dimension), float32, unit vectors.
            k: number of items per row.

        Returns:
            Item indices in order, shape (rows, k), int64, padded with 0; and their cosines, shape
            (rows, k), float32, padded with ``-inf``.
        """
        return fill_top_k(*self._index.search(points, min(k, len(self.item_vectors) - 1)), k)


def _find_copies(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows that equal an earlier row.

    Args:
        vectors: shape (rows, dimension), float32.

    Returns:
        The numbers of these rows, and for each the number of the first equal row, int64.
    """
    # Sums of the bits with random factors, modulo 2^64, find rows that may be equal. It takes a
    # fifth of the time of np.unique(axis=0), and no copy of the vectors.
    factors = np.random.default_rng(0).integers(1, 2**63, vectors.shape[1], np.uint64)
    codes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _CHUNK):
        # Adding 0 makes 0 of -0, which is equal but has other bits.
        bits = (vectors[start : start + _CHUNK] + np.float32(0)).view(np.uint32)
        codes[start : start + _CHUNK] = (bits * factors).sum(axis=1)
    _, first, group = np.unique(codes, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[group] != np.arange(len(vectors)))
    originals = first[group[copies]]
    is_equal = (vectors[copies] == vectors[originals]).all(axis=1)
    return copies[is_equal], originals[is_equal]


class TitleVectorScorer(Scorer):
    """Base class of the models that predict a point in the space of title vectors.

    The score of an item is the cosine of its title vector with that point.

    Attributes:
        index: the title vectors of the catalogue.
    """

    # A search uses all cores. Parallel searches are slower than sequential ones.
    max_parallel_batches = 1

    def __init__(self, item_vectors: np.ndarray, index: TitleIndex | None = None) -> None:
        """Prepare to score.

        Args:
            item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has
                no title.
            index: an existing index of the same vectors. None builds a new index.
        """
        self.index = TitleIndex(item_vectors) if index is None else index
        self.informative_items = self.index.is_titled

    @abstractmethod
    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return a unit vector for each history, shape (rows, dimension), float32."""

    def score(self, windows: Windows) -> np.ndarray:
        """Return cosines; see :meth:`Scorer.score`."""
        return self.index.compute_cosines(self.predict_points(windows))

    def rank(self, windows: Windows, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return cosines and the items of the nearest vectors; see :meth:`Scorer.rank`."""
        points = self.predict_points(windows)
        return self.index.compute_cosines(points), *self.index.find_nearest_items(points, k)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Return the softmax of standardised cosines; see :meth:`Scorer.to_shares`.

        Cosines are standardised over the items with a title, for each row.
        """
        is_titled = self.index.is_titled
        mask = is_titled.astype(np.float32)
        n_titled = np.float32(max(int(np.count_nonzero(is_titled)), 1))
        centred = np.where(is_titled, scores, np.float32(0))
        centred -= centred.sum(axis=1, keepdims=True) / n_titled
        centred *= mask
        deviation = np.sqrt(np.vecdot(centred, centred)[:, None] / n_titled)
        # If all cosines are equal, their differences are only rounding errors.
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
        highest = centred.max(axis=1, keepdims=True)
        return normalize_shares(np.exp((centred - highest) * scale) * mask)
