"""Loss functions, and the items drawn for a sampled softmax."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bazar.data.windows import expand_ranges
from bazar.models.network_inputs import NetworkInput
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


# The logit of an item that is left out of a sum.
_NEVER = -1e9


class DrawnItems(NamedTuple):
    """The drawn items of one step, as NumPy arrays or tensors.

    Attributes:
        items: shape (drawn,), int32, ascending item indices.
        correction: shape (drawn,), float32, logarithm of the expected number of times that each
            item is drawn.
        seen: shape (pairs, 2), int32: pairs of a state and a position in ``items``, for the drawn
            items that were bought before the state; -1 for padding.
        target_pairs: shape (targets,), int32: position of each target in ``seen_items`` of the
            batch; -1 if it was not bought before.
    """

    items: Any
    correction: Any
    seen: Any
    target_pairs: Any


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

    def draw(self, batch: Batch) -> DrawnItems:
        """Draw items with replacement.

        The batch is part of the seed. A training that resumes after an interruption therefore draws
        the same items as a training without interruption.
        """
        if not self._size:
            nothing = np.zeros(0, np.int32)
            return DrawnItems(
                nothing, nothing.astype(np.float32), np.zeros((0, 2), np.int32), nothing
            )
        generator = np.random.default_rng([self._seed, *batch.targets[:64].tolist()])
        draws = generator.random(self._size) * self._edges[-1]
        drawn = np.sort(np.searchsorted(self._edges, draws))
        expected = np.log(self._size * self._share[drawn])
        return DrawnItems(
            drawn.astype(np.int32),
            expected.astype(np.float32),
            _find_drawn_pairs(drawn, batch),
            _find_target_pairs(batch),
        )


def _find_drawn_pairs(drawn: np.ndarray, batch: Batch) -> np.ndarray:
    """Return ``seen`` of :class:`DrawnItems`, without padding."""
    inputs = batch.inputs
    first = np.searchsorted(drawn, inputs.seen_items)
    last = np.searchsorted(drawn, inputs.seen_items, side="right")
    pairs, positions = expand_ranges(first, last)
    return np.stack([inputs.seen_states[pairs], positions], axis=1).astype(np.int32)


def _find_target_pairs(batch: Batch) -> np.ndarray:
    """Return ``target_pairs`` of :class:`DrawnItems`."""
    inputs = batch.inputs
    width = int(max(inputs.seen_items.max(initial=0), batch.targets.max(initial=0))) + 1
    seen = inputs.seen_states.astype(np.int64) * width + inputs.seen_items
    targets = batch.target_states.astype(np.int64) * width + batch.targets
    if len(seen) == 0:
        return np.full(len(targets), -1, np.int32)
    positions = np.minimum(np.searchsorted(seen, targets), len(seen) - 1)
    return np.where(seen[positions] == targets, positions, -1).astype(np.int32)


def compute_sampled_cross_entropy(
    network: RecurrentNetwork,
    output: tf.Tensor,
    inputs: NetworkInput,
    target_states: tf.Tensor,
    targets: tf.Tensor,
    drawn: DrawnItems,
    prepared: tf.Tensor | None,
    id_weights: tf.Tensor,
    has_seen_items: bool,
) -> tf.Tensor:
    """Compute the cross-entropy against drawn items, corrected for their probabilities.

    The sum over all other items is estimated by importance sampling (Bengio and Senécal 2008; logQ
    correction of Yi et al. 2019). The target itself is always in the sum, once. If the network has
    repeat scores, the items that the user bought before are always in the sum as well, and are left
    out of the drawn items.

    Args:
        network: the network, with a tied head.
        output: output of the network, shape (states, size of an item).
        inputs: the input of the batch.
        target_states: shape (targets,), int32.
        targets: shape (targets,), int32.
        drawn: the drawn items, as tensors.
        prepared: title vectors as prepared by the network, or None.
        id_weights: factors of the learned vectors; see
            :meth:`~bazar.models.networks.recurrent.RecurrentNetwork.embed_items`.
        has_seen_items: whether the scores of items that were bought before are added.

    Returns:
        Shape (targets,), float32.
    """
    positive = network.compute_pair_logits(
        tf.gather(output, target_states), network.embed_items(targets, prepared, id_weights)
    )
    table = network.build_item_table(network.embed_items(drawn.items, prepared, id_weights))
    negative = network.compute_logits(output, table) - drawn.correction
    if not has_seen_items:
        return _compute_log_total(negative, target_states, targets, drawn, [positive]) - positive
    assert network.repeat_layer is not None
    is_pair = drawn.seen[:, 0] >= 0
    hidden = tf.where(is_pair, _NEVER, -_NEVER)
    negative = tf.tensor_scatter_nd_min(negative, tf.maximum(drawn.seen, 0), hidden)
    seen = network.embed_items(inputs.seen_items, prepared, id_weights)
    logits = network.compute_pair_logits(tf.gather(output, inputs.seen_states), seen)
    item_parts = network.repeat_layer.embed_items(seen)
    logits += network.compute_repeat_scores(output, inputs, item_parts, training=True)
    logits = tf.where(inputs.seen_items > 0, logits, _NEVER)
    seen_totals = _compute_log_sums(logits, inputs.seen_states, tf.shape(output)[0])
    is_seen = drawn.target_pairs >= 0
    positive = tf.where(is_seen, tf.gather(logits, tf.maximum(drawn.target_pairs, 0)), positive)
    parts = [tf.where(is_seen, _NEVER, positive), tf.gather(seen_totals, target_states)]
    return _compute_log_total(negative, target_states, targets, drawn, parts) - positive


def _compute_log_total(
    negative: tf.Tensor,
    target_states: tf.Tensor,
    targets: tf.Tensor,
    drawn: DrawnItems,
    parts: list[tf.Tensor],
) -> tf.Tensor:
    """Return the logarithm of the sum over drawn items, without the target, and other parts."""
    others = tf.where(drawn.items == targets[:, None], _NEVER, tf.gather(negative, target_states))
    return tf.reduce_logsumexp(tf.concat([tf.stack(parts, axis=1), others], axis=1), axis=1)


def _compute_log_sums(logits: tf.Tensor, segments: tf.Tensor, n_segments: tf.Tensor) -> tf.Tensor:
    """Return the logarithm of the sum of exponentials of each segment, shape (segments,)."""
    largest = tf.stop_gradient(tf.math.unsorted_segment_max(logits, segments, n_segments))
    largest = tf.maximum(largest, _NEVER)
    sums = tf.math.unsorted_segment_sum(
        tf.exp(logits - tf.gather(largest, segments)), segments, n_segments
    )
    return tf.where(sums > 0, tf.math.log(tf.maximum(sums, 1e-30)) + largest, _NEVER)
