"""Recurrent networks, built from their description in YAML.

A network reads a history in three steps: every item becomes a vector (:meth:`represent`), layers
go over the vectors in time (:meth:`read`), and a head turns what was read into scores
(:meth:`score`). Histories stand at the front of their rows, padded with 0 at the back: what comes
after a step changes nothing before it, so that no step needs a mask, and one pass over a sequence
serves as many targets as it has steps.
"""

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
    """A recurrent layer with a way around it, and a feed-forward part with a way around that.

    The block of a transformer (Vaswani et al. 2017, section 3.1: add and normalise after each
    part) with a recurrent layer in place of attention. Input and output have the shape
    (rows, steps, dimension).
    """

    def __init__(
        self, cell: str, units: int, feed_forward: int, dropout: float, **kwargs: Any
    ) -> None:
        """Make the block.

        Args:
            cell: ``simple_rnn``, ``lstm`` or ``gru``.
            units: size of the recurrent state.
            feed_forward: size of the hidden layer of the feed-forward part.
            dropout: share that is dropped after the recurrent and the feed-forward part.
            **kwargs: of a Keras layer.
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
        """Make the weights for an input of this shape."""
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
        """Go over the steps.

        Args:
            states: shape (rows, steps, dimension).
            positions: which steps are asked for, as of :meth:`RecurrentNetwork.read`: what comes
                after the recurrent layer looks at one step at a time, and is spared the others.
                None asks for all.
            training: whether to drop.

        Returns:
            Shape (rows, steps, dimension), or (targets, dimension) with ``positions``.
        """
        read = self.recurrent(states, training=training)
        if positions is not None:
            read, states = _at(positions, read), _at(positions, states)
        read = self.back(read)
        states = self.recurrent_norm(states + self.recurrent_dropout(read, training=training))
        thought = self.out(self.hidden(states))
        return self.feed_forward_norm(
            states + self.feed_forward_dropout(thought, training=training)
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what makes this block again."""
        return super().get_config() | self._config


def _at(positions: Any, states: Any) -> Any:
    """Take the places that are asked for, of the steps of all rows laid one after another."""
    return ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)


def _decayed_sums(states: Any, decay: float) -> Any:
    """Sum, at each step, all steps up to it, each weighing ``decay`` of the one after it."""
    steps = ops.arange(ops.shape(states)[1])
    ages = steps[:, None] - steps
    weights = ops.where(ages >= 0, decay ** ops.cast(ops.maximum(ages, 0), states.dtype), 0)
    return ops.matmul(weights, states)


def _unit(vectors: Any) -> Any:
    """Scale to unit length; zeros stay zeros, with a gradient that is a number."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))


def _layers(options: NetworkOptions) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """The layers that go over time, up to the last recurrent one, and those after it."""
    made, last = [], 0
    for place, layer in enumerate(options.layers):
        name = f"{layer.type}_{place + 1}"
        match layer:
            case RecurrentLayer():
                cell = _RECURRENT[layer.type]
                made.append(cell(layer.units, return_sequences=True, name=name))
                last = place
            case ResidualLayer():
                sizes = (layer.cell, layer.units, layer.feed_forward, layer.dropout)
                made.append(ResidualBlock(*sizes, name=name))
                last = place
            case DropoutLayer():
                made.append(keras.layers.Dropout(layer.rate, name=name))
            case DenseLayer():
                made.append(keras.layers.Dense(layer.units, layer.activation, name=name))
    return made[: last + 1], made[last + 1 :]
