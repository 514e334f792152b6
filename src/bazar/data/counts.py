"""Count the interactions of each item: all of them, and the recent ones."""

import numpy as np

from bazar.data.sequences import Sequences


def count_interactions(
    sequences: Sequences, n_items: int, recent_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count all and recent interactions of each item.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        recent_share: share of the interactions that are recent, as in
            :func:`count_training_interactions`.

    Returns:
        The counts of all and of recent interactions, two arrays of shape (items + 1,), int64.
    """
    every = np.ones(len(sequences.items), bool)
    return count_training_interactions(sequences, every, n_items, recent_share)


def count_training_interactions(
    sequences: Sequences,
    in_training: np.ndarray,
    n_items: int,
    recent_share: float,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count all and recent training interactions of each item.

    The latest ``recent_share`` of the training interactions are recent. Interactions at the same
    time as the earliest of them are recent as well. Without timestamps, the last ``recent_share``
    of the training interactions of each user are recent, at least one.

    Args:
        sequences: the chronological sequences.
        in_training: shape (interactions,), bool, whether each interaction is in the training part.
        n_items: size of the catalogue.
        recent_share: share of the training interactions that are recent.
        weights: shape (interactions,), int64, how many times each interaction counts; None counts
            each once.

    Returns:
        ``training_counts`` and ``recent_counts`` of :class:`bazar.data.splits.Splits`.
    """

    def count(is_counted: np.ndarray) -> np.ndarray:
        selected_weights = None if weights is None else weights[is_counted]
        counts = np.bincount(sequences.items[is_counted], selected_weights, n_items + 1)
        return counts.astype(np.int64, copy=False)

    is_recent = in_training & _find_recent(sequences, in_training, recent_share)
    return count(in_training), count(is_recent)


def _find_recent(sequences: Sequences, in_training: np.ndarray, share: float) -> np.ndarray:
    """Return which interactions are not earlier than the recent training interactions.

    Returns:
        Shape (interactions,), bool.
    """
    timestamps = sequences.timestamps
    if timestamps is None:
        n_before = np.concatenate([[0], np.cumsum(in_training, dtype=np.int64)])
        ends = n_before[sequences.starts[1:]]
        per_user = ends - n_before[sequences.starts[:-1]]
        n_recent = np.maximum(1, np.rint(share * per_user)).astype(np.int64)
        return n_before[1:] > np.repeat(ends - n_recent, sequences.lengths)
    training_times = timestamps[in_training]
    if len(training_times) == 0:
        return in_training
    position = len(training_times) - max(1, round(share * len(training_times)))
    training_times.partition(position)
    return timestamps >= training_times[position]
