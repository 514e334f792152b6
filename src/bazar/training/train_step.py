"""The training step: losses, gradients and weight updates as one TensorFlow function."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from bazar.config.networks import NetworkBlock
from bazar.errors import InputError
from bazar.models.network_inputs import N_SEEN_FEATURES, N_TIME_FEATURES, NetworkInput
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.batches import Batch, Batches, split_stacked, stack_arrays, stack_batches
from bazar.training.losses import (
    DrawnItems,
    NegativeSampler,
    compute_sampled_cross_entropy,
    compute_vector_loss,
)

Tensors = tuple[tf.Tensor, ...]

_INDICES = tf.TensorSpec((None, None), tf.int32)
_VALUES = tf.TensorSpec((None, None), tf.float32)
# Learning rates, and the stacked arrays of batches. One signature for all shapes: a training that
# resumes then runs the same function, and ends with the same weights.
_STACKED = (
    tf.TensorSpec((None,), tf.float32),
    *NetworkInput(
        items=_INDICES,
        steps=_INDICES,
        weights=_VALUES,
        shape=tf.TensorSpec((None, 2), tf.int32),
        positions=_INDICES,
        times=tf.TensorSpec((None, None, None, N_TIME_FEATURES), tf.float32),
        seen_states=_INDICES,
        seen_items=_INDICES,
        seen_features=tf.TensorSpec((None, None, N_SEEN_FEATURES), tf.float32),
    ).to_tuple(),
    _INDICES,
    _INDICES,
    _VALUES,
    tf.TensorSpec((None, None, None), tf.int32),
    tf.TensorSpec((None, None, None), tf.float32),
    *DrawnItems(
        items=_INDICES,
        correction=_VALUES,
        seen=tf.TensorSpec((None, None, 2), tf.int32),
        target_pairs=_INDICES,
    ),
)


def make_train_steps(
    network: RecurrentNetwork,
    block: NetworkBlock,
    optimizer: keras.optimizers.Optimizer,
    item_vectors: np.ndarray | None,
    counts: np.ndarray,
    seed: int,
    batches: Batches,
    teacher_weight: float = 0,
) -> Callable[[Sequence[Batch], Sequence[float]], tf.Tensor]:
    """Make a function that trains a network on several batches, one after another.

    For a small network, a call of a TensorFlow function takes longer than a training step. One call
    therefore runs many steps. XLA is not used: on two cores it takes twice as long for large
    recurrent layers, and elsewhere it saves less time than the compilation takes.

    Args:
        network: the network to train.
        block: description of the network and its training.
        optimizer: built for the trainable variables of the network.
        item_vectors: shape (items + 1, dimension), float32, or None.
        counts: shape (items + 1,), number of times each item occurs in the training part. A tied
            softmax covers only the items that occur there and that the network can read: otherwise
            it would learn to give a low score to items that it never saw.
        seed: seed of the items that a sampled softmax draws.
        batches: the batches that the function will be called with. They state whether rows have one
            target each, and whether the batches contain the items that were bought before.
        teacher_weight: weight of the soft targets of the batches in the loss, from 0 to 1.

    Raises:
        InputError: if a teacher has a weight, and the softmax does not cover all items.

    Returns:
        A function of batches of the same shape and one learning rate per batch. It returns the mean
        loss over the targets of each batch before the update, shape (batches,), float32.
    """
    readable = network.find_readable_items(item_vectors)
    if readable is not None:
        counts = np.where(readable, counts, 0)
    compute_loss = _LossFunction(
        network, block, item_vectors, counts, batches, seed, teacher_weight
    )
    run_steps = _make_step_function(network, optimizer, compute_loss)
    sampler = NegativeSampler(
        counts, block.training.negatives if compute_loss.is_sampled else 0, seed
    )

    def train(batches: Sequence[Batch], rates: Sequence[float]) -> tf.Tensor:
        drawn = stack_arrays([sampler.draw(batch) for batch in batches], padding=-1)
        return run_steps((np.array(rates, np.float32), *stack_batches(batches), *drawn))

    return train


class _LossFunction:
    """Computes the mean loss over the targets of a batch."""

    def __init__(
        self,
        network: RecurrentNetwork,
        block: NetworkBlock,
        item_vectors: np.ndarray | None,
        counts: np.ndarray,
        batches: Batches,
        seed: int,
        teacher_weight: float,
    ) -> None:
        """Prepare the items that are scored.

        The arguments are those of :func:`make_train_steps`.
        """
        self._network, self._block, self._batches = network, block, batches
        self._seed = seed
        self._prepared = network.prepare_vectors(item_vectors)
        candidates = np.flatnonzero(counts > 0)
        is_large = len(candidates) > block.training.sample_above
        self.is_sampled = block.head == "tied_softmax" and is_large
        self._teacher_weight = teacher_weight
        if teacher_weight and (block.head != "tied_softmax" or self.is_sampled):
            raise InputError(
                "A network learns from a teacher if it has head: tied_softmax and no more items "
                f"than training.sample_above, found head: {block.head}, {len(candidates):,} items "
                f"and sample_above: {block.training.sample_above:,}."
            )
        # Row 0 of the table is padding: it is read, but never scored.
        self._table_items = tf.constant(np.concatenate([[0], candidates]).astype(np.int32))
        row_by_item = np.zeros(len(counts), np.int32)
        row_by_item[candidates] = np.arange(1, len(candidates) + 1)
        self._table_rows = tf.constant(row_by_item)
        self._raw_vectors = None if item_vectors is None else tf.constant(item_vectors)

    def __call__(
        self,
        inputs: NetworkInput,
        target_states: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor,
        soft_targets: tuple[tf.Tensor, tf.Tensor],
        drawn: DrawnItems,
        step: tf.Tensor,
    ) -> tf.Tensor:
        """Return the loss.

        Args:
            inputs: histories, and the states in them that predict targets.
            target_states: shape (targets,), int32.
            targets: shape (targets,), int32.
            weights: shape (targets,), float32.
            soft_targets: ``soft_items`` and ``soft_shares`` of the batch.
            drawn: the drawn items; empty unless the softmax is sampled.
            step: number of the training step, a scalar.

        Returns:
            A scalar, float32.
        """
        id_weights = self._draw_id_weights(step)
        if self._block.head == "tied_softmax" and not self.is_sampled:
            logits = self._compute_full_logits(inputs, id_weights)
            total = self._sum_full_losses(logits, target_states, targets, weights)
            if self._teacher_weight:
                soft = self._sum_soft_losses(logits, target_states, weights, *soft_targets)
                total += self._teacher_weight * (soft - total)
        else:
            losses = self._compute_target_losses(inputs, target_states, targets, drawn, id_weights)
            total = tf.reduce_sum(losses * weights)
        return total / tf.maximum(tf.reduce_sum(weights), 1)

    def _draw_id_weights(self, step: tf.Tensor) -> tf.Tensor:
        """Return the factors of the learned vectors of items in a step, shape (items + 1,).

        ``id_dropout`` sets a share of them to 0. The draws depend on the seed and the number of the
        step alone: a training that resumes draws the same.
        """
        id_weights = tf.convert_to_tensor(self._network.id_weights)
        if (share := self._block.training.id_dropout) == 0:
            return id_weights
        seed = tf.stack([tf.constant(self._seed, tf.int64), tf.cast(step, tf.int64)])
        draws = tf.random.stateless_uniform(tf.shape(id_weights), seed)
        return id_weights * tf.cast(draws >= share, tf.float32)

    def _compute_full_logits(self, inputs: NetworkInput, id_weights: tf.Tensor) -> tf.Tensor:
        """Return the logits of all items of the training part, shape (states, items)."""
        network = self._network
        table = tf.gather(network.embed_catalogue(self._prepared, id_weights), self._table_items)
        embedded = tf.gather(table, tf.gather(self._table_rows, inputs.items))
        entries = network.add_history_vectors(embedded, inputs.items, id_weights)
        orders = network.embed_orders(entries, inputs)
        output = network.encode_histories(orders, inputs.positions, inputs.times, training=True)
        logits = network.compute_logits(output, network.build_item_table(table[1:]))
        if self._batches.has_seen_items:
            assert network.repeat_layer is not None
            rows = tf.gather(self._table_rows, inputs.seen_items)
            parts = tf.gather(network.repeat_layer.embed_items(table), rows)
            # The padding has item 0; its score is 0.
            logits = network.add_repeat_scores(
                logits, output, inputs, parts, tf.maximum(rows - 1, 0), training=True
            )
        return logits

    def _sum_full_losses(
        self, logits: tf.Tensor, target_states: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Return the sum of the cross-entropies of all targets."""
        # The padding of a batch has target 0; its weight is 0.
        labels = tf.maximum(tf.gather(self._table_rows, targets) - 1, 0)
        if self._batches.has_single_targets:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            return tf.reduce_sum(losses * weights)
        # The sum over the targets of a state equals one cross-entropy with the labels added up.
        shares = tf.scatter_nd(tf.stack([target_states, labels], axis=1), weights, tf.shape(logits))
        totals = tf.reduce_sum(shares, axis=1)
        shares /= tf.maximum(totals, 1)[:, None]
        return tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(shares, logits) * totals)

    def _sum_soft_losses(
        self,
        logits: tf.Tensor,
        target_states: tf.Tensor,
        weights: tf.Tensor,
        soft_items: tf.Tensor,
        soft_shares: tf.Tensor,
    ) -> tf.Tensor:
        """Return the sum of the cross-entropies with the teacher, once for each target."""
        rows = tf.gather(self._table_rows, soft_items)
        # Items that do not occur in the training part have no logit.
        shares = tf.where(rows > 0, soft_shares, 0)
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=1, keepdims=True))
        found = tf.gather(logits, tf.maximum(rows - 1, 0), batch_dims=1)
        losses = tf.reduce_sum(shares, axis=1) * tf.reduce_logsumexp(logits, axis=1)
        losses -= tf.reduce_sum(shares * found, axis=1)
        n_targets = tf.math.unsorted_segment_sum(weights, target_states, tf.shape(logits)[0])
        return tf.reduce_sum(losses * n_targets)

    def _compute_target_losses(
        self,
        inputs: NetworkInput,
        target_states: tf.Tensor,
        targets: tf.Tensor,
        drawn: DrawnItems,
        id_weights: tf.Tensor,
    ) -> tf.Tensor:
        """Return the loss of each target from the state that predicts it."""
        output = self._network.encode_inputs(
            inputs, self._prepared, training=True, id_weights=id_weights
        )
        if self.is_sampled:
            return compute_sampled_cross_entropy(
                self._network,
                output,
                inputs,
                target_states,
                targets,
                drawn,
                self._prepared,
                id_weights,
                self._batches.has_seen_items,
            )
        read = tf.gather(output, target_states)
        if self._block.head == "softmax":
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, read)
        expected = tf.gather(self._raw_vectors, targets)
        return compute_vector_loss(self._block.training.loss, read, expected)


def _make_step_function(
    network: RecurrentNetwork,
    optimizer: keras.optimizers.Optimizer,
    compute_loss: _LossFunction,
) -> Callable[[Tensors], tf.Tensor]:
    """Make the function that updates the weights on stacked batches, one after another."""

    def run_step(arrays: Tensors) -> tf.Tensor:
        rate, *rest = arrays
        inputs, (states, targets, weights, soft_items, soft_shares, *drawn) = split_stacked(
            tuple(rest)
        )
        optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            loss = compute_loss(
                inputs,
                states,
                targets,
                weights,
                (soft_items, soft_shares),
                DrawnItems(*drawn),
                optimizer.iterations,
            )
        variables = network.trainable_variables
        # A layer that is not used in training has no gradients.
        gradients = [
            tf.zeros_like(variable.value) if gradient is None else gradient
            for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True)
        ]
        optimizer.apply(gradients, variables)
        return loss

    @tf.function(input_signature=[_STACKED], autograph=False)
    def run_steps(arrays: Tensors) -> tf.Tensor:
        # Not in parallel: each step starts from the weights of the previous one.
        return tf.map_fn(run_step, arrays, parallel_iterations=1, fn_output_signature=tf.float32)

    return run_steps
