"""Samples of the title vectors that a network was trained with.

A network keeps the first numbers of a few title vectors. When the network is used, they are
compared with the current title vectors. This detects a change of the encoder or of its input text.
"""

import numpy as np

from bazar.data.vector_search import has_title

VectorSamples = dict[str, list[float]]
"""The first numbers of some title vectors, by item id."""

# Approximate number of sampled items, and count of numbers for each vector.
_N_ITEMS, _N_NUMBERS = 16, 16
# Maximum difference between vectors of the same text from the same encoder.
_TOLERANCE = 1e-2


def sample_vectors(item_vectors: np.ndarray, item_ids: np.ndarray) -> VectorSamples:
    """Return the first numbers of the title vectors of a few items.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros if an item has no title.
        item_ids: shape (items + 1,), external ids by item index.
    """
    titled = np.flatnonzero(has_title(item_vectors))
    sampled = titled[:: max(1, len(titled) // _N_ITEMS)]
    return {item_ids[item]: item_vectors[item, :_N_NUMBERS].tolist() for item in sampled.tolist()}


def match_samples(samples: VectorSamples, item_vectors: np.ndarray, item_ids: np.ndarray) -> bool:
    """Return whether title vectors match the samples.

    Titles can change, and the vector of an item changes with its title. Therefore the samples match
    if at least half of the sampled items have the same vector as before.

    Args:
        samples: the result of :func:`sample_vectors`.
        item_vectors: shape (items + 1, dimension), float32.
        item_ids: shape (items + 1,), external ids by item index.
    """
    index = {item_id: item for item, item_id in enumerate(item_ids)}
    differs = [
        np.abs(item_vectors[index[item_id], :_N_NUMBERS] - sample).max() > _TOLERANCE
        for item_id, sample in samples.items()
        if item_id in index
    ]
    return 2 * sum(differs) <= len(differs)
