"""Samples of the title vectors that a network was trained with.

A network keeps the first numbers of a few title vectors. They show later whether the title vectors
come from the same encoder and the same text.
"""

import numpy as np

from bazar.data.title_embeddings import has_title

VectorSamples = dict[str, list[float]]
"""The first numbers of some title vectors, by item id."""

# Number of items, and numbers of each vector.
_N_ITEMS, _N_NUMBERS = 16, 16
# Vectors of the same text from the same encoder differ by less.
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

    The vector of an item changes with its title. Most of the sampled items, not all of them, must
    have the same vector as before.

    Args:
        samples: returned by :func:`sample_vectors`.
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
