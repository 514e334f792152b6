"""Loss functions, and the items drawn for a sampled softmax."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.batches import Batch


def compute_vector_loss(loss: str, predicted: Any, expected: Any) -> Any:
    """Compute the loss of predicted vectors.

    Args:
        loss: ``mse``, ``mae``, ``huber`` (Huber 1964: half the squared error for errors up to 1) or
            ``cosine`` (1 minus the cosine).
        predicted: shape (rows, dimension).
        expected: shape (rows, dimension).

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


class NegativeSampler:
    """Draws items for a sampled softmax, in proportion to the square root of their counts."""

    def __init__(self, counts: np.ndarray, size: int, seed: int) -> None:
        """Prepare the distribution.

        Args:
            counts: shape (items + 1,), number of times each item occurs in the training part.
            size: number of items per draw; 0 draws nothing.
            seed: seed of the draws.
        """
        weights = np.sqrt(counts.astype(np.float64))
        self._share = weights / weights.sum()
        self._edges = np.cumsum(self._share)
        self._size = size
        self._seed = seed

    def draw(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Draw items with replacement.

        The batch is part of the seed. A training that resumes after an interruption therefore draws
        the same items as a training without interruption.

        Returns:
            Item indices, shape (size,), int32, and the logarithm of the expected number of times
            that each of them is drawn, shape (size,), float32.
        """
        if not self._size:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        generator = np.random.default_rng([self._seed, *batch.targets[:64].tolist()])
        drawn = np.searchsorted(self._edges, generator.random(self._size) * self._edges[-1])
        expected = np.log(self._size * self._share[drawn])
        return drawn.astype(np.int32), expected.astype(np.float32)


def compute_sampled_cross_entropy(
    network: RecurrentNetwork,
    read: tf.Tensor,
    targets: tf.Tensor,
    drawn: tf.Tensor,
    correction: tf.Tensor,
    prepared: tf.Tensor | None,
) -> tf.Tensor:
    """Compute the cross-entropy against drawn items, corrected for their probabilities.

    The sum over all other items is estimated by importance sampling (Bengio and Senécal 2008; logQ
    correction of Yi et al. 2019). The target itself is always in the sum, once.

    Args:
        network: the network, with a tied head.
        read: output of the network, shape (targets, size of an item).
        targets: shape (targets,), int32.
        drawn: items of :meth:`NegativeSampler.draw`, shape (drawn,), int32.
        correction: logarithms of :meth:`NegativeSampler.draw`, shape (drawn,), float32.
        prepared: title vectors as prepared by the network, or None.

    Returns:
        Shape (targets,).
    """
    positive = network.compute_pair_logits(read, network.embed_items(targets, prepared))
    table = network.build_item_table(network.embed_items(drawn, prepared))
    negative = network.compute_logits(read, table) - correction
    others = tf.where(drawn == targets[:, None], -1e9, negative)
    total = tf.reduce_logsumexp(tf.concat([positive[:, None], others], axis=1), axis=1)
    return total - positive
