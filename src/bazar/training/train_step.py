"""Training a network on rows of (history, target)."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from bazar.config.networks import NetworkBlock
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.batches import Batch
from bazar.training.losses import _Negatives, _sampled_cross_entropy, vector_loss


def make_train_steps(
    network: RecurrentNetwork,
    block: NetworkBlock,
    optimizer: keras.optimizers.Optimizer,
    item_vectors: np.ndarray | None,
    counts: np.ndarray,
    seed: int,
) -> Callable[[Sequence[Batch], Sequence[float]], tf.Tensor]:
    """Make the function that trains a network on batches, one after the other.

    To call a function of TensorFlow takes longer than a step of a small network: one call takes as
    many steps as it is given. XLA does not compile them: on two cores it takes twice as long for
    large recurrent layers, and saves a few hundredths elsewhere, less than compiling takes.

    Args:
        network: what is trained.
        block: its description.
        optimizer: built for the network's trainable variables.
        item_vectors: shape (items + 1, dimension), float32, or None.
        counts: shape (items + 1,), how often each item stands in the training part: a tied softmax
            is over the items that do, so that a network does not learn to push down what it was
            never shown.
        seed: of what a sampled softmax draws.

    Returns:
        Takes batches of one shape and the learning rate of each; returns the mean loss of each
        one's targets, shape (batches,), float32, before it was learned from.
    """
    prepared = network.prepare(item_vectors)
    candidates = np.flatnonzero(counts > 0)
    sampled = block.head == "tied_softmax" and len(candidates) > block.training.sample_above
    # Row 0 of the table is padding, which is read and never scored.
    table_items = tf.constant(np.concatenate([[0], candidates]).astype(np.int32))
    place_of = np.zeros(len(counts), np.int32)
    place_of[candidates] = np.arange(1, len(candidates) + 1)
    places = tf.constant(place_of)
    raw = None if item_vectors is None else tf.constant(item_vectors)

    def losses(
        history: tf.Tensor, positions: tf.Tensor, targets: tf.Tensor, drawn: tf.Tensor,
        correction: tf.Tensor,
    ) -> tf.Tensor:  # fmt: skip
        if block.head == "tied_softmax" and not sampled:
            table = network.represent(table_items, prepared)
            represented = tf.gather(table, tf.gather(places, history))
            read = network.read(represented, positions, training=True)
            # Places in a batch that hold no target have target 0: their loss is weighted by 0.
            labels = tf.maximum(tf.gather(places, targets) - 1, 0)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, network.logits(read, network.table(table[1:]))
            )
        read = network.read(network.represent(history, prepared), positions, training=True)
        if sampled:
            return _sampled_cross_entropy(network, read, targets, drawn, correction, prepared)
        if block.head == "softmax":
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, read)
        return vector_loss(block.training.loss, read, tf.gather(raw, targets))

    def step(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
        rate, history, positions, targets, weights, drawn, correction = inputs
        optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            per_target = losses(history, positions, targets, drawn, correction)
            loss = tf.reduce_sum(per_target * weights) / tf.maximum(tf.reduce_sum(weights), 1)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function(reduce_retracing=True, autograph=False)
    def steps(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
        # One at a time: each step goes on from the weights of the one before it.
        return tf.map_fn(step, inputs, parallel_iterations=1, fn_output_signature=tf.float32)

    sampler = _Negatives(counts, block.training.negatives if sampled else 0, seed)

    def run(batches: Sequence[Batch], rates: Sequence[float]) -> tf.Tensor:
        read = [
            (batch.histories, batch.positions, batch.targets, batch.weights, *sampler.draw(batch))
            for batch in batches
        ]
        return steps((np.array(rates, np.float32), *map(np.stack, zip(*read, strict=True))))

    return run
