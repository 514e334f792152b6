"""Layers that read times, and that score the items that a user bought before."""

from typing import Any

import keras
from keras import ops

_CLOSED = -40.0
"""Score of a previously bought item if nobody buys again."""


@keras.saving.register_keras_serializable("bazar")
class TimeLayer(keras.layers.Layer):
    """Turns the time features of a step into a vector that is added to the vector of the step.

    The output starts at 0. It stays 0 if the data has no timestamps.
    """

    def __init__(self, size: int, units: int = 32, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            size: size of the vector of a step.
            units: size of the hidden layer.
            **kwargs: arguments of a Keras layer.
        """
        super().__init__(**kwargs)
        self._config = {"size": size, "units": units}
        self.hidden = keras.layers.Dense(units, activation="gelu")
        self.out = keras.layers.Dense(size, kernel_initializer="zeros")

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        self.has_clock = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="has_clock"
        )
        self.hidden.build(input_shape)
        self.out.build((*input_shape[:-1], self._config["units"]))
        self.built = True

    def call(self, times: Any) -> Any:
        """Return vectors, shape (rows, steps, size), for time features (rows, steps, features)."""
        return self.out(self.hidden(times)) * self.has_clock

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""
        return (*input_shape[:-1], self._config["size"])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | self._config


@keras.saving.register_keras_serializable("bazar")
class RepeatLayer(keras.layers.Layer):
    """Scores the items that a user bought before, and decides how likely a repeat is at all.

    The score of an item depends on when and how often the user bought it, and on the vector of the
    item. The gate depends on the encoded history. It is added to the scores of all items of the
    history. The idea of a gate between repeats and new items is that of RepeatNet (Ren et al. 2019,
    section 3).
    """

    def __init__(self, units: int, dropout: float, size: int, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            units: size of the two hidden layers.
            dropout: dropout rate of the first hidden layer.
            size: size of an item vector and of an encoded history.
            **kwargs: arguments of a Keras layer.
        """
        super().__init__(**kwargs)
        self._config = {"units": units, "dropout": dropout, "size": size}
        self.item_part = keras.layers.Dense(units, use_bias=False)
        self.feature_part = keras.layers.Dense(units)
        self.dropout = keras.layers.Dropout(dropout)
        self.hidden = keras.layers.Dense(units, activation="gelu")
        self.out = keras.layers.Dense(1, kernel_initializer="zeros")
        self.gate = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        units, size = self._config["units"], self._config["size"]
        self.offset = self.add_weight(shape=(), initializer="zeros", trainable=False, name="offset")
        self.item_part.build((None, size))
        self.feature_part.build(input_shape)
        self.hidden.build((None, units))
        self.out.build((None, units))
        self.gate.build((None, size))
        self.built = True

    @property
    def is_closed(self) -> bool:
        """Whether all repeats are excluded."""
        return float(self.offset) < 0

    def close(self) -> None:
        """Exclude all repeats: nobody in the training part buys an item again."""
        self.offset.assign(_CLOSED)

    def open(self) -> None:
        """Allow repeats again: the scores that the layer has learned so far decide."""
        self.offset.assign(0)

    def embed_items(self, items: Any) -> Any:
        """Return the part of the score that depends on the item alone.

        Args:
            items: item vectors, shape (items, size).

        Returns:
            Shape (items, units).
        """
        return self.item_part(items)

    def call(
        self, features: Any, item_parts: Any, encoded: Any, states: Any, training: bool = False
    ) -> Any:
        """Return the score of each pair of a state and an item that was bought before.

        Args:
            features: ``seen_features`` of :class:`~bazar.models.network_inputs.NetworkInput`.
            item_parts: rows of the output of :meth:`embed_items`, shape (pairs, units).
            encoded: encoded histories, shape (states, size).
            states: state of each pair, shape (pairs,), int32.
            training: whether dropout is applied.

        Returns:
            Shape (pairs,), float32, to be divided by the temperature and added to logits.
        """
        hidden = keras.activations.gelu(self.feature_part(features) + item_parts)
        hidden = self.dropout(hidden, training=training)
        scores = self.out(self.hidden(hidden)) + ops.take(self.gate(encoded), states, axis=0)
        return ops.squeeze(scores, -1) + self.offset

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the scores."""
        return input_shape[:-1]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | self._config
