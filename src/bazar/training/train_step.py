"""The training step: losses, gradients and weight updates as one TensorFlow function."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from bazar.config.networks import NetworkBlock
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.batches import Batch
from bazar.training.losses import (
    NegativeSampler,
    compute_sampled_cross_entropy,
    compute_vector_loss,
)

Tensors = tuple[tf.Tensor, ...]


def make_train_steps(
    network: RecurrentNetwork,
    block: NetworkBlock,
    optimizer: keras.optimizers.Optimizer,
    item_vectors: np.ndarray | None,
    counts: np.ndarray,
    seed: int,
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
            softmax covers only the items that occur there: otherwise the network would learn to
            give a low score to items that it never saw.
        seed: seed of the items that a sampled softmax draws.

    Returns:
        A function of batches of the same shape and one learning rate per batch. It returns the mean
        loss over the targets of each batch before the update, shape (batches,), float32.
    """
    n_candidates = int(np.count_nonzero(counts > 0))
    is_sampled = block.head == "tied_softmax" and n_candidates > block.training.sample_above
    compute_losses = _make_loss_function(network, block, item_vectors, counts, is_sampled)

    def run_step(inputs: Tensors) -> tf.Tensor:
        rate, history, positions, targets, weights, drawn, correction = inputs
        optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            per_target = compute_losses(history, positions, targets, drawn, correction)
            loss = tf.reduce_sum(per_target * weights) / tf.maximum(tf.reduce_sum(weights), 1)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function(reduce_retracing=True, autograph=False)
    def run_steps(inputs: Tensors) -> tf.Tensor:
        # Not in parallel: each step starts from the weights of the previous one.
        return tf.map_fn(run_step, inputs, parallel_iterations=1, fn_output_signature=tf.float32)

    sampler = NegativeSampler(counts, block.training.negatives if is_sampled else 0, seed)

    def train(batches: Sequence[Batch], rates: Sequence[float]) -> tf.Tensor:
        arrays = [
            (batch.histories, batch.positions, batch.targets, batch.weights, *sampler.draw(batch))
            for batch in batches
        ]
        return run_steps((np.array(rates, np.float32), *map(np.stack, zip(*arrays, strict=True))))

    return train


def _make_loss_function(
    network: RecurrentNetwork,
    block: NetworkBlock,
    item_vectors: np.ndarray | None,
    counts: np.ndarray,
    is_sampled: bool,
) -> Callable[..., tf.Tensor]:
    """Make the function that computes the loss of each target of a batch.

    Returns:
        A function of histories, positions, targets, and the drawn items with the logarithms of
        their expected counts (both empty unless the softmax is sampled). It returns shape
        (targets,), float32.
    """
    prepared = network.prepare_vectors(item_vectors)
    candidates = np.flatnonzero(counts > 0)
    # Row 0 of the table is padding: it is read, but never scored.
    table_items = tf.constant(np.concatenate([[0], candidates]).astype(np.int32))
    row_by_item = np.zeros(len(counts), np.int32)
    row_by_item[candidates] = np.arange(1, len(candidates) + 1)
    table_rows = tf.constant(row_by_item)
    raw_vectors = None if item_vectors is None else tf.constant(item_vectors)

    def compute_losses(
        history: tf.Tensor,
        positions: tf.Tensor,
        targets: tf.Tensor,
        drawn: tf.Tensor,
        correction: tf.Tensor,
    ) -> tf.Tensor:
        if block.head == "tied_softmax" and not is_sampled:
            table = network.embed_items(table_items, prepared)
            embedded = tf.gather(table, tf.gather(table_rows, history))
            output = network.encode_histories(embedded, positions, training=True)
            # The padding of a batch has target 0; its loss has weight 0.
            labels = tf.maximum(tf.gather(table_rows, targets) - 1, 0)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, network.compute_logits(output, network.build_item_table(table[1:]))
            )
        embedded = network.embed_items(history, prepared)
        output = network.encode_histories(embedded, positions, training=True)
        if is_sampled:
            return compute_sampled_cross_entropy(
                network, output, targets, drawn, correction, prepared
            )
        if block.head == "softmax":
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, output)
        return compute_vector_loss(block.training.loss, output, tf.gather(raw_vectors, targets))

    return compute_losses
