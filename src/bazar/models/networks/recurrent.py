"""Recurrent networks, built from their description in YAML.

A network scores items in these steps. :meth:`~RecurrentNetwork.embed_items` turns each item of a
history into a vector. :meth:`~RecurrentNetwork.embed_orders` sums the vectors of each order.
:meth:`~RecurrentNetwork.encode_histories` processes the orders in time order and applies the head.
If the head is tied to the item vectors, :meth:`~RecurrentNetwork.compute_logits` turns the result
into scores. :meth:`~RecurrentNetwork.add_repeat_scores` adds a score to each item that the user
bought before.

The steps of a history are at the front of its row. No step depends on later steps. Therefore no
mask is needed, and a single pass over a sequence gives the predictions for all of its targets.
"""

import json
import math
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bazar.config.networks import NetworkOptions
from bazar.data.title_embeddings import has_title
from bazar.errors import InputError
from bazar.models.networks.inputs import (
    N_SEEN_FEATURES,
    N_TIME_FEATURES,
    InputOptions,
    NetworkInput,
)
from bazar.models.networks.layers import (
    ResidualBlock,
    build_layers,
    scale_to_unit,
    sum_with_decay,
    take_positions,
)
from bazar.models.networks.repeats import RepeatLayer, TimeLayer
from bazar.models.networks.vector_samples import VectorSamples, match_samples, sample_vectors
from bazar.models.networks.whitening import compute_whitening, whiten_vectors

# File with the item ids and vector samples, within a .keras file.
_ASSETS = "catalogue.json"


def build_network(
    options: NetworkOptions, n_items: int, vector_dimension: int | None = None
) -> "RecurrentNetwork":
    """Build a network.

    Args:
        options: options of the network.
        n_items: number of items of the catalogue.
        vector_dimension: size of a title vector; required if the network reads titles or has
            ``head: vector``.

    Returns:
        The network. Its initial weights depend on Keras' global seed.

    Raises:
        ValueError: if ``vector_dimension`` is required and missing.
    """
    return RecurrentNetwork(options.model_dump(mode="json"), n_items, vector_dimension)


@keras.saving.register_keras_serializable("bazar")
class RecurrentNetwork(keras.Model):
    """A recurrent network that recommends items.

    Title vectors are not part of the network. :meth:`prepare_vectors` prepares them once, and each
    call receives them. Therefore a product can be added without a change of the network.

    Attributes:
        options: options of the network.
        n_items: number of items of the catalogue that the network was built for.
        in_training: shape (n_items + 1,), float32: 1 if an item occurs in the training part, else
            0. The trainer sets it. The learned vectors of items with 0 are not used.
        typical_gap: scalar: typical number of days between two orders of a user. The trainer sets
            it. None if the network reads no times and has no repeat scores.
        title_weight: scalar: weight of the title similarities that are added to the scores. The
            trainer sets it. None without ``add_title_similarity``.
        item_ids: shape (n_items + 1,), external ids by item index. They are set after the
            training and saved with the network. None before.
        vector_samples: samples of the title vectors that the network was trained with; see
            :meth:`record_vector_samples`. None until they are recorded.
    """

    item_ids: np.ndarray | None
    vector_samples: VectorSamples | None

    def __init__(
        self, options: dict[str, Any], n_items: int, vector_dimension: int | None, **kwargs: Any
    ) -> None:
        """Create the network and its weights.

        Args:
            options: :class:`~bazar.config.networks.NetworkOptions` as plain values.
            n_items: number of items of the catalogue.
            vector_dimension: size of a title vector; None if the network uses no titles.
            **kwargs: arguments of a Keras model.

        Raises:
            ValueError: if ``vector_dimension`` is required and missing.
        """
        super().__init__(**kwargs)
        self.options = NetworkOptions.model_validate(options)
        self.n_items = n_items
        self.vector_dimension = vector_dimension
        self.item_ids = self.vector_samples = None
        if vector_dimension is None and self.options.needs_vectors:
            raise ValueError(
                "vector_dimension is required: the network reads titles or has head: vector."
            )
        size = self.options.item_dimension or vector_dimension
        assert size is not None
        # The initial random values of the weights depend on the order of their creation.
        self._build_item_representation(size)
        self._build_layers_and_head(size)
        self.built = True

    def _build_item_representation(self, size: int) -> None:
        """Create the weights that turn an item into a vector of the given size."""
        options, dimension = self.options, self.vector_dimension
        self.in_training = self.add_weight(
            shape=(self.n_items + 1,), initializer="ones", trainable=False, name="in_training"
        )
        self.item_embedding = self.title_adapter = self.title_weight = None
        if options.item in {"id", "id+title"}:
            # With titles, the id embedding is added to the title vector, so it starts small.
            spread = 0.05 if options.item == "id" else 0.005
            self.item_embedding = keras.layers.Embedding(
                self.n_items + 1,
                size,
                keras.initializers.RandomUniform(-spread, spread),
                name="item_embedding",
            )
            self.item_embedding.build((None,))
        if options.adapts_titles:
            self.centre = self.add_weight(
                shape=(dimension,), initializer="zeros", trainable=False, name="centre"
            )
            self.whitening = self.add_weight(
                shape=(dimension, dimension), initializer="identity", trainable=False,
                name="whitening",
            )  # fmt: skip
            self.title_adapter = keras.layers.Dense(size, use_bias=False, name="title_adapter")
            self.title_adapter.build((None, dimension))
        if options.add_title_similarity:
            self.title_weight = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="title_weight"
            )
        self.typical_gap = None
        self.time_layer: TimeLayer | None = None
        self.repeat_layer: RepeatLayer | None = None
        if options.time or options.repeats:
            self.typical_gap = self.add_weight(
                shape=(), initializer="ones", trainable=False, name="typical_gap"
            )

    def _build_layers_and_head(self, size: int) -> None:
        """Create the layers and the head for item vectors of the given size."""
        self.sequence_layers, self.position_layers = build_layers(self.options)
        shape: tuple[int | None, ...] = (None, None, size)
        for layer in self.sequence_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        shape = (None, shape[-1])
        for layer in self.position_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        width = {
            "softmax": self.n_items + 1, "tied_softmax": size, "vector": self.vector_dimension,
        }  # fmt: skip
        # history_decay adds a skip connection. A head of zeros starts training from that alone.
        initializer = "glorot_uniform" if self.options.history_decay is None else "zeros"
        self.head = keras.layers.Dense(
            width[self.options.head], kernel_initializer=initializer, name="head"
        )
        self.head.build(shape)
        if self.options.time:
            self.time_layer = TimeLayer(size, name="time")
            self.time_layer.build((None, None, N_TIME_FEATURES))
        if self.options.repeats:
            self.repeat_layer = RepeatLayer(
                **self.options.repeats.model_dump(), size=size, name="repeats"
            )
            self.repeat_layer.build((None, N_SEEN_FEATURES))

    def fit_whitening(self, item_vectors: np.ndarray) -> None:
        """Set the weights that centre and whiten title vectors, and initialise the title adapter.

        The adapter starts with the directions of the largest variance. If no item has a title,
        these weights do not change.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32; zeros if an item has no
                title.
        """
        found = compute_whitening(item_vectors)
        if found is None:
            return
        centre, whitening = found
        self.centre.assign(centre)
        self.whitening.assign(whitening)
        assert self.title_adapter is not None
        kernel = self.title_adapter.kernel
        kernel.assign(np.eye(*kernel.shape) * math.sqrt(max(kernel.shape[0] / kernel.shape[1], 1)))

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
        """Return what :func:`bazar.models.networks.inputs.build_network_input` needs.

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
            is_informative |= np.asarray(self.in_training) > 0
        if self.options.item != "id" and item_vectors is not None:
            is_informative |= has_title(item_vectors)
        is_informative[0] = False
        return is_informative

    def embed_items(self, items: Any, vectors: Any) -> Any:
        """Return the vectors of items. A tied head also uses them as its output weights.

        Args:
            items: item indices of any shape, int32.
            vectors: returned by :meth:`prepare_vectors`.

        Returns:
            Shape of ``items`` plus one axis with the size of an item vector, float32.
        """
        parts = []
        if self.item_embedding is not None:
            is_known = ops.take(self.in_training, items)
            parts.append(self.item_embedding(items) * is_known[..., None])
        if self.title_adapter is not None:
            parts.append(self.title_adapter(ops.take(vectors, items, axis=0)))
        elif self.options.item == "title":
            parts.append(ops.take(vectors, items, axis=0))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def embed_orders(self, embedded: Any, inputs: NetworkInput) -> Any:
        """Return the vector of each order: the weighted sum of the vectors of its items.

        Args:
            embedded: vectors of ``inputs.items``, shape (entries, item size).
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
            inputs: the histories, as tensors or NumPy arrays.
            vectors: returned by :meth:`prepare_vectors`.
            training: whether dropout is applied.

        Returns:
            With the head ``softmax`` or ``tied_softmax``: logits, shape (states, items + 1). With
            the head ``vector``: title vectors, shape (states, vector_dimension).
        """
        encoded = self.encode_inputs(inputs, vectors, training)
        if self.options.head != "tied_softmax":
            return encoded
        catalogue = self.embed_items(ops.arange(self.n_items + 1), vectors)
        parts = None if self.repeat_layer is None else self.repeat_layer.embed_items(catalogue)
        logits = self.score_items(encoded, inputs, self.build_item_table(catalogue), parts)
        if self.title_weight is None:
            return logits
        return logits + self.title_weight * self.compute_title_logits(
            inputs, vectors, ops.transpose(vectors)
        )

    def encode_inputs(self, inputs: NetworkInput, vectors: Any, training: bool = False) -> Any:
        """Return the output of the head for each state of the input.

        The arguments are those of :meth:`call`.

        Returns:
            Shape (states, head size), float32.
        """
        orders = self.embed_orders(self.embed_items(inputs.items, vectors), inputs)
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

    def describe(self) -> str:
        """Return a text table of the layers for the log."""
        rows = [("layer", "output", "parameters")]
        for layer in self.layers:
            shape = layer.compute_output_shape(layer.get_build_config()["input_shape"])
            rows.append((layer.name, str(shape), f"{layer.count_params():,}"))
        rows.append(("total trainable", "", f"{self.count_trainable_parameters():,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {parameters:>{widths[2]}}"
            for name, shape, parameters in rows
        )

    def count_trainable_parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(math.prod(weight.shape) for weight in self.trainable_weights)

    def record_vector_samples(self, item_vectors: np.ndarray) -> None:
        """Record samples of the title vectors of the training. Set :attr:`item_ids` first.

        Args:
            item_vectors: shape (n_items + 1, vector_dimension), float32; zeros if an item has no
                title.
        """
        assert self.item_ids is not None
        self.vector_samples = sample_vectors(item_vectors, self.item_ids)

    def check_vectors(self, item_vectors: np.ndarray) -> None:
        """Raise InputError if the network was trained with other title vectors.

        Args:
            item_vectors: as in :meth:`record_vector_samples`.

        Raises:
            InputError: if the dimension or most of the samples differ.
        """
        if not self.options.needs_vectors:
            return
        is_same = self.vector_dimension == item_vectors.shape[1]
        if is_same and self.vector_samples and self.item_ids is not None:
            is_same = match_samples(self.vector_samples, item_vectors, self.item_ids)
        if not is_same:
            raise InputError(
                "The network was trained with other title vectors: the encoder or embedding.text "
                "has changed. Train it again from scratch (warm_start: false), then run the "
                "pipelines that depend on it."
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "options": self.options.model_dump(mode="json"),
            "n_items": self.n_items,
            "vector_dimension": self.vector_dimension,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Create a network from the result of :meth:`get_config`."""
        return cls(**config)

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the constructor creates the weights."""

    def save_assets(self, dir_path: str) -> None:
        """Write item ids and vector samples into the .keras file. Keras calls this method."""
        item_ids = None if self.item_ids is None else self.item_ids.tolist()
        assets = {"item_ids": item_ids, "vector_samples": self.vector_samples}
        Path(dir_path, _ASSETS).write_text(json.dumps(assets), encoding="utf-8")

    def load_assets(self, dir_path: str) -> None:
        """Read the files that :meth:`save_assets` wrote. Keras calls this method."""
        assets = json.loads(Path(dir_path, _ASSETS).read_text(encoding="utf-8"))
        item_ids = assets["item_ids"]
        self.item_ids = None if item_ids is None else np.array(item_ids, dtype=object)
        self.vector_samples = assets["vector_samples"]
