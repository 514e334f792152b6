"""Recurrent networks, built from their description in YAML.

A network scores items in these steps. :meth:`~RecurrentNetwork.embed_items` turns each item of a
history into a vector. :meth:`~RecurrentNetwork.add_history_vectors` adds the second learned vector,
if there is one. :meth:`~RecurrentNetwork.embed_orders` sums the vectors of each order.
:meth:`~RecurrentNetwork.encode_histories` processes the orders in time order and applies the head.
If the head is tied to the item vectors, :meth:`~RecurrentNetwork.compute_logits` turns the result
into scores. :meth:`~RecurrentNetwork.add_repeat_scores` adds a score to each item that the user
bought before.

The steps of a history are at the front of its row. No step depends on later steps. Therefore no
mask is needed, and a single pass over a sequence gives the predictions for all of its targets.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bazar.config.networks import NetworkOptions
from bazar.data.vector_search import has_title
from bazar.models.nearest_titles import TitleIndex
from bazar.models.network_inputs import (
    InputOptions,
    NetworkInput,
)
from bazar.models.networks.base import NetworkBase
from bazar.models.networks.layers import (
    ResidualBlock,
    scale_to_unit,
    sum_with_decay,
    take_positions,
)
from bazar.models.scorer import Scorer
from bazar.models.whitening import whiten_vectors


def build_network(
    options: NetworkOptions,
    n_items: int,
    vector_dimension: int | None = None,
    n_words: int | None = None,
) -> "RecurrentNetwork":
    """Build a network.

    Args:
        options: options of the network.
        n_items: number of items of the catalogue.
        vector_dimension: size of a title vector; required if the network reads titles or has
            ``head: vector``.
        n_words: number of words with a learned vector; required if the network has ``words``. Call
            :meth:`~RecurrentNetwork.set_texts` before the network is used.

    Returns:
        The network. Its initial weights depend on Keras' global seed.

    Raises:
        ValueError: if ``vector_dimension`` or ``n_words`` is required and missing.
    """
    return RecurrentNetwork(options.model_dump(mode="json"), n_items, vector_dimension, n_words)


@keras.saving.register_keras_serializable("bazar")
class RecurrentNetwork(NetworkBase):
    """A recurrent network that recommends items.

    Title vectors are not part of the network. :meth:`prepare_vectors` prepares them once, and each
    call receives them. Therefore a product can be added without a change of the network.
    """

    def make_scorer(self, item_vectors: np.ndarray, index: TitleIndex | None = None) -> Scorer:
        """Return the scorer; see :func:`bazar.models.networks.scorers.make_scorer`."""
        # That module imports this one.
        from bazar.models.networks.scorers import make_scorer

        return make_scorer(self, item_vectors, index)

    def prepare_vectors(self, item_vectors: np.ndarray | None) -> Any:
        """Convert title vectors to the input of :meth:`embed_items`.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32, unit vectors; zeros if an
                item has no title. None for a network that uses no titles.

        Returns:
            The same shape: centred, whitened and scaled to unit length if the network adapts
            titles, else unchanged. Items without a title keep zeros.
        """
        if item_vectors is None:
            return None
        if self.options.adapts_titles:
            item_vectors = whiten_vectors(
                item_vectors, np.asarray(self.centre), np.asarray(self.whitening)
            )
        return ops.convert_to_tensor(item_vectors)

    def find_readable_items(self, item_vectors: np.ndarray | None) -> np.ndarray | None:
        """Return a mask of the items that the network can read. It skips other items of a history.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32; zeros if an item has no
                title. None for a network that uses no titles.

        Returns:
            Shape (items + 1,), bool: True for items with a title, if the network reads only
            titles. None if the network can read every item.
        """
        if self.options.item != "title" or item_vectors is None:
            return None
        return has_title(item_vectors)

    def get_input_options(self, item_vectors: np.ndarray | None) -> InputOptions:
        """Return what :func:`bazar.models.network_inputs.build_network_input` needs.

        Args:
            item_vectors: as in :meth:`find_readable_items`.
        """
        return InputOptions(
            readable_items=self.find_readable_items(item_vectors),
            reads_times=self.time_layer is not None,
            reads_seen=self.repeat_layer is not None,
            typical_gap=1.0 if self.typical_gap is None else float(np.asarray(self.typical_gap)),
        )

    def find_informative_items(self, item_vectors: np.ndarray | None) -> np.ndarray:
        """Return a mask of the items that give the network information about a user.

        Args:
            item_vectors: as in :meth:`find_readable_items`.

        Returns:
            Shape (items + 1,), bool. It is True for items that occur in training, if the network
            reads ids. It is also True for items with a title, if the network reads titles.
        """
        is_informative = np.zeros(self.n_items + 1, bool)
        if self.options.item != "title":
            is_informative |= np.asarray(self.id_weights) > 0
        if self.options.item != "id" and item_vectors is not None:
            is_informative |= has_title(item_vectors)
        is_informative[0] = False
        return is_informative

    def embed_items(self, items: Any, vectors: Any, id_weights: Any = None) -> Any:
        """Return the vectors of items. A tied head also uses them as its output weights.

        Args:
            items: item indices of any shape, int32.
            vectors: returned by :meth:`prepare_vectors`.
            id_weights: shape (n_items + 1,), float32, factors of the learned vectors. None uses
                those of the network.

        Returns:
            Shape of ``items`` plus one axis with the size of an item vector, float32.
        """
        embedded = self._embed_ids_and_titles(items, vectors, id_weights)
        if self.word_embedding is None:
            return embedded
        return embedded + self.word_embedding(items)

    def embed_catalogue(self, vectors: Any, id_weights: Any = None) -> Any:
        """Return the vectors of all items, shape (n_items + 1, size of an item vector), float32.

        Args:
            vectors: returned by :meth:`prepare_vectors`.
            id_weights: as for :meth:`embed_items`.
        """
        embedded = self._embed_ids_and_titles(ops.arange(self.n_items + 1), vectors, id_weights)
        if self.word_embedding is None:
            return embedded
        return embedded + self.word_embedding.embed_catalogue()

    def _embed_ids_and_titles(self, items: Any, vectors: Any, id_weights: Any) -> Any:
        """Return the vectors of items without their words; see :meth:`embed_items`."""
        parts = []
        if self.item_embedding is not None:
            parts.append(self._weight_by_item(self.item_embedding(items), items, id_weights))
        if self.title_adapter is not None:
            parts.append(self.title_adapter(ops.take(vectors, items, axis=0)))
        elif self.options.item == "title":
            parts.append(ops.take(vectors, items, axis=0))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def add_history_vectors(self, embedded: Any, items: Any, id_weights: Any = None) -> Any:
        """Return the vectors of the items of histories.

        With ``history_vectors``, they are the sums of the given vectors and the second learned
        vectors, else the given vectors.

        Args:
            embedded: returned by :meth:`embed_items` for the items.
            items: item indices of any shape, int32.
            id_weights: as for :meth:`embed_items`.

        Returns:
            The shape of ``embedded``, float32.
        """
        if self.history_embedding is None:
            return embedded
        return embedded + self._weight_by_item(self.history_embedding(items), items, id_weights)

    def _weight_by_item(self, learned: Any, items: Any, id_weights: Any) -> Any:
        """Return learned vectors of items, multiplied by the factors of :meth:`embed_items`."""
        weights = self.id_weights if id_weights is None else id_weights
        return learned * ops.take(weights, items)[..., None]

    def embed_orders(self, embedded: Any, inputs: NetworkInput) -> Any:
        """Return the vector of each order: the weighted sum of the vectors of its items.

        Args:
            embedded: vectors of ``inputs.items``, returned by :meth:`add_history_vectors`, shape
                (entries, item size).
            inputs: the histories.

        Returns:
            Shape (rows, steps, item size), float32. Steps behind a history are 0.
        """
        n_rows, n_steps = inputs.shape[0], inputs.shape[1]
        sums = tf.math.unsorted_segment_sum(
            embedded * inputs.weights[:, None], inputs.steps, n_rows * n_steps
        )
        return tf.reshape(sums, (n_rows, n_steps, embedded.shape[-1]))

    def encode_histories(
        self, embedded: Any, positions: Any, times: Any = None, training: bool = False
    ) -> Any:
        """Return the output of the head for histories.

        Args:
            embedded: vectors of the orders of histories, shape (rows, steps, item size).
            positions: the steps to return, shape (targets,), int32: row * steps + step.
            times: time features of the steps, as in :class:`NetworkInput`; None if the network
                reads no times.
            training: whether dropout is applied.

        Returns:
            Shape (targets, head size), float32: the output for the history up to each position.
            The head ``softmax`` gives logits, ``tied_softmax`` gives a vector to compare with the
            item vectors, and ``vector`` gives a title vector.
        """
        states = embedded
        if self.time_layer is not None and times is not None:
            states = states + self.time_layer(times)
        *first_layers, last_layer = self.sequence_layers
        for layer in first_layers:
            states = layer(states, training=training)
        # Training needs most steps. Dropout would also draw other random numbers.
        if isinstance(last_layer, ResidualBlock) and not training:
            states = last_layer(states, positions=positions)
        else:
            states = take_positions(last_layer(states, training=training), positions)
        for layer in self.position_layers:
            states = layer(states, training=training)
        encoded = self.head(states)
        if self.options.history_decay is None:
            return encoded
        sums = sum_with_decay(embedded, self.options.history_decay)
        return encoded + scale_to_unit(take_positions(sums, positions))

    def build_item_table(self, embedded: Any) -> Any:
        """Return the item table that a tied head scores. It serves any number of histories.

        Args:
            embedded: returned by :meth:`embed_items`, shape (items, item size).

        Returns:
            Shape (item size, items). This layout halves the time to score a single history.
        """
        unit = embedded if self.options.temperature is None else scale_to_unit(embedded)
        return ops.transpose(unit)

    def compute_logits(self, encoded: Any, table: Any) -> Any:
        """Return the logits of all items of a table, for a tied head.

        Args:
            encoded: returned by :meth:`encode_histories`, shape (targets, item size).
            table: returned by :meth:`build_item_table`, shape (item size, items).

        Returns:
            Shape (targets, items), float32.
        """
        if self.options.temperature is not None:
            encoded = scale_to_unit(encoded) / self.options.temperature
        return ops.matmul(encoded, table)

    def add_repeat_scores(
        self,
        logits: Any,
        encoded: Any,
        inputs: NetworkInput,
        item_parts: Any,
        columns: Any,
        training: bool = False,
    ) -> Any:
        """Add a score to the logit of each item that the user bought before.

        Args:
            logits: shape (states, items), float32.
            encoded: returned by :meth:`encode_histories`, shape (states, item size).
            inputs: the items that were bought before each state.
            item_parts: rows of the output of :meth:`RepeatLayer.embed_items` for
                ``inputs.seen_items``, shape (pairs, units).
            columns: column of ``logits`` of each pair, shape (pairs,), int32.
            training: whether dropout is applied.

        Returns:
            The shape of ``logits``.
        """
        scores = self.compute_repeat_scores(encoded, inputs, item_parts, training)
        indices = tf.stack([inputs.seen_states, columns], axis=1)
        return tf.tensor_scatter_nd_add(logits, indices, scores)

    def compute_repeat_scores(
        self, encoded: Any, inputs: NetworkInput, item_parts: Any, training: bool = False
    ) -> Any:
        """Return the score of each pair of a state and an item that was bought before.

        The arguments are those of :meth:`add_repeat_scores`.

        Returns:
            Shape (pairs,), float32; 0 for padding.
        """
        assert self.repeat_layer is not None and self.options.temperature is not None
        scores = self.repeat_layer(
            inputs.seen_features, item_parts, encoded, inputs.seen_states, training=training
        )
        is_item = ops.cast(inputs.seen_items > 0, scores.dtype)
        return scores * is_item / self.options.temperature

    def compute_title_logits(self, inputs: NetworkInput, vectors: Any, table: Any) -> Any:
        """Return the similarity of the title of each item to the titles of the history.

        The similarity is computed before the adapter. The adapter keeps fewer dimensions, and it
        was trained only on titles of the training part.

        Args:
            inputs: the histories.
            vectors: returned by :meth:`prepare_vectors`.
            table: ``vectors`` transposed.

        Returns:
            Shape (states, items + 1), float32. The caller weights them and adds them to the logits.
        """
        assert self.options.history_decay is not None
        orders = self.embed_orders(ops.take(vectors, inputs.items, axis=0), inputs)
        sums = sum_with_decay(orders, self.options.history_decay)
        direction = scale_to_unit(take_positions(sums, inputs.positions))
        return ops.matmul(direction / self.options.temperature, table)

    def compute_pair_logits(self, encoded: Any, embedded: Any) -> Any:
        """Return the logit of one item for each target, for a tied head.

        Args:
            encoded: returned by :meth:`encode_histories`, shape (targets, item size).
            embedded: vectors of the items, the same shape.

        Returns:
            Shape (targets,), float32.
        """
        if self.options.temperature is not None:
            encoded = scale_to_unit(encoded) / self.options.temperature
            embedded = scale_to_unit(embedded)
        return ops.sum(encoded * embedded, axis=-1)

    def call(self, inputs: NetworkInput, vectors: Any = None, training: bool = False) -> Any:
        """Return the logits of all items, or the predicted title vectors.

        Args:
            inputs: the histories, as tensors.
            vectors: returned by :meth:`prepare_vectors`.
            training: whether dropout is applied.

        Returns:
            With the head ``softmax`` or ``tied_softmax``: logits, shape (states, items + 1). With
            the head ``vector``: title vectors, shape (states, vector_dimension).
        """
        encoded = self.encode_inputs(inputs, vectors, training)
        if self.options.head != "tied_softmax":
            return encoded
        catalogue = self.embed_catalogue(vectors)
        parts = None if self.repeat_layer is None else self.repeat_layer.embed_items(catalogue)
        logits = self.score_items(encoded, inputs, self.build_item_table(catalogue), parts)
        if self.title_weight is None:
            return logits
        return logits + self.title_weight * self.compute_title_logits(
            inputs, vectors, ops.transpose(vectors)
        )

    def encode_inputs(
        self, inputs: NetworkInput, vectors: Any, training: bool = False, id_weights: Any = None
    ) -> Any:
        """Return the output of the head for each state of the input.

        The arguments are those of :meth:`call` and :meth:`embed_items`.

        Returns:
            Shape (states, head size), float32.
        """
        embedded = self.embed_items(inputs.items, vectors, id_weights)
        entries = self.add_history_vectors(embedded, inputs.items, id_weights)
        orders = self.embed_orders(entries, inputs)
        return self.encode_histories(orders, inputs.positions, inputs.times, training)

    def score_items(self, encoded: Any, inputs: NetworkInput, table: Any, item_parts: Any) -> Any:
        """Return the logits of all items, with repeat scores, for a tied head.

        Args:
            encoded: returned by :meth:`encode_inputs`, shape (states, item size).
            inputs: the histories.
            table: returned by :meth:`build_item_table`, for all items.
            item_parts: output of :meth:`RepeatLayer.embed_items`, for all items; None if the
                network has no repeat scores.

        Returns:
            Shape (states, items + 1), float32.
        """
        logits = self.compute_logits(encoded, table)
        if self.repeat_layer is None:
            return logits
        items = inputs.seen_items
        return self.add_repeat_scores(
            logits, encoded, inputs, ops.take(item_parts, items, axis=0), items
        )
