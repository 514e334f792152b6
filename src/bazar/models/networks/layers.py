"""Layers and tensor functions of recurrent networks."""

from typing import Any

import keras
from keras import ops

from bazar.config.networks import (
    DenseLayer,
    DropoutLayer,
    NetworkOptions,
    RecurrentLayer,
    ResidualLayer,
)

_RECURRENT = {
    "simple_rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


@keras.saving.register_keras_serializable("bazar")
class ResidualBlock(keras.layers.Layer):
    """A recurrent layer and a feed-forward part, each with a skip connection.

    It is a transformer block (Vaswani et al. 2017, section 3.1) with a recurrent layer instead of
    attention. Layer normalisation follows each addition. Input and output have the shape
    (rows, steps, dimension).
    """

    def __init__(
        self, cell: str, units: int, feed_forward: int, dropout: float, **kwargs: Any
    ) -> None:
        """Create the block.

        Args:
            cell: ``simple_rnn``, ``lstm`` or ``gru``.
            units: size of the recurrent state.
            feed_forward: size of the hidden layer of the feed-forward part.
            dropout: dropout rate after the recurrent and after the feed-forward part.
            **kwargs: arguments of a Keras layer.
        """
        super().__init__(**kwargs)
        self._config = {
            "cell": cell, "units": units, "feed_forward": feed_forward, "dropout": dropout,
        }  # fmt: skip
        self.recurrent = _RECURRENT[cell](units, return_sequences=True)
        self.hidden = keras.layers.Dense(feed_forward, activation="gelu")
        self.recurrent_dropout = keras.layers.Dropout(dropout)
        self.feed_forward_dropout = keras.layers.Dropout(dropout)
        self.recurrent_norm = keras.layers.LayerNormalization()
        self.feed_forward_norm = keras.layers.LayerNormalization()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for the shape of the input."""
        dimension = input_shape[-1]
        self.back = keras.layers.Dense(dimension)
        self.out = keras.layers.Dense(dimension)
        self.recurrent.build(input_shape)
        self.back.build((*input_shape[:-1], self._config["units"]))
        self.hidden.build(input_shape)
        self.out.build((*input_shape[:-1], self._config["feed_forward"]))
        self.recurrent_norm.build(input_shape)
        self.feed_forward_norm.build(input_shape)
        self.built = True

    def call(self, states: Any, positions: Any = None, training: bool = False) -> Any:
        """Return the states after this block.

        Args:
            states: shape (rows, steps, dimension).
            positions: the steps to return, as in :meth:`RecurrentNetwork.encode_histories`. The
                layers after the recurrent layer process each step independently. They skip all
                other steps. None returns all steps.
            training: whether dropout is applied.

        Returns:
            Shape (rows, steps, dimension), or (targets, dimension) with ``positions``.
        """
        recurrent_states = self.recurrent(states, training=training)
        if positions is not None:
            recurrent_states = take_positions(recurrent_states, positions)
            states = take_positions(states, positions)
        update = self.back(recurrent_states)
        states = self.recurrent_norm(states + self.recurrent_dropout(update, training=training))
        update = self.out(self.hidden(states))
        return self.feed_forward_norm(states + self.feed_forward_dropout(update, training=training))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | self._config


def build_layers(options: NetworkOptions) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """Return the layers between the item representation and the head.

    Returns:
        Two lists. The first holds the layers up to the last recurrent layer. They process all
        steps of a history. The second holds the layers after it. They process each position
        independently.
    """
    layers, last_recurrent = [], 0
    for index, layer in enumerate(options.layers):
        name = f"{layer.type}_{index + 1}"
        match layer:
            case RecurrentLayer():
                cell = _RECURRENT[layer.type]
                layers.append(cell(layer.units, return_sequences=True, name=name))
                last_recurrent = index
            case ResidualLayer():
                sizes = (layer.cell, layer.units, layer.feed_forward, layer.dropout)
                layers.append(ResidualBlock(*sizes, name=name))
                last_recurrent = index
            case DropoutLayer():
                layers.append(keras.layers.Dropout(layer.rate, name=name))
            case DenseLayer():
                layers.append(keras.layers.Dense(layer.units, layer.activation, name=name))
    return layers[: last_recurrent + 1], layers[last_recurrent + 1 :]


def take_positions(states: Any, positions: Any) -> Any:
    """Return the states at the given positions.

    Args:
        states: shape (rows, steps, dimension).
        positions: shape (targets,), int32: row * steps + step.

    Returns:
        Shape (targets, dimension).
    """
    return ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)


def sum_with_decay(states: Any, decay: float) -> Any:
    """Return the exponentially decayed sum of all states up to each step.

    The state at a step has the weight 1 in its sum. Each earlier state has ``decay`` times the
    weight of the state that follows it.

    Args:
        states: shape (rows, steps, dimension).
        decay: from 0 to 1.

    Returns:
        The same shape.
    """
    steps = ops.arange(ops.shape(states)[1])
    ages = steps[:, None] - steps
    weights = ops.where(ages >= 0, decay ** ops.cast(ops.maximum(ages, 0), states.dtype), 0)
    return ops.matmul(weights, states)


def scale_to_unit(vectors: Any) -> Any:
    """Return vectors (last axis) of unit length. Zeros stay zeros, and their gradient is finite."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))
