"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1. What a row holds is a
slice of its user's sequence, and is made when it is asked for: rows of any number cost eight bytes
each, not a history each.
"""

import numpy as np

from bazar.data.sequences import Sequences


def count_interactions(
    sequences: Sequences, n_items: int, timestamps: np.ndarray | None, recent_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each item was bought, ever and of late.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds;
            None without a clock.
        recent_share: share of the interactions that is recent, as in :class:`Split`.

    Returns:
        Two arrays of shape (items + 1,), int64.
    """
    every = np.ones(len(sequences.items), bool)
    return _count_items(sequences, every, n_items, timestamps, recent_share)


def _count_items(
    sequences: Sequences,
    in_training: np.ndarray,
    n_items: int,
    timestamps: np.ndarray | None,
    recent_share: float,
    times: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each item stands in training, in all of it and recently.

    Args:
        sequences: the chronological sequences.
        in_training: the interactions that are training, shape (interactions,), bool.
        n_items: size of the catalogue.
        timestamps: when each item was bought, UTC milliseconds; None without a clock.
        recent_share: share of the training interactions that is recent.
        times: how often each interaction counts, shape (interactions,), int64; None for once.

    Returns:
        ``training_counts`` and ``recent_counts`` of :class:`Split`.
    """

    def count(which: np.ndarray) -> np.ndarray:
        weights = None if times is None else times[which]
        counts = np.bincount(sequences.items[which], weights, n_items + 1)
        return counts.astype(np.int64, copy=False)

    is_recent = in_training & _recent(sequences, in_training, timestamps, recent_share)
    return count(in_training), count(is_recent)


def _recent(
    sequences: Sequences, in_training: np.ndarray, timestamps: np.ndarray | None, share: float
) -> np.ndarray:
    """Tell which interactions are of the most recent period of training, or later.

    Returns:
        Shape (interactions,), bool.
    """
    if timestamps is None:
        counted = np.concatenate([[0], np.cumsum(in_training, dtype=np.int64)])
        ends = counted[sequences.starts[1:]]
        per_user = ends - counted[sequences.starts[:-1]]
        wanted = np.maximum(1, np.rint(share * per_user)).astype(np.int64)
        return counted[1:] > np.repeat(ends - wanted, sequences.lengths)
    of_training = timestamps[in_training]
    if len(of_training) == 0:
        return in_training
    place = len(of_training) - max(1, round(share * len(of_training)))
    of_training.partition(place)
    return timestamps >= of_training[place]
