"""The similarity of each product to the titles of a history, in the space of whitened titles."""

import numpy as np

from bazar.data.vector_search import has_title
from bazar.models.exported.layers import PackedSteps, scale_to_unit
from bazar.models.network_inputs import NetworkInput

# Number of items whose title vectors are whitened at a time. It limits the memory.
_CHUNK = 8_192


class TitleSimilarity:
    """Cosines of whitened titles, without a table of the whitened vectors.

    The whitened vector of a title vector ``v`` is ``(v - centre) @ whitening``, scaled by a factor
    to unit length. Its product with a direction ``d`` is ``v @ u - centre @ u``, scaled by the same
    factor, with ``u = whitening @ d``. Therefore the title vectors and one factor for each item are
    enough. A table would take the memory of the title vectors again.
    """

    def __init__(self, item_vectors: np.ndarray, centre: np.ndarray, whitening: np.ndarray) -> None:
        """Compute the factors.

        Args:
            item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.
            centre: mean of the title vectors, shape (dimension,), float32.
            whitening: whitening matrix, shape (dimension, dimension), float32.
        """
        self._vectors, self._centre, self._whitening = item_vectors, centre, whitening
        lengths = np.empty(len(item_vectors), np.float32)
        for start in range(0, len(lengths), _CHUNK):
            white = (item_vectors[start : start + _CHUNK] - centre) @ whitening
            lengths[start : start + _CHUNK] = np.linalg.norm(white, axis=1)
        # Items without a title have the similarity 0.
        self._factors = np.where(has_title(item_vectors), 1 / np.maximum(lengths, 1e-12), 0).astype(
            np.float32
        )

    def score(self, inputs: NetworkInput, decay: float, scale: float) -> np.ndarray:
        """Return the scaled cosine of each item and the decayed mean of the titles of each history.

        Args:
            inputs: the histories.
            decay: weight of an order relative to the order after it.
            scale: factor of the cosines.

        Returns:
            Shape (rows, items + 1), float32; 0 for items without a title, and for histories without
            one.
        """
        packed = PackedSteps.from_input(inputs)
        entries = self._vectors[inputs.items] - self._centre
        entries *= self._factors[inputs.items, None]
        # Whitening is linear: the sums are whitened, and not each entry.
        sums = packed.sum_with_decay(packed.sum_entries(entries, inputs), decay) @ self._whitening
        directions = np.empty_like(sums)
        directions[packed.rows] = scale_to_unit(sums) * np.float32(scale)
        directions = directions @ self._whitening.T
        cosines = directions @ self._vectors.T
        cosines -= (directions @ self._centre)[:, None]
        cosines *= self._factors
        return cosines
