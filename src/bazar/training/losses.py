"""Training a network on rows of (history, target)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.batches import Batch


def vector_loss(loss: str, predicted: Any, expected: Any) -> Any:
    """Loss of predicted vectors.

    Args:
        loss: ``mse``, ``mae``, ``huber`` (Huber 1964, half the squared error up to 1) or
            ``cosine`` (1 minus the cosine).
        predicted: shape (rows, dimension).
        expected: the same shape.

    Returns:
        Shape (rows,).
    """
    if loss == "cosine":
        return 1 + keras.losses.cosine_similarity(expected, predicted)
    functions = {
        "mse": keras.losses.mean_squared_error,
        "mae": keras.losses.mean_absolute_error,
        "huber": keras.losses.huber,
    }
    return functions[loss](expected, predicted)


class _Negatives:
    """Items drawn for a sampled softmax, by the square root of how often they are bought."""

    def __init__(self, counts: np.ndarray, size: int, seed: int) -> None:
        weights = np.sqrt(counts.astype(np.float64))
        self._share = weights / weights.sum()
        self._edges = np.cumsum(self._share)
        self._size = size
        self._seed = seed

    def draw(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Draw with replacement.

        The batch itself seeds the draw: a training that goes on after an interruption draws what
        it would have drawn.

        Returns:
            Item indices, shape (size,), int32, and the log of how often each is expected among
            them, shape (size,), float32.
        """
        if not self._size:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        generator = np.random.default_rng([self._seed, *batch.targets[:64].tolist()])
        drawn = np.searchsorted(self._edges, generator.random(self._size) * self._edges[-1])
        expected = np.log(self._size * self._share[drawn])
        return drawn.astype(np.int32), expected.astype(np.float32)


def _sampled_cross_entropy(
    network: RecurrentNetwork,
    read: tf.Tensor,
    targets: tf.Tensor,
    drawn: tf.Tensor,
    correction: tf.Tensor,
    prepared: tf.Tensor | None,
) -> tf.Tensor:
    """Cross-entropy against drawn items, corrected for how often each is drawn.

    The sum over all other items is estimated by importance sampling (Bengio and Senécal 2008; the
    logQ correction of Yi et al. 2019); the target itself is always in the sum, once.

    Returns:
        Shape (targets,).
    """
    positive = network.score_pairs(read, network.represent(targets, prepared))
    table = network.table(network.represent(drawn, prepared))
    negative = network.logits(read, table) - correction
    others = tf.where(drawn == targets[:, None], -1e9, negative)
    total = tf.reduce_logsumexp(tf.concat([positive[:, None], others], axis=1), axis=1)
    return total - positive
